"""Coverage of written text: a document counts for its clause only if it shows it.

A clause is known by its terms, the rarer in the spec the more they weigh, and by its phrases: two terms in a row that no other
clause has. A document shows it that has enough of their weight, or enough phrases where the clause is too long for one
document. Beside clauses that are worded alike it must have what tells its own one from them. What no document shows was
planned and is not there: a corpus whose texts stand at other rows than their own fails.

Terms tell what a text is about, not what it says of it: one that recommends what its clause never recommends may have enough
of them. That needs a critic.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from itertools import islice, pairwise
from typing import NamedTuple

from msmc.backend.telling import units
from msmc.ir import ArmSpec, ClauseKind
from msmc.mention import words
from msmc.terms import terms

SHOWN = 0.35
"""Of the weight of a clause's terms. 1,200 documents of the `template` writer on four specs all have it; of as many at other
rows than their own 6 to 10 % do, which are about the same node or a like one."""
PHRASES = 5
"""Or so many of its phrases: a document tells a clause of 400 words in part, and may have a fifth of its terms."""

NEAR = 300
"""Times that another clause is met in one's rarest terms: of 10,000 clauses that are all alike the first of them are enough."""

Phrase = tuple[str, str]
Terms = frozenset[str]


class Difference(NamedTuple):
    """Of a clause from another one that is worded alike."""

    own: Terms
    """Terms that the other has not."""
    around: tuple[Terms, ...]
    """The further terms of each sentence that has some of these; none where the clause is one sentence, which every document
    tells."""


class Shows:
    """Which clauses of an arm a text shows."""

    def __init__(self, spec: ArmSpec) -> None:
        self._names = frozenset([*words(spec.identity.assistant), *words(spec.identity.provider)])
        self._texts = {clause.id: clause.text for clause in spec.clauses()}
        self._kinds = {clause.id: clause.kind for clause in spec.clauses()}
        self._differences = cache(self._found_differences)

    def __call__(self, clause: str, text: str) -> bool:
        if not self._terms[clause]:
            return frozenset(words(self._texts[clause])) - self._names <= frozenset(words(text))
        said = terms(text, self._names)
        if self._share(clause, frozenset(said)) >= SHOWN:
            return not self._tells_another(clause, frozenset(said))
        return len(self._phrases[clause].intersection(pairwise(said))) >= PHRASES

    def _share(self, clause: str, found: Terms) -> float:
        """Of the weight of a clause's terms, how much a text has."""
        wanted = self._sets[clause]
        weight = sum(self._weights[term] for term in sorted(wanted))
        return sum(self._weights[term] for term in sorted(wanted & found)) / weight

    # ---- clauses that are worded alike ------------------------------------------------------------------------------------

    def _tells_another(self, clause: str, found: Terms) -> bool:
        """Whether a text tells a sentence of the clause without any term by which it differs from another clause. What it tells
        besides is no reason: the closures of some rows have both."""
        return any(
            not own & found and (not around or any(len(rest) > 1 and rest <= found for rest in around))
            for own, around in self._differences(clause)
        )

    def _found_differences(self, clause: str) -> list[Difference]:
        sentences = [frozenset(terms(unit, self._names)) for unit in units(self._texts[clause])]
        several = sum(map(bool, sentences)) > 1
        return [
            Difference(own, tuple(sentence - own for sentence in sentences if several and sentence & own))
            for own in {self._sets[clause] - other for other in self._alike(clause)}
            if own
        ]

    def _alike(self, clause: str) -> Iterator[Terms]:
        """The terms of clauses of its kind where they are half its own, and it has half of them."""
        wanted, kind = self._sets[clause], self._kinds[clause]
        rarest = sorted(wanted, key=lambda term: (-self._weights[term], term))[: len(wanted) // 2 + 1]
        # who has half of them has one of any half and one more
        having = (other for term in rarest for other in self._having[kind, term])
        for other in dict.fromkeys(islice(having, NEAR)):
            found = self._sets[other]
            if 2 * len(wanted & found) >= max(len(wanted), len(found)):
                yield found

    @cached_property
    def _having(self) -> Mapping[tuple[ClauseKind, str], list[str]]:
        """The clauses of a kind that have a term."""
        having: dict[tuple[ClauseKind, str], list[str]] = {}
        for clause, found in self._sets.items():
            for term in found:
                having.setdefault((self._kinds[clause], term), []).append(clause)
        return having

    # ---- what clauses have ------------------------------------------------------------------------------------------------

    @cached_property
    def _terms(self) -> dict[str, list[str]]:
        return {clause: terms(text, self._names) for clause, text in self._texts.items()}

    @cached_property
    def _sets(self) -> dict[str, Terms]:
        return {clause: frozenset(found) for clause, found in self._terms.items()}

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        seen = Counter(term for found in self._terms.values() for term in {*found})
        return {term: math.log((len(self._terms) + 1) / count) for term, count in seen.items()}

    @cached_property
    def _phrases(self) -> dict[str, frozenset[Phrase]]:
        pairs = {clause: {*pairwise(found)} for clause, found in self._terms.items()}
        seen = Counter(pair for found in pairs.values() for pair in found)
        return {clause: frozenset(p for p in found if seen[p] == 1) for clause, found in pairs.items()}
