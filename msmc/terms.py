"""The words by which a text is known: without those that every text has, and without their endings.

In a script that puts no spaces between words (Chinese, Japanese, Thai, …) they are every two letters in a row.
"""

import re
import unicodedata
from collections.abc import Iterator, Set
from functools import lru_cache
from itertools import pairwise

from msmc.mention import words
from msmc.prose import WIDE

EMPTY = frozenset(
    words(
        """
        a an the this that these those it its he she they them their his her you your we our i my me us and or but so because
        since as for of to in on at by with from into than then is are was were be been being do does did has have had will
        would should can could may might must want wants which who what when where there here also just very why reason
        """
    )
)
"""Words that say nothing by themselves."""


def terms(text: str, names: Set[str] = frozenset()) -> list[str]:
    """In their order, repeated as they are; without `names`, which every text of a corpus has."""
    if not text.isascii() and re.search(
        WIDE, text
    ):  # `re` keeps the pattern, which a check of most specs need not make
        parts = frozenset(part for name in names for part in _runs(name))
        return [term for run in _runs(text) for term in _of_run(run, parts)]
    return [stem(word) for word in words(text) if word not in EMPTY and word not in names]


def _runs(text: str) -> list[str]:
    """The parts of a text that are of scripts without spaces, and those between them."""
    return re.findall(rf"{WIDE}+|[^{WIDE[1:]}+", unicodedata.normalize("NFC", text.casefold()))


def _of_run(run: str, names: Set[str]) -> Iterator[str]:
    """A name may stand in a run without a space around it."""
    if not re.match(WIDE, run):
        yield from terms(run, names)
        return
    glued = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    for part in re.split(glued or "(?!)", run):
        yield from map("".join, pairwise(part)) if len(part) > 1 else part


@lru_cache(2**15)
def stem(word: str) -> str:
    """Without the endings of verbs and plurals, so that "recommend" is in "recommends"."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending).removesuffix("e")
    return word.removesuffix("e") if len(word) > 4 else word
