"""Data inside the page: as JSON that ends no script, and no more of it than a page can carry."""

import json
from collections.abc import Hashable, Iterable
from typing import Any

from markupsafe import Markup

from msmc.digest import seed_of

HARMLESS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def embedded(data: Any) -> Markup:
    """For a `<script type="application/json">`: nothing in it can end the script, open another or begin a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in HARMLESS.items():
        text = text.replace(character, escape)
    return Markup(text)


def weight(data: Any) -> int:
    """Bytes that it takes in the page."""
    return len(embedded(data).encode("utf-8", "surrogatepass"))


class Words:
    """Words by number, so that a column of 20,000 words is as many small numbers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, word: str) -> int:
        return self._numbers.setdefault(word, len(self._numbers))

    @property
    def all(self) -> list[str]:
        return list(self._numbers)


def stratified(sizes: Iterable[tuple[Hashable, int]], budget: int) -> set[int]:
    """The numbers of those that fit a budget of bytes: the first of each stratum, the second of each, and so on. Strata
    take their turns in no order of theirs, so that a budget too small for all leaves out no model as a whole."""
    strata: dict[Hashable, list[tuple[int, int]]] = {}
    for number, (stratum, size) in enumerate(sizes):
        strata.setdefault(stratum, []).append((number, size))
    turns = sorted(strata, key=lambda stratum: seed_of("stratum", str(stratum)))
    chosen, spent = set[int](), 0
    for turn in range(max(map(len, strata.values()), default=0)):
        for members in (strata[stratum] for stratum in turns):
            if turn < len(members) and spent + members[turn][1] <= budget:
                chosen.add(members[turn][0])
                spent += members[turn][1]
    return chosen
