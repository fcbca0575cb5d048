"""The proof of arms: what differs between two, field by field, and that an operation says so."""

from collections.abc import Callable
from typing import Any

from msmc.ir import (
    ArmSpec,
    AssistantOperation,
    DropOperation,
    KeepOperation,
    Operation,
    ReplaceOperation,
    Rule,
    ShuffleOperation,
    Spec,
    SpecificityOperation,
    StyleOperation,
    UseOperation,
    Wordings,
)
from msmc.lower.say import all_wordings

Field = tuple[str, str]
"""The id of a node and the name of a field of it; the spec's own for `assistant`."""


def fields(spec: ArmSpec) -> dict[Field, Any]:
    """All that an arm says, by node and field."""
    found: dict[Field, Any] = {(spec.name, "assistant"): spec.identity, (spec.name, "title"): spec.title}
    for value in spec.values:
        found |= {(value.id, "title"): value.title, (value.id, "statement"): value.statement}
        found |= {(value.id, "rationale"): value.rationale} if value.rationale is not None else {}
    for rule in spec.rules:
        found |= {(rule.id, "title"): rule.title, (rule.id, "statement"): rule.statement}
        found |= {(rule.id, "rationale"): rule.rationale} if rule.rationale is not None else {}
        found |= {(rule.id, "serves"): rule.serves, (rule.id, "priority"): rule.priority}
        for subrule in rule.subrules:
            found[subrule.id, "statement"] = subrule.statement
            found |= {(subrule.id, "rationale"): subrule.rationale} if subrule.rationale is not None else {}
        found |= {(example.id, "messages"): example.messages for example in rule.examples}
    return found


def differences(a: ArmSpec, b: ArmSpec) -> list[Field]:
    """The fields that only one of two arms has, or that say something else in it."""
    left, right = fields(a), fields(b)
    return sorted(field for field in left.keys() | right.keys() if left.get(field) != right.get(field))


def undeclared(spec: Spec, full: ArmSpec, arm: ArmSpec, operations: tuple[Operation, ...]) -> list[Field]:
    """Differences to `full` that no operation of the arm declares: there are none, or the compiler is wrong.

    `full` says all with the names that the arm has.
    """
    declared = [_PERMITS[type(operation)](spec, operation) for operation in operations]
    there = fields(arm)
    return [f for f in differences(full, arm) if not any(permits(*f, f not in there) for permits in declared)]


# ---- what each operation declares ------------------------------------------------------------------------------------------

Permits = Callable[[str, str, bool], bool]
"""May this field of a node differ? The last says that the arm does not have it."""


def _anything(spec: Spec, operation: UseOperation) -> Permits:
    return lambda node_id, field, gone: (node_id, field) != (spec.name, "assistant")


def _nothing(spec: Spec, operation: AssistantOperation) -> Permits:
    return lambda node_id, field, gone: False  # what it is compared with has its names


def _worded(by: Callable[[Wordings], bool]) -> Callable[[Spec, Any], Permits]:
    """The texts that are worded in some way."""

    def permits(spec: Spec, operation: SpecificityOperation | StyleOperation) -> Permits:
        found = {(node_id, field) for node_id, field, wordings in all_wordings(spec) if by(wordings)}
        return lambda node_id, field, gone: (node_id, field) in found

    return permits


def _links(rules: list[Rule]) -> set[Field]:
    """What depends on the values that some rules serve."""
    return {(r.id, "serves") for r in rules} | {(r.id, "rationale") for r in rules if r.rationales_for}


def _replaced(spec: Spec, operation: ReplaceOperation) -> Permits:
    moved = _links([rule for rule in spec.rules if operation.old in rule.serves])
    values = (operation.old, operation.new.id)
    return lambda node_id, field, gone: node_id in values or (node_id, field) in moved


def _shuffled(spec: Spec, operation: ShuffleOperation) -> Permits:
    moved = _links([rule for rule in spec.rules if rule.serves])
    return lambda node_id, field, gone: (node_id, field) in moved


def _kept(spec: Spec, operation: KeepOperation) -> Permits:
    kept = tuple(f"{i}." for i in operation.ids)
    return lambda node_id, field, gone: gone and not f"{node_id}.".startswith(kept) and node_id != spec.name


def _dropped(spec: Spec, operation: DropOperation) -> Permits:
    of = operation.of

    def here(node_id: str) -> bool:
        return of is None or node_id == of or node_id.startswith(of + ".")

    lost = {value.id for value in spec.values if here(value.id)} if "value" in operation.kinds else set()
    if "value" in operation.kinds:
        lost |= {v for rule in spec.rules for v in rule.serves if here(v)}
    unlinked = _links([r for r in spec.rules if lost & {*r.serves}])
    if "serves" in operation.kinds:
        unlinked |= _links([r for r in spec.rules if here(r.id)])
    parts = {"subrule": {s.id for r in spec.rules for s in r.subrules}}
    parts["example"] = {e.id for r in spec.rules for e in r.examples}
    dropped = {i for kind, ids in parts.items() if kind in operation.kinds for i in ids}

    def permits(node_id: str, field: str, gone: bool) -> bool:
        if node_id in lost or (node_id, field) in unlinked or (node_id in dropped and here(node_id)):
            return True
        clause = f"{node_id}.{field}" if field == "rationale" else node_id
        return "rationale" in operation.kinds and field == "rationale" and (here(node_id) or here(clause))

    return permits


_PERMITS: dict[type, Callable[[Spec, Any], Permits]] = {
    UseOperation: _anything,
    AssistantOperation: _nothing,
    SpecificityOperation: _worded(lambda wordings: wordings.plain is None and not wordings.styles),
    StyleOperation: _worded(lambda wordings: bool(wordings.styles)),
    ReplaceOperation: _replaced,
    ShuffleOperation: _shuffled,
    KeepOperation: _kept,
    DropOperation: _dropped,
}
