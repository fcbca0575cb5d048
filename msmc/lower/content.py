"""What of an arm its rows are made of. Apart from the rows themselves, since a check needs no templates."""

from collections.abc import Iterable
from typing import Any

from msmc.ir import ArmRule, ArmSpec, ArmValue, Clause, Demos, Documents, Spec
from msmc.prose import one_line

REASON_FOR = "the reason for "
TOLD = 10
"""Words by which a subrule is told from the others of its rule."""


def shown(spec: ArmSpec, node_id: str) -> dict[str, Any]:
    """A node's closure: a rule and the values it serves, or a value and the titles of its rules."""
    rules = [rule for rule in spec.rules if rule.id == node_id]
    values = [value for value in spec.values if value.id == node_id or any(value.id in rule.serves for rule in rules)]
    return {
        "values": [_value(value, spec, bool(rules)) for value in values],
        "rules": [rule.model_dump(exclude={"examples"}) | {"serving": []} for rule in rules],
    }


def whole(spec: ArmSpec) -> dict[str, Any]:
    """All of them, in the order of spec.md and without ids; a rule says by their titles which values it serves."""
    titles = {value.id: value.title for value in spec.values}
    rules = [
        {
            **rule.model_dump(include={"title", "priority", "statement", "rationale"}),
            "serving": [titles[value] for value in rule.serves],
            "subrules": [subrule.model_dump(exclude={"id"}) for subrule in rule.subrules],
        }
        for rule in spec.rules
    ]
    return {"values": [value.model_dump(exclude={"id"}) | {"rules": []} for value in spec.values], "rules": rules}


def _value(value: ArmValue, spec: ArmSpec, within_rule: bool) -> dict[str, Any]:
    # by their titles: a new id moves none of them
    rules = [] if within_rule else sorted(rule.title for rule in spec.rules if value.id in rule.serves)
    return {**value.model_dump(), "rules": rules}


def node(spec: ArmSpec, node_id: str) -> ArmValue | ArmRule:
    return next(n for n in spec.nodes if n.id == node_id)


def name_of(spec: ArmSpec, clause: Clause) -> str:
    """A clause as a prompt calls it, whose prefix has the text already."""
    parent = clause.id.removesuffix(".rationale")
    reason = REASON_FOR if parent != clause.id else ""
    found = node(spec, clause.node)
    subrules = found.subrules if isinstance(found, ArmRule) else ()
    subrule = next((s for s in subrules if s.id == parent), None)
    if subrule is None:
        return reason + ("the rule" if isinstance(found, ArmRule) else "the value")
    words = one_line(subrule.statement).split(" ")
    return f"{reason}this subrule: {' '.join(words[:TOLD])}{' …' if len(words) > TOLD else ''}"


def planned(block: Documents | Demos | None, spec: ArmSpec) -> dict[str, list[Clause]]:
    """The clauses to write about, by the value or rule they belong to."""
    found: dict[str, list[Clause]] = {}
    for clause in spec.about(block.about) if block else ():
        found.setdefault(clause.node, []).append(clause)
    return found


def trained_on(spec: Spec, arm: ArmSpec) -> tuple[Any, Any]:
    """What the documents of an arm are made of, and what its demos: two arms with the same have the same rows."""

    def written(blocks: Iterable[Documents | Demos | None]) -> list[Any]:
        return [(clauses, shown(arm, node)) for block in blocks for node, clauses in planned(block, arm).items()]

    def brought(field: str) -> list[Any]:
        return [row for rows in getattr(spec, field) for row in rows.rows if arm.meant(row.about)]

    examples = [example for rule in arm.rules for example in rule.examples]
    documents, chats = written([spec.documents]), written(spec.demos)
    return (
        (documents, documents and arm.identity, brought("own_documents")),
        (chats, chats and arm.identity, examples, brought("own_demos")),
    )
