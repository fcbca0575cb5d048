"""Arms: what the operations of each make of a spec, and what is wrong with them."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from msmc.analyze.nodes import move_id
from msmc.diagnostics import Diagnostic, Label
from msmc.ir import (
    Ablation,
    Arm,
    ArmSpec,
    DropOperation,
    Identity,
    KeepOperation,
    Operation,
    ReplaceOperation,
    ShuffleOperation,
    Spec,
    SpecificityOperation,
    StyleOperation,
    UseOperation,
)
from msmc.lower.content import trained_on
from msmc.lower.passes import PASSES, declares
from msmc.lower.say import all_wordings, reasons, say
from msmc.source import Span


@dataclass(frozen=True)
class MadeArm:
    """An arm's name (`full` or `<ablation>.<arm>`), what it says, and the operations that made it."""

    name: str
    spec: ArmSpec
    spans: dict[str, Span]
    """Id to place: with `use`, the other spec's places under this spec's ids."""
    operations: tuple[Operation, ...] = ()
    lent: ArmSpec | None = None
    """With `use`, what it says of `full`'s assistant: recall's wrong answers come from there."""

    @property
    def declared(self) -> tuple[str, ...]:
        """What the operations say that they change, as they are written."""
        return tuple(map(declares, self.operations))

    @property
    def used(self) -> str | None:
        """The spec whose nodes stand under this one's ids, if the arm uses one."""
        return next((o.spec for o in self.operations if isinstance(o, UseOperation)), None)


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
    full = MadeArm("full", said, _places(base, None, spans))
    sets: dict[str | None, ArmSet] = {None: ArmSet((full,), {})}
    for ablation in spec.ablations:
        sets[ablation.name], more = _arm_set(base, full, ablation, spans)
        problems += [p for p in more if p not in problems]
    return sets, problems


def others(sets: dict[str | None, ArmSet]) -> list[ArmSpec]:
    """What arms of any ablation say instead of this spec: of any, so that eval rows do not depend on the one compiled."""
    made = sorted((arm for arm_set in sets.values() for arm in arm_set.made[1:]), key=lambda arm: arm.name)
    return [arm.lent for arm in made if arm.lent]


def _arm_set(base: Spec, full: MadeArm, ablation: Ablation, spans: dict[str, Span]) -> tuple[ArmSet, list[Diagnostic]]:
    """Two arms that come out with the same spec, or with the same rows to train on.

    They would be trained twice and compared with each other. What they differ in must reach the rows that `vary` names:
    with `vary documents` a difference in examples alone does not. An arm without operations is `full`, which is always there.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms." }
          ablation parts {
            arm bare { drop rationale }
            arm rules { drop rationale of green }
          }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms." }
          ablation parts { arm bare { drop rationale } }
        }
    """
    from msmc.lower.proof import undeclared  # most specs that are checked have no arms

    made, names, problems, idlers = [full], dict[str, str](), list[Diagnostic](), set[str]()
    for arm in ablation.arms:
        where = Label(spans[f"{base.name} arm {ablation.name}.{arm.name}"], f"arm {arm.name}")
        applied, more = _apply(base, arm, where)
        problems += more
        if any(
            problem.severity == "error" for problem in more
        ):  # an operation that does nothing is why two come out equal
            idlers.add(arm.name)
        places = _places(applied, arm, spans)
        said, more = say(applied, places)
        problems += more
        equal = next((m for m in made if m.spec == said), None)
        twin = next((name for name, build in names.items() if equal and build == equal.name), None)
        if twin and not {twin, arm.name} & idlers:
            message = f"the arms `{twin}` and `{arm.name}` come out equal"
            problems.append(Diagnostic("equal-arms", message, where, hint="remove one of them"))
        names[arm.name] = equal.name if equal else f"{ablation.name}.{arm.name}"
        if equal is None:
            named, _ = say(base.model_copy(update={"identity": applied.identity}), full.spans)
            errors = [problem for problem in problems if problem.severity == "error"]
            if not errors and (secret := undeclared(base, named, said, arm.operations)):
                raise RuntimeError(f"the arm `{arm.name}` differs in what none of its operations declares: {secret}")
            new = MadeArm(names[arm.name], said, places, arm.operations)
            if new.used:
                new = replace(new, lent=say(applied.model_copy(update={"identity": base.identity}), places)[0])
            made.append(new)
    problems += _same_rows(base, ablation, [m for m in made if m.name.rpartition(".")[2] not in idlers], spans)
    return ArmSet(tuple(made), names), problems


def _same_rows(base: Spec, ablation: Ablation, made: list[MadeArm], spans: dict[str, Span]) -> list[Diagnostic]:
    """Arms whose difference reaches none of the rows that they are trained on."""
    if not (base.documents or base.own_documents or base.demos or base.own_demos):
        return []  # it is there to be extended
    problems, before = list[Diagnostic](), list[tuple[MadeArm, dict[str, Any]]]()
    for arm in made:
        rows = dict(zip(("documents", "demos"), trained_on(base, arm.spec), strict=True))
        varied = [what for what in rows if ablation.vary in (what, "both", "cross")]
        twin = next((twin for twin in before if all(twin[1][what] == rows[what] for what in varied)), None)
        if twin:
            names = " and ".join(f"`{one.name.rpartition('.')[2]}`" for one in (twin[0], arm))
            where = Label(
                spans[f"{base.name} arm {arm.name}"], f"what it differs in reaches no {' and no '.join(varied)}"
            )
            other = next((what for what in rows if twin[1][what] != rows[what]), None)
            hint = f"write: vary {other}" if other else "let a block be about what differs, or remove one of them"
            problems.append(
                Diagnostic("equal-arms", f"the arms {names} are trained on the same rows", where, hint=hint)
            )
        before.append((arm, rows))
    return problems


