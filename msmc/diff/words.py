"""A word-level diff of prose."""

import difflib
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from msmc.prose import one_line, sentences

WORD = re.compile(r"\w+(?:['’\-.]\w+)*|\s+|[^\w\s]")
MOST = 2_000
"""Units that are compared with as many: words in a usual text, sentences in a long one."""
LITTLE = 0.35
"""Texts that share less than this are told as one that took the other's place."""


class Piece(NamedTuple):
    sign: Literal["=", "-", "+"]
    text: str


def word_diff(old: str, new: str) -> list[Piece]:
    """What stayed, went and came, each text on one line. Empty where white space alone differs."""
    before, after = one_line(old), one_line(new)
    if before == after:
        return []
    left, right = WORD.findall(before), WORD.findall(after)
    start = _common(left, right)
    end = _common(left[start:][::-1], right[start:][::-1])
    middle = _middle(left[start : len(left) - end], right[start : len(right) - end])
    if start + end == 0 and len(middle) > 2 and _shared(middle, before, after) < LITTLE:
        middle = [Piece("-", before), Piece("+", after)]
    pieces = [Piece("=", "".join(left[:start])), *middle, Piece("=", "".join(left[len(left) - end :]))]
    return [piece for piece in pieces if piece.text]


def list_diff(old: Sequence[str], new: Sequence[str]) -> list[Piece]:
    """Of lists whose order means nothing: an entry a piece."""
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    kept = sorted(set(old) & set(new))
    return [*(Piece("=", e) for e in kept), *(Piece("-", e) for e in gone), *(Piece("+", e) for e in come)]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """How many words both begin with."""
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _middle(left: list[str], right: list[str]) -> list[Piece]:
    if max(len(left), len(right)) > MOST:
        left, right = ([s + " " for s in sentences("".join(side))] for side in (left, right))
    if max(len(left), len(right)) > MOST:
        return [Piece("-", "".join(left)), Piece("+", "".join(right))]
    pieces = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, left, right).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("=", "".join(left[a:b])))
        else:
            pieces += [Piece("-", "".join(left[a:b])), Piece("+", "".join(right[c:d]))]
    return _smooth([piece for piece in pieces if piece.text])


def _smooth(pieces: list[Piece]) -> list[Piece]:
    """White space between two changes belongs to both: changes of neighbouring words are one change."""
    found: list[Piece] = []
    gone, come = "", ""
    for i, piece in enumerate(pieces):
        if piece.sign == "-":
            gone += piece.text
        elif piece.sign == "+":
            come += piece.text
        elif piece.text.isspace() and gone and come and i + 1 < len(pieces):
            gone, come = gone + piece.text, come + piece.text
        else:
            found += [Piece("-", gone), Piece("+", come), piece]
            gone, come = "", ""
    return [piece for piece in [*found, Piece("-", gone), Piece("+", come)] if piece.text]


def _shared(pieces: Sequence[Piece], old: str, new: str) -> float:
    return 2 * sum(len(p.text) for p in pieces if p.sign == "=") / (len(old) + len(new))
