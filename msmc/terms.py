"""The words by which a text is known: without those that every text has, and without their endings."""

from collections.abc import Set
from functools import lru_cache

from msmc.mention import words

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
    return [stem(word) for word in words(text) if word not in EMPTY and word not in names]


@lru_cache(2**15)
def stem(word: str) -> str:
    """Without the endings of verbs and plurals, so that "recommend" is in "recommends"."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending).removesuffix("e")
    return word.removesuffix("e") if len(word) > 4 else word
