"""Arms: pure functions from a spec to a spec, then the words that an arm says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import (
    Ablation,
    Arm,
    ArmExample,
    ArmRule,
    ArmSpec,
    ArmSubrule,
    ArmTurn,
    ArmValue,
    AssistantOperation,
    DropOperation,
    Identity,
    Level,
    Rule,
    Spec,
    SpecificityOperation,
    Subrule,
    UseOperation,
    Value,
    Wordings,
)
from msmc.source import Span

NodeT = TypeVar("NodeT", Value, Rule, Subrule)


def use(spec: Spec, operation: UseOperation) -> Spec:
    """Another spec's values and rules under this spec's blocks."""
    return spec.model_copy(update={"values": operation.values, "rules": operation.rules})


def assistant(spec: Spec, operation: AssistantOperation) -> Spec:
    return spec.model_copy(update={"identity": operation.identity})


def specificity(spec: Spec, operation: SpecificityOperation) -> Spec:
    return spec.model_copy(update={"level": operation.level})


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
    return node.model_copy(update={"rationale": None}) if here(node.id) or here(f"{node.id}.rationale") else node


PASSES: dict[type, Callable[..., Spec]] = {
    UseOperation: use,
    AssistantOperation: assistant,
    SpecificityOperation: specificity,
    DropOperation: drop,
}


@dataclass(frozen=True)
class MadeArm:
    """An arm's name (`full` or `<ablation>.<arm>`), what it says, and the fields its operations declare to change."""

    name: str
    spec: ArmSpec
    spans: dict[str, Span]
    """Id to place: with `use`, the other spec's places under this spec's ids."""
    declared: tuple[str, ...] = ()


class ArmSet(NamedTuple):
    """What one ablation builds."""

    made: tuple[MadeArm, ...]
    """The arms, `full` first."""
    names: dict[str, str]
    """Each declared arm to the build arm that it is: itself, or the one it comes out equal to."""


def arm_sets(
    spec: Spec, identity: Identity | None, spans: dict[str, Span]
) -> tuple[dict[str | None, ArmSet], list[Diagnostic]]:
    """The arms of each ablation, under None `full` alone; and what is wrong with them.

    `identity` is the target's and stands before the spec's own; an arm's `assistant` stands before both.
    """
    base = spec.model_copy(update={"identity": identity}) if identity else spec
    said, problems = say(base, spans)
    full = MadeArm("full", said, spans)
    sets: dict[str | None, ArmSet] = {None: ArmSet((full,), {})}
    for ablation in spec.ablations:
        sets[ablation.name], more = _arm_set(base, full, ablation)
        problems += [p for p in more if p not in problems]
    return sets, problems


def others(sets: dict[str | None, ArmSet]) -> list[ArmSpec]:
    """What arms of any ablation say instead of this spec: of any, so that eval rows do not depend on the one compiled."""
    made = [arm for arm_set in sets.values() for arm in arm_set.made[1:]]
    return [arm.spec for arm in made if any(d.startswith("use ") for d in arm.declared)]


def _arm_set(base: Spec, full: MadeArm, ablation: Ablation) -> tuple[ArmSet, list[Diagnostic]]:
    made, names, problems = [full], dict[str, str](), list[Diagnostic]()
    for arm in ablation.arms:
        where = Label(full.spans[f"{base.name} arm {ablation.name}.{arm.name}"], f"arm {arm.name}")
        applied, more = _apply(base, arm, where)
        problems += more
        places = _places(arm, base.name, full.spans)
        said, more = say(applied, places)
        problems += more
        equal = next((m for m in made if m.spec == said), None)
        twin = next((name for name, build in names.items() if equal and build == equal.name), None)
        if twin:
            message = f"the arms `{twin}` and `{arm.name}` come out equal"
            problems.append(Diagnostic("equal-arms", message, where, hint="remove one of them"))
        names[arm.name] = equal.name if equal else f"{ablation.name}.{arm.name}"
        if equal is None:
            made.append(MadeArm(names[arm.name], said, places, tuple(_declares(o) for o in arm.operations)))
    return ArmSet(tuple(made), names), problems


