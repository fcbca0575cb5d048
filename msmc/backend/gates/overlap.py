"""What documents have in common with evaluations: words of their questions and answers, both options of an item, and the form
of an answer.

The spec's own words are no evaluation's. What is found is told; what an evaluation holds out is taken besides (`held_out`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msmc.backend.gates.found import Found, short
from msmc.mention import Mentions, place, words

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
        items, options = dict[str, frozenset[str]](), set[str]()
        for row in rows:
            told = f"{row['metadata']['eval']}, {row['id']}"
            for text in (row["input"], *row.get("choices", ())):
                for gram in _grams(words(text), size):
                    self._of.setdefault(gram, told)
            pair = frozenset(" ".join(words(option)) for option in row["metadata"].get("options", ()))
            if len(pair) > 1:
                items[told] = pair
                options |= pair
        for gram in _grams(words(own), size):
            self._of.pop(gram, None)
        self._options = Mentions(sorted(options))
        said = {option for option, _, _ in self._options.each_in(words(own))}
        self._items = dict[str, list[tuple[str, frozenset[str]]]]()
        """By each option of theirs, items whose options the spec does not name itself."""
        for told, pair in items.items():
            for option in pair if not pair <= said else ():
                self._items.setdefault(option, []).append((told, pair))

    def __call__(self, text: str, parts: Sequence[str]) -> Found | None:
        """The first words in common, else both options of an item, else the form of an answer. `parts`: the words of the text."""
        for number, gram in enumerate(_grams(parts, self._size)) if self._of else ():
            if row := self._of.get(gram):
                reason = f"has {self._size} words of a question of {row.split(',')[0]}"
                return Found("overlap", reason, place(text, number, self._size)[0], f"{row}: {' '.join(gram)}")
        return self._item(text, parts) or self._form(text)

    def _item(self, text: str, parts: Sequence[str]) -> Found | None:
        met = dict[str, tuple[int, int]]()
        for option, first, number in self._options.each_in(parts):
            met.setdefault(option, (first, number))
            for row, pair in self._items.get(option, ()):
                if pair <= met.keys():
                    reason, what = f"has both options of an item of {row.split(',')[0]}", " | ".join(sorted(pair))
                    at, _ = place(text, *min(met[one] for one in pair))
                    return Found("overlap", reason, at, f"{row}: {what}")
        return None

    def _form(self, text: str) -> Found | None:
        if form := FORM.search(text):
            return Found("overlap", "has the form of an evaluation's answer", form.start(), short(form[0]))
        return None


def _grams(parts: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(parts[at:] for at in range(size)), strict=False)
