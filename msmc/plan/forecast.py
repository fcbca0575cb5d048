"""What all arms, controls and seeds of an experiment will write, train and keep."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.tokens import Tokens
from msmc.build import Build, RunPlan
from msmc.compile import Outcome
from msmc.diagnostics import Diagnostic
from msmc.library import Library
from msmc.lower.chat import Chat
from msmc.plan.estimate import Estimate
from msmc.plan.packing import packed_rows
from msmc.plan.replies import Past
from msmc.plan.writing import Writing, has_documents, rows_of, writing_of
from msmc.source import Sources
from msmc.target import Stage, Target

TOKENS_A_SECOND = 160
"""Of training on two cores, SmolLM2-135M (`benchmarks/train_throughput.py`, LOG.md)."""
ROWS_A_SECOND = 5
"""Of scoring there."""


class Training(NamedTuple):
    """One stage of one model and seed. Models that share it name it alike."""

    kind: str
    """`midtrain` or `finetune`."""
    of: tuple[str | None, ...]
    """What determines it besides the seed: the arms whose documents and demos it saw, and the mix."""
    rows: float
    tokens: Estimate
    updates: float


@dataclass(frozen=True)
class Forecast:
    spec: str
    ablation: str | None
    target: Target
    exact: bool
    """By the target's own tokenizer; else by a rate."""
    writing: tuple[Writing, ...]
    chats: int
    """Rows of chats that are planned for a writer."""
    training: tuple[tuple[str, Training], ...]
    """With the name of each model, for one seed; a stage that several models share stands once for each."""
    models: int
    seeds: int
    eval_rows: int
    build_bytes: float
    problems: tuple[Diagnostic, ...] = field(default=())

    @property
    def stages(self) -> dict[tuple[str, tuple[str | None, ...]], Training]:
        """Each stage once, for one seed."""
        return {(stage.kind, stage.of): stage for _, stage in self.training}

    @property
    def prompt(self) -> Estimate:
        return sum((w.prompt for w in self.writing), Estimate(0))

    @property
    def reply(self) -> Estimate:
        return sum((w.reply for w in self.writing), Estimate(0))

    @property
    def cached(self) -> float:
        """Of all prompt tokens."""
        return sum(w.cached * w.prompt.value for w in self.writing) / (self.prompt.value or 1)

    @property
    def trained(self) -> Estimate:
        """Tokens of all stages and seeds."""
        return sum((s.tokens for s in self.stages.values()), Estimate(0)).times(self.seeds)

    @property
    def hours(self) -> float:
        """Of two cores, for training and scoring."""
        scored = self.eval_rows * self.models * self.seeds / ROWS_A_SECOND
        return (self.trained.value / TOKENS_A_SECOND + scored) / 3600


def forecast(outcome: Outcome, target: Target, sources: Sources, tokens: Tokens, ledger: Path) -> Forecast:
    """Of a compiled spec. Rows are counted, not made; a sample of them is written and measured. `ledger` need not be there."""
    library = Library(sources)
    past = Past.read(ledger, target.served, tokens) if target.served else None
    documents = [build for build in outcome.builds if has_documents(build)]
    writing = {build.arm: writing_of(build, library, tokens, target.served, past) for build in documents}
    template = Chat("".join(next(a for a in outcome.builds[0].artefacts if a.path == "train/chat_template.jinja")))
    chats = {build.arm: _chats(build, tokens, template) for build in outcome.builds}
    mix = _mix(outcome.builds[0], tokens, template)
    plans = [RunPlan.model_validate(run) for run in outcome.arms["runs"]]
    training = [(plan.name, stage) for plan in plans for stage in _training(plan, writing, chats, mix, target)]
    seeds = int(outcome.arms["seeds"])
    full = outcome.builds[0]
    return Forecast(
        spec=str(outcome.spec),
        ablation=outcome.arms["ablation"],
        target=target,
        exact=tokens.tokenizer is not None,
        writing=tuple(_written(plans, writing)),
        chats=sum(_num_planned(build) for build in outcome.builds),
        training=tuple(training),
        models=len(plans),
        seeds=seeds,
        eval_rows=_eval_rows(full, target),
        build_bytes=sum(_bytes(build) for build in outcome.builds),
        problems=tuple(_too_few(training, target)),
    )


