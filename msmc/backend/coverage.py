"""Coverage of written text: a document counts for its clause only if it shows it.

A clause is known by its terms, the rarer in the spec the more they weigh; a document shows it that has enough of their weight.
What no document shows was planned and is not there: a corpus whose texts stand at other rows than their own fails.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from msmc.ir import ArmSpec
from msmc.mention import words
from msmc.terms import terms

SHOWN = 0.35
"""Of the weight of a clause's terms. 1,080 documents of the `template` writer on three specs all have it; of as many at other
rows than their own 4, 5 and 6 % do, which are about the same node."""


class Shows:
    """Which clauses of an arm a text shows."""

    def __init__(self, spec: ArmSpec) -> None:
        self._clauses = {clause.id: clause for clause in spec.clauses()}
        self._names = frozenset([*words(spec.identity.assistant), *words(spec.identity.provider)])

    @cached_property
    def _terms(self) -> dict[str, frozenset[str]]:
        return {i: frozenset(terms(clause.text, self._names)) for i, clause in self._clauses.items()}

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        seen = Counter(term for found in self._terms.values() for term in found)
        return {term: math.log((len(self._terms) + 1) / count) for term, count in seen.items()}

    def share(self, clause: str, text: str) -> float:
        """Of the weight of a clause's terms, how much a text has; all of it where the clause has none."""
        wanted, found = self._terms[clause], {*terms(text, self._names)}
        weight = sum(self._weights[term] for term in sorted(wanted))
        return sum(self._weights[term] for term in sorted(wanted & found)) / weight if weight else 1.0

    def __call__(self, clause: str, text: str) -> bool:
        return self.share(clause, text) >= SHOWN


def covered(spec: ArmSpec, planned: Mapping[str, int], rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """By clause: documents planned, kept after the gates, and those of them that show it."""
    shows, counts = (
        Shows(spec),
        {clause: Counter(planned=number, kept=0, shown=0) for clause, number in planned.items()},
    )
    for row in rows:
        clause = row["about"][0]
        if clause in counts and "cell" in row:
            counts[clause]["kept"] += 1
            counts[clause]["shown"] += shows(clause, row["text"])
    return {clause: dict(count) for clause, count in counts.items()}
