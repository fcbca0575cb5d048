"""What the folder of an arm holds: rows that are planned, and rows that exist, at the dose of a sweep."""

import math
from dataclasses import dataclass
from typing import Any

from msmc.build import OwnDocument, StaticDemo, digest
from msmc.ir import ArmSpec, Clause, Demos, Documents, Spec, Swept
from msmc.lower import content, demos, documents
from msmc.lower.sweeps import Point, counts, dosed, spread
from msmc.target import Context, Target


@dataclass(frozen=True)
class Contents:
    """What the folder of an arm plans."""

    documents: Documents | None
    per_clause: int
    demos: tuple[Demos, ...]
    chats: int
    """For each clause that a block of demos is about."""
    own: bool = True
    """With the spec's examples and what its author brought."""
    neutral: bool = False
    point: Point | None = None
    """Of a sweep: another dose of documents or demos, or another learning rate."""
    reserve: float = 0
    """Further documents of each clause, as a share of its documents."""
    matched_to: int = 0
    """Documents that the arm may need to be matched with others."""

    def _dose(self, what: Swept) -> float:
        return self.point.dose(what) if self.point else 1

    def target(self, target: Target) -> Target:
        """As the arm is trained."""
        return self.point.target(target) if self.point else target

    def numbers(self, planned: dict[str, list[Clause]]) -> dict[str, int]:
        """Documents of each clause."""
        ids = (clause.id for clauses in planned.values() for clause in clauses)
        return counts(ids, self.per_clause, self._dose("documents"))

    def reserves(self, planned: dict[str, list[Clause]]) -> dict[str, int]:
        """Further documents of each clause: cells behind those of its planned ones."""
        numbers = self.numbers(planned)
        missing = max(0, self.matched_to - sum(numbers.values()))
        grown = spread(numbers, missing)
        return {clause: math.ceil(round(self.reserve * n, 6)) + grown[clause] for clause, n in numbers.items()}

    def numbers_of_chats(self, block: Demos, arm: ArmSpec) -> dict[str, int]:
        return counts((clause.id for clause in arm.about(block.about)), self.chats, self._dose("demos"))

    def own_documents(self, spec: Spec, arm: ArmSpec) -> list[OwnDocument]:
        """Those that the author brought."""
        return dosed(documents.own(spec.own_documents, arm), self._dose("documents"))

    def own_chats(self, spec: Spec, arm: ArmSpec) -> dict[str, list[StaticDemo]]:
        """Chats that exist, by the file they go to."""
        own = {brought.name: demos.own(brought, arm) for brought in spec.own_demos}
        there = {"static": demos.static(arm), **own}
        return {name: dosed(chats, self._dose("demos")) for name, chats in there.items()}

    def sizes(self, spec: Spec, arm: ArmSpec) -> dict[Swept, tuple[int, ...]]:
        """Rows of each kind that a dose is taken of by itself."""
        written = self.numbers(content.planned(self.documents, arm))
        chats = [sum(self.numbers_of_chats(block, arm).values()) for block in self.demos]
        existing = [len(rows) for rows in self.own_chats(spec, arm).values()]
        return {
            "documents": (sum(written.values()), len(self.own_documents(spec, arm))),
            "demos": (*chats, *existing),
        }

    def planned_from(self, spec: ArmSpec, context: Context) -> dict[str, Any]:
        """What the planned documents depend on besides the words: their cells, and what the prompts of each node show."""
        axes = self.documents.model_dump(exclude={"about"}) if self.documents else None
        if context == "spec":
            closures = dict.fromkeys((node.id for node in spec.nodes), digest(content.whole(spec))[:16])
        else:
            closures = {node.id: digest(content.shown(spec, node.id))[:16] for node in spec.nodes}
        return {
            "axes": digest(axes)[:16],
            "closures": closures,
            "nodes": {clause.id: clause.node for clause in spec.clauses() if clause.id != clause.node},
            "shows": {rule.id: rule.serves for rule in spec.rules if rule.serves},
        }