def _written(plans: list[RunPlan], writing: dict[str, Writing]) -> Iterator[Writing]:
    """What a writer is asked for. Of a sweep the largest dose holds the others, `full` among them."""
    used = {plan.documents for plan in plans if plan.documents and not plan.swept}
    doses = {plan.documents for plan in plans if plan.documents and plan.swept == "documents"}
    largest = max(
        (writing[arm] for arm in (doses | {"full"}) & writing.keys()), key=lambda w: w.rows + len(w.own), default=None
    )
    arms = (used - {"full"}) | {largest.arm} if largest else used
    return (writing[arm] for arm in writing if arm in arms)


# ---- training -------------------------------------------------------------------------------------------------------


class Chats(NamedTuple):
    rows: int
    tokens: float


def _chats(build: Build, tokens: Tokens, template: Chat) -> Chats:
    """Those that stand as they are."""
    return _measured([row["messages"] for row in _demos(build) if "messages" in row], tokens, template)


def _mix(full: Build, tokens: Tokens, template: Chat) -> Chats:
    return _measured([row["messages"] for row in rows_of(full, "train/mix.jsonl")], tokens, template)


def _measured(chats: list[list[dict[str, str]]], tokens: Tokens, template: Chat) -> Chats:
    return Chats(len(chats), sum(tokens.count(template.render(messages)) for messages in chats))


def _demos(build: Build) -> Iterator[dict[str, Any]]:
    paths = [a.path for a in build.artefacts if a.path.startswith("demos/") and not a.path.endswith("prefixes.jsonl")]
    return (row for path in paths for row in rows_of(build, path))


def _num_planned(build: Build) -> int:
    return sum("prompt" in row for row in _demos(build))


def _training(
    plan: RunPlan, writing: dict[str, Writing], chats: dict[str, Chats], mix: Chats, target: Target
) -> Iterator[Training]:
    if plan.documents is not None:
        written = writing[plan.documents]
        like = writing["full"] if written.neutral else written  # trimmed to as many tokens
        stage = target.midtrain
        tokens = like.text + Estimate(sum(like.own))
        rows = packed_rows(like.lengths, like.rows, like.own, stage.max_length)
        after = (plan.demos,) if plan.demos_first else ()
        yield Training("midtrain", (plan.documents, *after), rows, tokens.times(stage.epochs), updates(rows, stage))
    if plan.demos is not None or plan.mix:
        parts = [*([chats[plan.demos]] if plan.demos else []), *([mix] if plan.mix else [])]
        num, size, stage = sum(p.rows for p in parts), sum(p.tokens for p in parts), target.finetune
        of = (None if plan.demos_first else plan.documents, plan.demos, "mix" if plan.mix else None)
        yield Training("finetune", of, num, Estimate(size * stage.epochs), updates(num, stage))


def updates(rows: float, stage: Stage) -> float:
    """Optimizer steps, counted as transformers' trainer counts them."""
    batches = math.ceil(rows / stage.batch_size)
    return math.ceil(stage.epochs * max(1, math.ceil(batches / stage.accumulation)))


def _too_few(training: Iterable[tuple[str, Training]], target: Target) -> Iterator[Diagnostic]:
    """Stages below `min_steps`, each once, with what would mend it."""
    told = set()
    for model, stage in training:
        if stage.updates >= target.min_steps or (stage.kind, stage.of) in told:
            continue
        told.add((stage.kind, stage.of))
        plan: Stage = getattr(target, stage.kind)
        factor = 1.05 * target.min_steps / max(stage.updates, 1)  # the forecast may be a little high
        epochs = f"--set {stage.kind}.epochs={_round_up(plan.epochs * factor):g}"
        documents = f"--set documents.per_clause={math.ceil(target.documents.per_clause * factor)}, or "
        hint = (documents if stage.kind == "midtrain" else "") + epochs
        message = (
            f"`{stage.kind}` of `{model}` would make {stage.updates:,} updates, fewer than min_steps {target.min_steps}"
        )
        yield Diagnostic("too-few-updates", message, hint=hint)


def _round_up(epochs: float) -> float:
    return math.ceil(epochs * 10) / 10


# ---- the rest -------------------------------------------------------------------------------------------------------


def _eval_rows(full: Build, target: Target) -> int:
    """Rows that each model is scored on: both orders of the items that the target's limit leaves."""
    files = [a for a in full.artefacts if a.path.startswith("evals/") and a.path.endswith(".jsonl")]
    limit = target.evaluate.limit
    counts = (sum(1 for _ in file) for file in files)
    return sum(min(count, 2 * limit) if limit else count for count in counts)


def _bytes(build: Build) -> float:
    """Of the arm's folder: the planned rows by a sample, all else is small and not counted."""
    rows = list(build.sample(20)) if build.num_documents else []
    return build.num_documents * sum(len(row.model_dump_json()) for row in rows) / max(1, len(rows))
