"""What all arms, controls and seeds of an experiment will write, train and keep."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.tokens import Tokens
from msmc.build import Build, RunPlan
from msmc.compile import Outcome
from msmc.diagnostics import Diagnostic, fail
from msmc.library import Library
from msmc.lower.chat import Chat
from msmc.plan import criticising
from msmc.plan.chats import Asked, Chats, Writer, asked
from msmc.plan.estimate import Estimate
from msmc.plan.judging import Judging, judging, missing
from msmc.plan.matched import Matched, match
from msmc.plan.packing import packed_rows
from msmc.plan.rates import Rates, rates
from msmc.plan.replies import Past
from msmc.plan.rows import once, rows_of
from msmc.plan.writing import Sample, Writing, has_documents, sample_of
from msmc.source import Sources
from msmc.target import Stage, Target


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
    matched: Matched | None
    chats: tuple[Asked, ...]
    """What a served writer is asked for."""
    unwritten: int
    """Rows of chats that are planned, and that the writer cannot write."""
    training: tuple[tuple[str, Training], ...]
    """With the name of each model, for one seed; a stage that several models share stands once for each."""
    models: int
    scorings: int
    """How often a seed's models are scored: each is once behind each of its stages, with those that it shares."""
    seeds: int
    eval_rows: int
    judging: Judging
    criticised: tuple[criticising.Asked, ...]
    """What the critic and the rewriter are asked for."""
    build_bytes: float
    rates: Rates
    problems: tuple[Diagnostic, ...] = field(default=())

    @property
    def stages(self) -> dict[tuple[str, tuple[str | None, ...]], Training]:
        """Each stage once, for one seed."""
        return {(stage.kind, stage.of): stage for _, stage in self.training}

    @property
    def asked(self) -> tuple[Writing, ...]:
        """Documents and chats."""
        return (*self.writing, *(chats.writing for chats in self.chats))

    @property
    def reply(self) -> Estimate:
        return sum((w.reply for w in self.asked), Estimate(0))

    @property
    def trained(self) -> Estimate:
        """Tokens of all stages and seeds."""
        return sum((s.tokens for s in self.stages.values()), Estimate(0)).times(self.seeds)

    @property
    def hours(self) -> float:
        """Of the machine, for training and scoring."""
        scored = self.eval_rows * self.scorings * self.seeds / self.rates.rows
        return (self.trained.value / self.rates.tokens + scored) / 3600


def forecast(outcome: Outcome, target: Target, sources: Sources, tokens: Tokens, ledger: Path) -> Forecast:
    """Of a compiled spec. Rows are counted, not made; a sample of them is written and measured. `ledger` need not be there.

    Raises Failed `no-rows` where a model is to learn documents and none are planned.
    """
    library = Library(sources)
    past = Past.read(ledger, target.model_writer, tokens) if target.model_writer else None
    template = Chat("".join(next(a for a in outcome.builds[0].artefacts if a.path == "train/chat_template.jinja")))
    plans = [RunPlan.model_validate(run) for run in outcome.arms["runs"]]
    samples = {
        build.arm: sample_of(build, library, tokens, target.model_writer, past)
        for build in outcome.builds
        if has_documents(build)
    }
    if lacking := next((plan.documents for plan in plans if plan.documents not in {None, *samples}), None):
        raise fail("no-rows", f"`{lacking}` plans no documents", "add a `documents` block to the spec")
    sizes = {arm: sample.sizes for arm, sample in samples.items()}
    matched = match(outcome.arms, {arm: sample.counts for arm, sample in samples.items()}, sizes)
    demonstrated = [build for build in outcome.builds if build.arm in {plan.demos for plan in plans}]
    chats = {build.arm: _existing(_demos(build, planned=False), tokens, template) for build in demonstrated}
    written, unwritten = list[Asked](), 0
    if target.model_writer:
        writer, seen = Writer(target.model_writer, ledger, tokens, template), set[int]()
        written = [found for build in demonstrated if (found := asked(build, writer, tokens, seen))]
    else:
        unwritten = sum(1 for build in demonstrated for _ in _demos(build, planned=True))
    full = outcome.builds[0]
    mix = _existing(rows_of(full, "train/mix.jsonl"), tokens, template)
    parts = {arm: [there, *(a.learned for a in written if a.writing.arm == arm)] for arm, there in chats.items()}
    corpora = {arm: _corpus(sample, matched) for arm, sample in samples.items()}
    training = [(plan.name, stage) for plan in plans for stage in _training(plan, corpora, parts, mix, target)]
    asked_for = tuple(_written(plans, samples, matched))
    return Forecast(
        spec=str(outcome.spec),
        ablation=outcome.arms["ablation"],
        target=target,
        exact=tokens.tokenizer is not None,
        writing=asked_for,
        matched=matched,
        chats=tuple(written),
        unwritten=unwritten,
        training=tuple(training),
        models=len(plans),
        scorings=_scorings(plans, training),
        seeds=int(outcome.arms["seeds"]),
        eval_rows=_eval_rows(full, target),
        criticised=criticising.criticising(outcome.builds, asked_for, _length(samples.values()), target, tokens),
        judging=judging(full, target, len(plans) * int(outcome.arms["seeds"])),
        build_bytes=sum(_bytes(build) for build in outcome.builds),
        rates=rates(ledger.parent, target),
        problems=(*_too_few(training, target), *missing(full, target)),
    )


