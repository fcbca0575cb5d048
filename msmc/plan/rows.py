"""The documents of an arm, counted by clause: their cells follow from the counts, so that nothing looks at rows.

A clause's documents are the first cells of it in every arm. Two arms that have some of a clause share as many as the one with
fewer has, and where both also show a writer the same of the spec, they share the replies too.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msmc.build import Build
from msmc.digest import seed_of


def rows_of(build: Build, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for a in build.artefacts if a.path == path for line in a]


@dataclass(frozen=True)
class Counts:
    """Documents of one arm."""

    planned: Counter[str]
    """By clause."""
    reserve: Counter[str]
    own: Counter[str]
    """The author's, each by its id."""
    asked: Mapping[str, Hashable]
    """What the requests for a clause's cells depend on besides these: two arms with the same send the same ones."""
    spare: float
    """Rows of the reserve that the gates may need, as a share of the others."""

    @classmethod
    def of(cls, build: Build) -> Counts:
        manifest, own = build.manifest, rows_of(build, "documents/own_documents.jsonl")
        prints = manifest["fingerprints"]
        planned = Counter({clause: counts["documents"] for clause, counts in manifest["coverage"].items()})
        planned.subtract(clause for row in own for clause in row["about"])
        planned = +planned if build.num_documents else Counter()
        everywhere = prints["identity"], prints["templates"], prints["axes"]
        asked = {c: (*everywhere, prints["closures"][prints["nodes"].get(c, c)]) for c in planned}
        spare, ids = manifest["target"]["documents"]["reserve"], (row["id"] for row in own)
        return cls(planned, Counter(manifest["reserve"]), Counter(ids), asked, spare)

    def gated(self, clauses: Iterable[str], grown: Counter[str]) -> int:
        """Rows of the reserve that are written at worst, in place of such as the gates take."""
        most = {c: math.ceil(round(self.spare * (self.planned[c] + grown[c]), 6)) for c in clauses}
        return sum(min(self.reserve[c] - grown[c], number) for c, number in most.items())


def in_turns(there: Counter[str], wanted: int) -> Counter[str]:
    """So many of the rows that are there: the first of each clause, the second of each, and so on, as a run takes them."""
    taken, order = Counter[str](), sorted((c for c in there if there[c] > 0), key=lambda c: seed_of("turn", c))
    while wanted > 0 and order:
        turns = min(wanted // len(order), min(there[c] - taken[c] for c in order))
        for clause in order if turns else order[:wanted]:
            taken[clause] += max(1, turns)
        wanted -= turns * len(order) if turns else wanted
        order = [c for c in order if taken[c] < there[c]]
    return taken


def once(arms: Mapping[str, tuple[Counts, Counter[str]]]) -> dict[str, Counter[str]]:
    """Of each arm the rows that none before it has asked for, by clause; given with the rows that it grows by."""
    seen, found = Counter[Hashable](), dict[str, Counter[str]]()
    for arm, (counts, grown) in arms.items():
        new = Counter[str]()
        for clause, number in (counts.planned + grown).items():
            key = clause, counts.asked[clause]
            new[clause] = max(0, number - seen[key])
            seen[key] = max(number, seen[key])
        found[arm] = +new
    return found
