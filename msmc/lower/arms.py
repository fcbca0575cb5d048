"""Arms: what the operations of each make of a spec, and what is wrong with them."""

from dataclasses import dataclass
from typing import NamedTuple

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Ablation, Arm, ArmSpec, Identity, Operation, ReplaceOperation, ShuffleOperation, Spec, UseOperation
from msmc.lower.passes import PASSES, declares
from msmc.lower.say import reasons, say
from msmc.source import Span


@dataclass(frozen=True)
class MadeArm:
    """An arm's name (`full` or `<ablation>.<arm>`), what it says, and the operations that made it."""

    name: str
    spec: ArmSpec
    spans: dict[str, Span]
    """Id to place: with `use`, the other spec's places under this spec's ids."""
    operations: tuple[Operation, ...] = ()

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
    spans = _places(base, None, spans)
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
    return [arm.spec for arm in made if arm.used]


def _arm_set(base: Spec, full: MadeArm, ablation: Ablation) -> tuple[ArmSet, list[Diagnostic]]:
    """Two arms that come out with the same spec.

    They would be trained twice and compared with each other. An arm without operations is `full`, which is always there.

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

    made, names, problems = [full], dict[str, str](), list[Diagnostic]()
    for arm in ablation.arms:
        where = Label(full.spans[f"{base.name} arm {ablation.name}.{arm.name}"], f"arm {arm.name}")
        applied, more = _apply(base, arm, where)
        problems += more
        places = _places(applied, arm, full.spans)
        said, more = say(applied, places)
        problems += more
        equal = next((m for m in made if m.spec == said), None)
        twin = next((name for name, build in names.items() if equal and build == equal.name), None)
        if twin:
            message = f"the arms `{twin}` and `{arm.name}` come out equal"
            problems.append(Diagnostic("equal-arms", message, where, hint="remove one of them"))
        names[arm.name] = equal.name if equal else f"{ablation.name}.{arm.name}"
        if equal is None:
            named, _ = say(base.model_copy(update={"identity": applied.identity}), full.spans)
            if not problems and (secret := undeclared(base, named, said, arm.operations)):
                raise RuntimeError(f"the arm `{arm.name}` differs in what none of its operations declares: {secret}")
            made.append(MadeArm(names[arm.name], said, places, arm.operations))
    return ArmSet(tuple(made), names), problems


def _places(applied: Spec, arm: Arm | None, spans: dict[str, Span]) -> dict[str, Span]:
    """Where an arm's nodes stand: with `use` in the other spec, and a reason where the one was written that is given."""
    used = [operation.spec for operation in (arm.operations if arm else ()) if isinstance(operation, UseOperation)]
    moved = {i: span for i, span in spans.items() if used and i.startswith(used[0] + ".")}
    found = spans | {applied.name + i.removeprefix(used[0]): span for i, span in moved.items()}
    for rule in applied.rules:
        for value in reasons(rule)[:1]:
            own = used[0] + rule.id.removeprefix(applied.name) if used else rule.id
            place = found.get(f"{rule.id}.rationale for {value}") or found.get(f"{own}.rationale for {value}")
            if place:
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
        if changed == spec:
            message = f"`{declares(operation)}` changes nothing in the arm `{arm.name}`"
            note = ""
            if isinstance(operation, ShuffleOperation):
                note = (
                    "each rule takes the values of another one that serves none of its own, and for some there is none"
                )
            problems.append(Diagnostic("matches-nothing", message, where, note=note, hint="remove the operation"))
        elif isinstance(operation, ReplaceOperation):
            problems += _plain_reasons(spec, operation, where)
        spec = changed
    return spec, problems


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
    plain = [r.id for r in moved if not any(f.value == operation.new.id for f in r.rationales_for)]
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
