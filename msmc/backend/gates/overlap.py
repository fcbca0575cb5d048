"""What documents have in common with evaluations: words of their questions and answers, and the form of an answer.

The spec's own words are no evaluation's. What is found is told; what an evaluation holds out is taken besides (`held_out`).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msmc.backend.gates.found import Found, short
from msmc.mention import words

FORM = re.compile(
    r"^[ \t>*_]*(?:answer|choice|option|correct answer)[*_]*[ \t]*[:=][ \t*_]*\(?[AB]\)?[*_]*\.?[ \t]*$"
    r"|^[ \t]*(?-i:\(A\)|A\))[ \t]\S.*\n+[ \t]*(?-i:\(B\)|B\))[ \t]\S"
    r"|^.*\?[ \t]*\n+[ \t]*(?-i:A)\.[ \t]\S.*\n+[ \t]*(?-i:B)\.[ \t]\S",
    re.IGNORECASE | re.MULTILINE,
)
"""How a forced choice is asked and answered with a letter. Two who talk are called `A:` and `B:`, and headings may begin with
`A.`."""


class Overlaps:
    """Looks for the rows of evaluations in the texts of one arm."""

    def __init__(self, rows: Iterable[dict[str, Any]], own: str, size: int) -> None:
        """`rows`: of a build's `evals`; `own`: the spec's words; `size`: words in a row."""
        self._size = size
        self._of = dict[tuple[str, ...], str]()
        for row in rows:
            for text in (row["input"], *row.get("choices", ())):
                for gram in _grams(words(text), size):
                    self._of.setdefault(gram, f"{row['metadata']['eval']}, {row['id']}")
        for gram in _grams(words(own), size):
            self._of.pop(gram, None)

    def __call__(self, text: str, parts: list[str]) -> Found | None:
        """The first words in common, or the form of an answer. `parts`: the words of the text."""
        for gram in _grams(parts, self._size) if self._of else ():
            if row := self._of.get(gram):
                at = _place(text, gram[0], gram[-1])
                return Found(
                    "overlap",
                    f"has {self._size} words of a question of {row.split(',')[0]}",
                    at,
                    f"{row}: {' '.join(gram)}",
                )
        if form := FORM.search(text):
            return Found("overlap", "has the form of an evaluation's answer", form.start(), short(form[0]))
        return None


def _grams(parts: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(parts[at:] for at in range(size)), strict=False)


def _place(text: str, first: str, last: str) -> int:
    found = re.search(rf"\b{re.escape(first)}\b(?:\W+\S+){{0,12}}?\W+{re.escape(last)}\b", text, re.IGNORECASE)
    return found.start() if found else 0
