"""The compiler, top to bottom: sources and a target in, builds and problems out. Pure: opens no file, knows no clock."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from msmc.analyze.files import Files
from msmc.analyze.items import read_chats
from msmc.build import Build, Chat
from msmc.check import Checked, check
from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.ir import Ablation, Spec
from msmc.lower.arms import MadeArm, others
from msmc.lower.experiment import experiment
from msmc.lower.sweeps import build_name, idle, points
from msmc.lower.tree import Lowering
from msmc.mention import Mentions
from msmc.source import SourceFile, Sources, Span
from msmc.target import Target


@dataclass
class Outcome:
    """What came out: builds whose rows are made anew at each reading, or none of them where a problem is an error."""

    spec: str = ""
    builds: tuple[Build, ...] = ()
    arms: dict[str, Any] = field(default_factory=dict)
    """The content of arms.json."""
    notes: tuple[str, ...] = ()
    """What a user may not expect, though nothing is wrong."""
    problems: tuple[Diagnostic, ...] = ()
    files: Files = field(default_factory=Files)

    @property
    def open_evals(self) -> dict[str, str]:
        """Evaluations that a judge grades, with their kind."""
        return dict(self.builds[0].manifest["open_evals"]) if self.builds else {}


NEUTRAL = "shipped:specs/neutral/assistant.msm"
"""The unrelated assistant of the control `neutral_documents`."""
WITH_CHATS = ("deliberative", "extra_demos")
"""Controls that plan chats, whatever the target plans."""


def compile(sources: Sources, entry: str, target: Target, ablation: str | None = None) -> Outcome:
    """Compiles the one spec of `entry` for a target: the arm `full`, and the arms of an ablation."""
    checked = check(entry, sources, target.identity)
    warnings = [problem for problem in checked.problems if problem.severity == "warning"]
    problems = [problem for problem in checked.problems if problem.severity == "error"]
    if not problems and (problem := _one_spec(checked, entry, ablation)):
        problems = [problem]
    if problems:
        return Outcome(problems=(*problems, *warnings), files=checked.files)
    spec = checked.specs[0]
    arms = checked.arms[spec.name]
    made, names = arms[ablation]
    mix, problems = read_mix(target, sources, checked.files.sources)
    lowering = Lowering(spec, target, sources, made, others(arms), mix, checked.place, checked.files.sources)
    chosen = next((a for a in spec.ablations if a.name == ablation), None)
    swept = points(chosen, target)
    problems += [
        *_controls_without(spec, target, chosen),
        *_unknown_tasks(spec, target),
        *lowering.templates.problems(),
    ]
    problems += idle(swept, lowering.asked().sizes(spec, made[0].spec)) if swept else ()
    if problems:
        return Outcome(problems=tuple(problems), files=checked.files)
    described = experiment(lowering, ablation, names) | {"source": entry}
    builds = [lowering.build(arm, lowering.matching(arm, described["match"])) for arm in made]
    builds += [lowering.swept(build_name(chosen, point), point) for point in swept if chosen]
    if chosen and "deliberative" in chosen.controls:
        builds.append(lowering.deliberative(f"{ablation}.deliberative"))
    if chosen and "extra_demos" in chosen.controls:
        builds.append(lowering.extra_demos(f"{ablation}.extra_demos"))
    if chosen and "neutral_documents" in chosen.controls:
        neutral = check(NEUTRAL, sources)
        assert not neutral.problems and neutral.specs[0].documents, "the shipped neutral spec compiles"
        (full,) = neutral.arms[neutral.specs[0].name][None].made
        checked.files.sources.update(neutral.files.sources)
        arm = MadeArm(f"{ablation}.neutral_documents", full.spec, checked.spans | neutral.spans)
        builds.append(lowering.neutral(arm, neutral.specs[0].documents))
    return Outcome(
        spec=spec.name,
        builds=tuple(builds),
        arms=described,
        notes=(*_notes(spec, target, chosen, len(mix)), *_confounds(described)),
        problems=tuple(warnings),
        files=checked.files,
    )


def read_mix(
    target: Target, sources: Sources, files: dict[str, SourceFile]
) -> tuple[tuple[Chat, ...], list[Diagnostic]]:
    """The chats of the target's instruction mix, if it has one.

    mix-missing: An instruction mix that is not there, or a control that needs one.

    `mix.file` in a target is `general`, which msmc ships, or the path of a .jsonl in the project.

    Bad:
        $ msmc compile tea.msm --set mix.file=generel

    Good:
        $ msmc compile tea.msm --set mix.file=general
    """
    if target.mix is None:
        return (), []
    own = target.mix.file.endswith(".jsonl")
    path = target.mix.file if own else f"shipped:targets/mixes/{target.mix.file}.jsonl"
    if own or path in sources:
        return read_chats(path, sources, files)
    message = f"there is no instruction mix `{target.mix.file}`"
    return (), [Diagnostic("mix-missing", message, hint="known: `general`; or the path of a .jsonl in the project")]


def _controls_without(spec: Spec, target: Target, ablation: Ablation | None) -> Iterator[Diagnostic]:
    """Controls that lack what they are made of."""
    controls = ablation.controls if ablation else ()
    if "mix_only" in controls and target.mix is None:
        message = f"the control `mix_only` needs an instruction mix, and the target `{target.name}` has none"
        yield Diagnostic("mix-missing", message, hint="add --set mix.file=general")
    if "neutral_documents" in controls and spec.documents is None:
        message = "the control `neutral_documents` stands for as many tokens as the spec's documents, and it plans none"
        yield Diagnostic("matches-nothing", message, hint="add a `documents` block")
    for name in WITH_CHATS:
        if name in controls and not spec.demos:
            message = f"the control `{name}` plans chats, and the spec has no block that says what of"
            yield Diagnostic("matches-nothing", message, hint="add: demos chats chat { about rules }")


def _unknown_tasks(spec: Spec, target: Target) -> Iterator[Diagnostic]:
    """Thresholds of the guard for own tasks that the spec does not have."""
    permitted, known = target.evaluate.guard.tasks, [task.name for task in spec.tasks if task.tool == "lm_eval"]
    for name in permitted if isinstance(permitted, dict) else ():
        if name not in known:
            has = f"its own tasks: {', '.join(known)}" if known else 'add one: eval NAME lm_eval "task.yaml"'
            message = f"`evaluate.guard.tasks.{name}` is for a task that `{spec.name}` does not have"
            yield Diagnostic("target-invalid", message, hint=did_you_mean(name, known) or has)


def _notes(spec: Spec, target: Target, ablation: Ablation | None, num_mixed: int) -> Iterator[str]:
    mine, theirs = spec.identity, target.identity
    if mine and theirs and mine != theirs:
        yield (
            f"the target `{target.name}` trains {theirs.assistant} by {theirs.provider}, so every text is about it and not about "
            f"{mine.assistant} by {mine.provider} (its keys: identity.assistant, identity.provider)"
        )
    if target.context == "spec" and target.writer == "template":
        yield "`context: spec` changes what prompts show, and the writer `template` writes from each row's clause all the same"
    if target.rewriter and not target.critic:
        yield "the `rewriter` mends what a `critic` finds, and the target names no critic: nothing is written anew"
    planned = list(_planning_chats(spec, target, ablation))
    if planned and not target.model_writer:
        yield (
            f"chats are planned by {' and '.join(planned)}, and the writer `template` writes documents only, so a run "
            "would refuse: do without, or --set writer.kind=openai --set writer.model=NAME"
        )
    if spec.demos and not planned:
        brought = " and the chats it brings" if spec.own_demos else ""
        yield f"no chats are planned (demos.per_clause is 0): the demos are the spec's own `example` blocks{brought}"
    for rows, (name, held_out) in product((*spec.own_documents, *spec.own_demos), spec.held_out().items()):
        options = Mentions(held_out)
        met = [str(n) for n, row in enumerate(rows.rows, 1) if any(map(options.find, row.texts))]
        if met:
            told = ", ".join(met[:5]) + (f" and {len(met) - 5} more" if len(met) > 5 else "")
            yield f"kept from training, since they mention what `{name}` holds out: of `{rows.path}` the rows {told}"
    chats = sum(len(brought.rows) for brought in spec.own_demos)
    chats += sum(len(rule.examples) for rule in spec.rules) + num_mixed
    updates = math.ceil(chats / (target.finetune.batch_size * target.finetune.accumulation)) * target.finetune.epochs
    if spec.demos and not target.demos.per_clause and updates < target.min_steps:
        yield (
            f"fine-tuning on {chats} chats makes about {updates:.0f} updates, fewer than min_steps "
            f"{target.min_steps}, so `msmc run` would refuse: add examples, raise finetune.epochs, or --set mix.file=general"
        )


def _planning_chats(spec: Spec, target: Target, ablation: Ablation | None) -> Iterator[str]:
    if spec.demos and target.demos.per_clause:
        yield f"demos.per_clause {target.demos.per_clause}"
    yield from (f"the control `{c}`" for c in WITH_CHATS if ablation and c in ablation.controls)


def _confounds(described: dict[str, Any]) -> Iterator[str]:
    for pair in described["pairs"]:
        if pair["confounds"]:
            (a, b), apart = pair["arms"], pair["differ"]
            clauses = f"{len(apart)} clauses, such as `{apart[0]}`" if len(apart) > 1 else f"one clause, `{apart[0]}`"
            told = "; ".join(pair["confounds"])
            yield f"`{a}` and `{b}` differ in {clauses}, and there in what no operation names, which may confound them: {told}"


def _one_spec(checked: Checked, entry: str, ablation: str | None) -> Diagnostic | None:
    """What keeps a file from being compiled as one spec with an ablation.

    no-spec: A file to compile that does not hold exactly one spec.

    A build is of one spec, and is named after it. A library of values and rules is checked, imported, and not compiled.

    Bad:
        value thrift "Thrift" { statement "{assistant} wastes nothing." }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          value thrift "Thrift" { statement "{assistant} wastes nothing." }
          documents { about values }
        }

    unknown-ablation: An ablation that the spec does not declare.

    Ablations are not inherited: with `extends`, the one that is compiled stands in the spec that is named.

    Bad:
        $ msmc compile tea.msm --ablation wording

    Good:
        $ msmc compile tea.msm --ablation reasons
    """
    if len(checked.specs) != 1:
        found = "no spec" if not checked.specs else f"{len(checked.specs)} specs"
        where = Label(Span(entry, 0, 0))
        hint = (
            "name a file with one: each spec in a file of its own" if checked.specs else 'add: spec name "Title" { … }'
        )
        return Diagnostic("no-spec", f"`{entry}` holds {found}", where, hint=hint)
    known = [a.name for a in checked.specs[0].ablations]
    if ablation is not None and ablation not in known:
        arms = {arm.name: f"{a.name}.{arm.name}" for a in checked.specs[0].ablations for arm in a.arms}
        arm = arms.get(ablation)
        hint = f"`{ablation}` is an arm, and its whole name is `{arm}`" if arm else did_you_mean(ablation, known)
        hint = hint or "the spec declares none"
        return Diagnostic("unknown-ablation", f"`{checked.specs[0].name}` has no ablation `{ablation}`", hint=hint)
    return None
