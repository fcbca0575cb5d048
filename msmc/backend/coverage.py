"""Coverage of written text: a document counts for its clause only if it shows it.

A clause is known by its terms, the rarer in the spec the more they weigh, and by its phrases: two terms in a row that no other
clause has. A document shows it that has enough of their weight, or enough phrases where the clause is too long for one
document. What no document shows was planned and is not there: a corpus whose texts stand at other rows than their own fails.
"""

import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise

from msmc.ir import ArmSpec
from msmc.mention import words
from msmc.terms import terms

SHOWN = 0.35
"""Of the weight of a clause's terms. 1,200 documents of the `template` writer on four specs all have it; of as many at other
rows than their own 6 to 10 % do, which are about the same node or a like one."""
PHRASES = 5
"""Or so many of its phrases: a document tells a clause of 400 words in part, and may have a fifth of its terms."""

Phrase = tuple[str, str]


class Shows:
    """Which clauses of an arm a text shows."""

    def __init__(self, spec: ArmSpec) -> None:
        self._names = frozenset([*words(spec.identity.assistant), *words(spec.identity.provider)])
        self._texts = {clause.id: clause.text for clause in spec.clauses()}

    def __call__(self, clause: str, text: str) -> bool:
        said = terms(text, self._names)
        enough = self._share(clause, frozenset(said)) >= SHOWN
        return enough or len(self._phrases[clause].intersection(pairwise(said))) >= PHRASES

    def _share(self, clause: str, found: frozenset[str]) -> float:
        """Of the weight of a clause's terms, how much a text has; all of it where the clause has none."""
        wanted = frozenset(self._terms[clause])
        weight = sum(self._weights[term] for term in sorted(wanted))
        return sum(self._weights[term] for term in sorted(wanted & found)) / weight if weight else 1.0

    @cached_property
    def _terms(self) -> dict[str, list[str]]:
        return {clause: terms(text, self._names) for clause, text in self._texts.items()}

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        seen = Counter(term for found in self._terms.values() for term in {*found})
        return {term: math.log((len(self._terms) + 1) / count) for term, count in seen.items()}

    @cached_property
    def _phrases(self) -> dict[str, frozenset[Phrase]]:
        pairs = {clause: {*pairwise(found)} for clause, found in self._terms.items()}
        seen = Counter(pair for found in pairs.values() for pair in found)
        return {clause: frozenset(p for p in found if seen[p] == 1) for clause, found in pairs.items()}