def _length(samples: Iterable[Sample]) -> float:
    """Tokens of a document, on the average."""
    lengths = [length for sample in samples for length in sample.replies.lengths]
    return sum(lengths) / max(1, len(lengths))


def _written(plans: list[RunPlan], samples: dict[str, Sample], matched: Matched | None) -> Iterator[Writing]:
    """What a writer is asked for, each row once. Of a sweep the largest dose holds the others, `full` among them."""
    used = {plan.documents for plan in plans if plan.documents and not plan.swept}
    doses = {plan.documents for plan in plans if plan.documents and plan.swept == "documents"}
    grown = {arm: matched.arms[arm].grown if matched and arm in matched.arms else Counter[str]() for arm in samples}

    def rows(arm: str) -> int:
        return samples[arm].build.num_documents + grown[arm].total() + len(samples[arm].own)

    largest = max((doses | {"full"}) & samples.keys(), key=lambda arm: (rows(arm), arm), default=None)
    arms = (used - {"full"}) | {largest} if largest else used
    new = once({arm: (samples[arm].counts, grown[arm]) for arm in samples if arm in arms})
    return (samples[arm].writing(rows, grown[arm]) for arm, rows in new.items())


# ---- training -------------------------------------------------------------------------------------------------------


class Corpus(NamedTuple):
    """The documents that an arm's model is midtrained on."""

    rows: int
    """That are written."""
    text: Estimate
    """Tokens of these, each with its end."""
    lengths: Sequence[float]
    """Of some."""
    own: Sequence[float]
    """Tokens of the author's."""
    like_full: bool
    """Trimmed to as many tokens."""


def _corpus(sample: Sample, matched: Matched | None) -> Corpus:
    found, rows = sample.replies, sample.build.num_documents
    if matched is None or sample.build.arm not in matched.arms:
        return Corpus(rows, found.text, found.lengths, sample.own, sample.neutral)
    kept = matched.arms[sample.build.arm].kept
    own = sample.own[: sum(kept[name] for name in sample.counts.own)]
    rows = kept.total() - len(own)
    text = sample.sizes.mean.times(rows) if matched.by == "rows" else matched.size + Estimate(-sum(own))
    return Corpus(rows, text, found.lengths, own, False)


def _demos(build: Build, planned: bool) -> Iterator[dict[str, Any]]:
    """Rows of planned chats, or chats that stand as they are."""
    blocks = {f"demos/{name}.jsonl" for name in build.manifest["demos"]}
    every = {a.path for a in build.artefacts if a.path.startswith("demos/")} - {"demos/prefixes.jsonl"}
    return (row for path in sorted(every & blocks if planned else every - blocks) for row in rows_of(build, path))


def _existing(rows: Iterable[dict[str, Any]], tokens: Tokens, template: Chat) -> Chats:
    lengths = [tokens.count(template.render(row["messages"])) for row in rows]
    return Chats(len(lengths), Estimate(sum(lengths)))


def _training(
    plan: RunPlan, corpora: Mapping[str, Corpus], chats: Mapping[str, list[Chats]], mix: Chats, target: Target
) -> Iterator[Training]:
    if plan.documents is not None:
        corpus = corpora["full"] if corpora[plan.documents].like_full else corpora[plan.documents]
        stage = target.midtrain
        tokens = corpus.text + Estimate(sum(corpus.own))
        rows = packed_rows(corpus.lengths, corpus.rows, corpus.own, stage.max_length)
        after = (plan.demos,) if plan.demos_first else ()
        yield Training("midtrain", (plan.documents, *after), rows, tokens.times(stage.epochs), updates(rows, stage))
    if plan.demos is not None or plan.mix:
        parts = [*(chats[plan.demos] if plan.demos else []), *([mix] if plan.mix else [])]
        num, size, stage = (
            round(sum(p.rows for p in parts)),
            sum((p.tokens for p in parts), Estimate(0)),
            target.finetune,
        )
        of = (None if plan.demos_first else plan.documents, plan.demos, "mix" if plan.mix else None)
        yield Training("finetune", of, num, size.times(stage.epochs), updates(num, stage))


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


def _scorings(plans: list[RunPlan], training: list[tuple[str, Training]]) -> int:
    untrained = {plan.name for plan in plans} - {name for name, _ in training}
    return len(untrained) + len({(stage.kind, stage.of) for _, stage in training})


def _eval_rows(full: Build, target: Target) -> int:
    """Rows that each model is scored on: both orders of the items that the target's limit leaves."""
    judged = full.manifest["open_evals"]
    files = [a for a in full.artefacts if a.path.startswith("evals/") and a.path.endswith(".jsonl")]
    files = [a for a in files if a.path[len("evals/") : -len(".jsonl")] not in judged]
    limit = target.evaluate.limit
    forms = (Counter(json.loads(line)["metadata"].get("form") for line in file) for file in files)
    counts = [count for of_file in forms for count in of_file.values()]
    return sum(min(count, 2 * limit) if limit else count for count in counts)


def _bytes(build: Build) -> float:
    """Of the arm's folder: the planned rows by a sample, all else is small and not counted."""
    rows = list(build.sample(20)) if build.num_documents else []
    return build.num_documents * sum(len(row.model_dump_json()) for row in rows) / max(1, len(rows))
