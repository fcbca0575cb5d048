"""What too many documents of a corpus have: an opening, a phrase, a name that a writer falls back on.

The spec's own words may be in every document. A document is judged by those before it, and is taken where it would be one too
many; so whatever a writer's favourite is, so many of its documents are kept.
"""

import re
from collections import Counter
from collections.abc import Sequence
from math import ceil

import numpy as np

from msmc.backend.gates.found import Found, short
from msmc.backend.gates.grams import grams
from msmc.gated import Gated, Repeated
from msmc.mention import place, words

COUNTERS = 2**24
"""Of phrases, each at its number's remainder. Even 60 million phrases are four to a counter, where thousands are too many."""
NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+(?: (?:[A-Z]\.|de|van|von)| [A-Z][a-z]+)* [A-Z][a-z]+\b")
"""Two or more words with capitals within a sentence."""
NO_NAMES = frozenset(["Model Spec"])


class Repeats:
    """The corpus so far."""

    def __init__(self, gated: Gated, planned: int, own: str, names: frozenset[str]) -> None:
        """`planned`: documents of the arm; `own`: the spec's words; `names`: the assistant's and its provider's."""
        self._openings, self._phrases, self._names = gated.openings, gated.phrases, gated.names
        self._most = {how: _most(how, planned) for how in (self._openings, self._phrases, self._names) if how}
        self._own, self._own_names = own, names
        self._opened, self._named = Counter[str](), Counter[str]()
        self._counts = np.zeros(COUNTERS if gated.phrases else 0, np.uint32)
        size = gated.phrases.words if gated.phrases else 1
        self._own_grams = frozenset(grams(words(own), size).tolist())

    def __call__(self, text: str, parts: Sequence[str]) -> Found | None:
        """Whether a document is one too many; one that is none counts from now on. `parts`: its words."""
        opening = " ".join(parts[: self._openings.words]) if self._openings else ""
        own_names = sorted(self._found_names(text)) if self._names else []
        phrases = np.empty(0, np.int64)
        if self._openings and self._opened[opening] >= self._most[self._openings]:
            return Found("openings", "opens like too many others", 0, opening)
        if self._phrases:
            all_grams = grams(parts, self._phrases.words)
            phrases = (all_grams % np.uint64(COUNTERS)).astype(np.int64)
            for number in np.flatnonzero(self._counts[phrases] >= self._most[self._phrases]).tolist():
                if int(all_grams[number]) not in self._own_grams:
                    start, end = place(text, number, self._phrases.words)
                    what = short(text[start:end], 120)
                    return Found("phrases", "has a phrase that too many others have", start, what)
        for name, at in own_names:
            if self._names and self._named[name] >= self._most[self._names]:
                return Found("names", "has a name that too many others have", at, name)
        self._opened[opening] += 1
        self._named.update(name for name, _ in own_names)
        self._counts[np.unique(phrases)] += 1
        return None

    def _found_names(self, text: str) -> set[tuple[str, int]]:
        """Each name with its first place."""
        found = dict[str, int]()
        for match in NAME.finditer(text):
            if match[0] not in self._own and match[0] not in NO_NAMES and not self._own_names & set(words(match[0])):
                found.setdefault(match[0], match.start())
        return set(found.items())


def _most(how: Repeated, planned: int) -> int:
    return max(how.least, ceil(round(how.share * planned, 6)))
