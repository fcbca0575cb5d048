"""The operations of an arm: pure functions from a spec to a spec."""

from collections.abc import Callable
from typing import Any, TypeVar

from msmc.digest import seed_of
from msmc.ir import (
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
    Subrule,
    UseOperation,
    Value,
)

MOST_MATCHED = 500
"""Rules that are matched one by one: each may ask all others, a call deep for each that gives way."""
NodeT = TypeVar("NodeT", Value, Rule, Subrule)


def use(spec: Spec, operation: UseOperation) -> Spec:
    """Another spec's values and rules under this spec's blocks."""
    return spec.model_copy(update={"values": operation.values, "rules": operation.rules})


def assistant(spec: Spec, operation: AssistantOperation) -> Spec:
    return spec.model_copy(update={"identity": operation.identity})


def specificity(spec: Spec, operation: SpecificityOperation) -> Spec:
    return spec.model_copy(update={"level": operation.level})


def style(spec: Spec, operation: StyleOperation) -> Spec:
    return spec.model_copy(update={"style": operation.style})


def replace(spec: Spec, operation: ReplaceOperation) -> Spec:
    """With another value in the place of one that rules serve."""
    old, new = operation.old, operation.new
    new = next((value for value in spec.values if value.id == new.id), new)  # with `use`, the other spec's
    if not any(old in rule.serves for rule in spec.rules):
        return spec
    rules = tuple(
        rule.model_copy(update={"serves": tuple(sorted({new.id if v == old else v for v in rule.serves}))})
        for rule in spec.rules
    )
    values = {v.id: v for v in spec.values if v.id != old} | {new.id: new}
    return spec.model_copy(update={"values": tuple(values[i] for i in sorted(values)), "rules": rules})


def shuffle(spec: Spec, operation: ShuffleOperation) -> Spec:
    """With the values that rules serve dealt out anew, so that no rule keeps one. As it was where that cannot be."""
    serves = {rule.id: rule.serves for rule in spec.rules if rule.serves}
    named = {rule.id: rule.was[0] if rule.was else rule.id.rpartition(".")[2] for rule in spec.rules}
    order = sorted(
        serves, key=lambda rule_id: (seed_of("shuffle", named[rule_id]), rule_id)
    )  # a rename deals nothing anew
    dealt = _rotated(serves, order) or _matched(serves, order)
    if dealt is None:
        return spec
    rules = tuple(r.model_copy(update={"serves": dealt.get(r.id, ())}) for r in spec.rules)
    return spec.model_copy(update={"rules": rules})


Serves = dict[str, tuple[str, ...]]


def _rotated(serves: Serves, order: list[str]) -> Serves | None:
    """By group, the largest first, each takes from as far on as that one is long: another group, if there is one for all."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for rule_id in order:
        groups.setdefault(serves[rule_id], []).append(rule_id)
    largest = max(map(len, groups.values()), default=0)
    ids = [i for group in sorted(groups.values(), key=lambda g: -len(g)) for i in group]
    dealt = {ids[n]: serves[ids[(n + largest) % len(ids)]] for n in range(len(ids))}
    return dealt if dealt and all(not set(dealt[i]) & set(serves[i]) for i in ids) else None


def _matched(serves: Serves, order: list[str]) -> Serves | None:
    """Where rules serve several values: a matching of rules with rules that serve none of theirs, by augmenting paths."""
    takers: dict[str, str] = {}

    def place(rule_id: str, tried: set[str]) -> bool:
        for giver in order:
            if giver not in tried and not set(serves[giver]) & set(serves[rule_id]):
                tried.add(giver)
                if giver not in takers or place(takers[giver], tried):
                    takers[giver] = rule_id
                    return True
        return False

    if not order or len(order) > MOST_MATCHED or not all(place(rule_id, set()) for rule_id in order):
        return None
    return {taker: serves[giver] for giver, taker in takers.items()}


def keep(spec: Spec, operation: KeepOperation) -> Spec:
    """Nothing but some rules, all of each, with the values that they serve, and some values."""
    rules = tuple(rule for rule in spec.rules if rule.id in operation.ids)
    wanted = {*operation.ids, *(value for rule in rules for value in rule.serves)}
    values = tuple(value for value in spec.values if value.id in wanted)
    return spec.model_copy(update={"values": values, "rules": rules})


def drop(spec: Spec, operation: DropOperation) -> Spec:
    """Without the parts of some kinds; with `of`, only those of that node."""
    of = operation.of

    def here(node_id: str) -> bool:
        return of is None or node_id == of or node_id.startswith(of + ".")

    values, rules = spec.values, spec.rules
    for kind in operation.kinds:
        if kind == "value":
            gone = {v.id for v in values if here(v.id)}
            values = tuple(v for v in values if v.id not in gone)
            rules = tuple(r.model_copy(update={"serves": tuple(s for s in r.serves if s not in gone)}) for r in rules)
        elif kind == "rationale":
            values = tuple(_without_rationale(v, here) for v in values)
            rules = tuple(
                _without_rationale(r, here).model_copy(
                    update={"subrules": tuple(_without_rationale(s, here) for s in r.subrules)}
                )
                for r in rules
            )
        else:
            field = {"subrule": "subrules", "example": "examples", "serves": "serves"}[kind]
            rules = tuple(r.model_copy(update={field: _remaining(r, field, here)}) for r in rules)
    return spec.model_copy(update={"values": values, "rules": rules})


def _remaining(rule: Rule, field: str, here: Callable[[str], bool]) -> tuple[Any, ...]:
    if here(rule.id):
        return ()
    return tuple(part for part in getattr(rule, field) if field == "serves" or not here(part.id))


def _without_rationale(node: NodeT, here: Callable[[str], bool]) -> NodeT:
    if not (here(node.id) or here(f"{node.id}.rationale")):
        return node
    return node.model_copy(update={"rationale": None, **({"rationales_for": ()} if isinstance(node, Rule) else {})})


PASSES: dict[type, Callable[..., Spec]] = {
    UseOperation: use,
    AssistantOperation: assistant,
    SpecificityOperation: specificity,
    StyleOperation: style,
    ReplaceOperation: replace,
    ShuffleOperation: shuffle,
    KeepOperation: keep,
    DropOperation: drop,
}


def declares(operation: Operation) -> str:
    """What an operation says that it changes, as it is written."""
    if isinstance(operation, DropOperation):
        return f"drop {', '.join(operation.kinds)}" + (f" of {operation.of}" if operation.of else "")
    if isinstance(operation, UseOperation):
        return f"use {operation.spec}"
    if isinstance(operation, SpecificityOperation):
        return f"specificity {operation.level}"
    if isinstance(operation, StyleOperation):
        return f"style {operation.style}"
    if isinstance(operation, ReplaceOperation):
        return f"replace {operation.old} with {operation.new.id}"
    if isinstance(operation, KeepOperation):
        return f"keep {', '.join(operation.ids)}"
    return "shuffle serves" if isinstance(operation, ShuffleOperation) else "assistant"