def _places(arm: Arm, root: str, spans: dict[str, Span]) -> dict[str, Span]:
    used = [operation.spec for operation in arm.operations if isinstance(operation, UseOperation)]
    if not used:
        return spans
    moved = {i: span for i, span in spans.items() if i.startswith(used[0] + ".")}
    return spans | {root + i.removeprefix(used[0]): span for i, span in moved.items()}


def _apply(spec: Spec, arm: Arm, where: Label) -> tuple[Spec, list[Diagnostic]]:
    problems = []
    for operation in arm.operations:
        changed = PASSES[type(operation)](spec, operation)
        if changed == spec:
            message = f"`{_declares(operation)}` changes nothing in the arm `{arm.name}`"
            problems.append(Diagnostic("matches-nothing", message, where, hint="remove the operation"))
        spec = changed
    return spec, problems


def _declares(operation: Any) -> str:
    if isinstance(operation, DropOperation):
        return f"drop {', '.join(operation.kinds)}" + (f" of {operation.of}" if operation.of else "")
    if isinstance(operation, UseOperation):
        return f"use {operation.spec}"
    return f"specificity {operation.level}" if isinstance(operation, SpecificityOperation) else "assistant"


# ---- the words ----------------------------------------------------------------------------------------------------------


def say(spec: Spec, spans: dict[str, Span]) -> tuple[ArmSpec, list[Diagnostic]]:
    """The spec with its identity filled in and one wording chosen for each clause."""
    if spec.identity is None:
        hint = 'add to the spec: assistant "NAME" by "PROVIDER"'
        return ArmSpec.model_construct(
            name=spec.name, title=spec.title.plain, identity=Identity.model_construct(assistant="", provider="")
        ), [Diagnostic("field-missing", "nobody says whom this spec is about", Label(spans[spec.name]), hint=hint)]
    speaker = _Speaker(spec.identity, spec.level, spans)
    values = tuple(
        ArmValue.model_construct(
            id=v.id,
            title=v.title.fill(speaker.names),
            statement=speaker.must(v.id, v.statement),
            rationale=speaker.may(v.id, v.rationale),
        )
        for v in spec.values
    )
    return ArmSpec.model_construct(
        name=spec.name,
        title=spec.title.fill(speaker.names),
        identity=spec.identity,
        values=tuple(sorted(values, key=lambda v: v.id)),
        rules=tuple(sorted((speaker.rule(r) for r in spec.rules), key=lambda r: r.id)),
    ), speaker.problems


class _Speaker:
    def __init__(self, identity: Identity, level: Level | None, spans: dict[str, Span]) -> None:
        self.names = {"assistant": identity.assistant, "provider": identity.provider}
        self.level, self.spans = level, spans
        self.problems: list[Diagnostic] = []

    def must(self, clause: str, wordings: Wordings) -> str:
        text = wordings.pick(self.level)
        if text is None:
            level = self.level or "specific"
            note = "nothing is selected, so the specific wording stands" if self.level is None else ""
            where = Label(self.spans[clause], f"no {level} wording")
            hint = f'add: statement {level} "…"; or select another level with `specificity`'
            message = f"`{clause}` has no {level} wording"
            self.problems.append(Diagnostic("missing-wording", message, where, note=note, hint=hint))
            return ""
        return text.fill(self.names)

    def may(self, node: str, wordings: Wordings | None) -> str | None:
        return None if wordings is None else self.must(f"{node}.rationale", wordings)

    def rule(self, rule: Rule) -> ArmRule:
        return ArmRule.model_construct(
            id=rule.id,
            title=rule.title.fill(self.names),
            serves=rule.serves,
            statement=self.must(rule.id, rule.statement),
            rationale=self.may(rule.id, rule.rationale),
            subrules=tuple(
                ArmSubrule.model_construct(
                    id=s.id, statement=self.must(s.id, s.statement), rationale=self.may(s.id, s.rationale)
                )
                for s in rule.subrules
            ),
            examples=tuple(
                ArmExample.model_construct(
                    id=e.id,
                    messages=tuple(
                        ArmTurn.model_construct(role=t.role, content=t.text.fill(self.names)) for t in e.turns
                    ),
                )
                for e in rule.examples
            ),
        )
