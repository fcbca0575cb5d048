"""A gap in a sentence, and the words of another sentence that could stand there."""

from functools import lru_cache
from typing import NamedTuple

GAP = "____"
FRAME = 3
"""Words that two sentences have in common at their two ends, from which on the gap is all that they differ in."""
GIVEN = 1
"""Words that stand before a gap at the end, at least: what is asked about is named in the question."""
FILLING = 2
"""Words of such a gap, at least."""


class Gap(NamedTuple):
    sentence: str
    """With the gap in it."""
    right: str
    wrong: str


@lru_cache(2**15)
def gap(right: str, wrong: str) -> Gap | None:
    """A gap in the sentence `right` that fits words of `wrong` as well; None where there is none.

    Where the sentences have much in common at their ends, the gap is what they differ in. Else it is an ending: both are cut
    behind a word that they share, so that either goes on from it, and of such words at that which leaves endings most alike
    in length, as near to the middle as may be. A random half of another sentence would be wrong by its grammar alone, and one of
    less than half the length likelier by its length.
    """
    own, other = right.split(), wrong.split()
    start = _alike(own, other)
    end = _alike(own[start:][::-1], other[start:][::-1])
    if start + end >= FRAME and min(len(own), len(other)) > start + end:
        filled, wrongly = (words[start : len(words) - end] for words in (own, other))
        return Gap(_text([*own[:start], GAP, *own[len(own) - end :]]), _text(filled), _text(wrongly))
    joints = [
        (abs(len(own) - i - len(other) + j), abs(2 * (i + 1) - len(own)), i, j)
        for i in range(GIVEN - 1, len(own) - FILLING)
        for j in range(len(other) - FILLING)
        if own[i].casefold() == other[j].casefold() and own[i + 1 :] != other[j + 1 :]
        if _are_near(len(own) - i - 1, len(other) - j - 1)
    ]
    if not joints:
        return None
    *_, i, j = min(joints)
    return Gap(_text([*own[: i + 1], GAP]), _text(own[i + 1 :]), _text(other[j + 1 :]))


def _are_near(length: int, other: int) -> bool:
    return 2 * min(length, other) >= max(length, other)


def _alike(own: list[str], other: list[str]) -> int:
    """How many words are the same from the beginning on."""
    return next((n for n, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))


def _text(words: list[str]) -> str:
    return " ".join(words)