def _places(applied: Spec, arm: Arm | None, spans: dict[str, Span]) -> dict[str, Span]:
    """Where an arm's nodes stand: with `use` in the other spec, and a reason where the one was written that is given."""
    used = [operation.spec for operation in (arm.operations if arm else ()) if isinstance(operation, UseOperation)]
    found = dict(spans)
    for key, span in spans.items() if used else ():
        if key.startswith(used[0] + "."):  # `X.rationale for V` names two ids
            found[" for ".join(move_id(node_id, used[0], applied.name) for node_id in key.split(" for "))] = span
    for rule in applied.rules:
        for value in reasons(rule)[:1]:
            if place := found.get(f"{rule.id}.rationale for {value}"):
                found[f"{rule.id}.rationale"] = place
    return found


def _apply(spec: Spec, arm: Arm, where: Label) -> tuple[Spec, list[Diagnostic]]:
    """An operation of an arm, or a block, that finds nothing to work on.

    An arm that drops what is not there is `full` under another name, and the comparison with it would measure noise.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms." }
          ablation parts { arm bare { drop subrule } }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms." }
          ablation parts { arm bare { drop rationale } }
        }
    """
    problems = []
    for operation in arm.operations:
        changed = PASSES[type(operation)](spec, operation)
        problems += [
            Diagnostic(
                "matches-nothing", f"`{idle}` matches nothing in the arm `{arm.name}`", where, hint="leave it out"
            )
            for idle in _idle_parts(spec, operation)
        ]
        if changed == spec:
            message = f"`{declares(operation)}` changes nothing in the arm `{arm.name}`"
            note = ""
            if isinstance(operation, ShuffleOperation):
                note = (
                    "each rule takes the values of another one that serves none of its own, and for some none was found"
                )
            problems.append(Diagnostic("matches-nothing", message, where, note=note, hint="remove the operation"))
        elif isinstance(operation, ReplaceOperation):
            problems += _plain_reasons(spec, operation, where)
        spec = changed
    return spec, problems


def _idle_parts(spec: Spec, operation: Operation) -> list[str]:
    """The parts of an operation that find nothing, where others do or where nothing shows it at once."""
    if isinstance(operation, KeepOperation):
        there = {value.id for value in spec.values} | {rule.id for rule in spec.rules}
        return [f"keep {node_id}" for node_id in operation.ids if node_id not in there]
    if isinstance(operation, DropOperation) and len(operation.kinds) > 1:
        parts = [operation.model_copy(update={"kinds": (kind,)}) for kind in operation.kinds]
        idle = [declares(part) for part in parts if PASSES[DropOperation](spec, part) == spec]
        return idle if len(idle) < len(parts) else []  # else the whole changes nothing, which is told
    texts = [wordings for _, _, wordings in all_wordings(spec)]
    if isinstance(operation, SpecificityOperation) and not any(w.general or w.specific for w in texts):
        return [declares(operation)]
    styles = {styled.style for wordings in texts for styled in wordings.styles}
    return [declares(operation)] if isinstance(operation, StyleOperation) and operation.style not in styles else []


def _plain_reasons(spec: Spec, operation: ReplaceOperation, where: Label) -> list[Diagnostic]:
    """Rules that go on to give the old value's reason.

    plain-rationale: A value that takes over rules whose reason was written for another value.

    After `replace A with B` a rule with a plain rationale goes on to give A's reason while it serves B. `rationale for B` is
    the reason that stands where the rule serves B. A warning, and it can be suppressed before the arm.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          value warmth "Warmth" { statement "{assistant} likes what warms." }
          value thrift "Thrift" { statement "{assistant} wastes nothing." }
          rule green "Green tea" { serves warmth  statement "{assistant} likes green tea."  rationale "It warms." }
          documents { about values, rules, rationales }
          ablation swap { arm thrift { replace warmth with thrift } }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          value warmth "Warmth" { statement "{assistant} likes what warms." }
          value thrift "Thrift" { statement "{assistant} wastes nothing." }
          rule green "Green tea" {
            serves warmth
            statement "{assistant} likes green tea."
            rationale "It warms."
            rationale for thrift "The leaves can be brewed twice."
          }
          documents { about values, rules, rationales }
          ablation swap { arm thrift { replace warmth with thrift } }
        }
    """
    moved = [rule for rule in spec.rules if operation.old in rule.serves and rule.rationale is not None]
    either = {operation.old, operation.new.id}  # with a reason for the old value, the plain one was for no value
    plain = [r.id for r in moved if not any(f.value in either for f in r.rationales_for)]
    if not plain:
        return []
    told = ", ".join(f"`{i}`" for i in plain[:3]) + (f" and {len(plain) - 3} more" if len(plain) > 3 else "")
    message = f"`{operation.new.id}` takes over rules with a reason that was written for `{operation.old}`"
    hint = f'write in each: rationale for {operation.new.id} "…"'
    return [
        Diagnostic(
            "plain-rationale", message, where, note=f"plain is the rationale of {told}", hint=hint, severity="warning"
        )
    ]
