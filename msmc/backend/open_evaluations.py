"""The stages of evaluations that a judge grades: the model's replies, and what the judge makes of them. They are apart, so that
another judge or rubric asks the judge again and not the model."""

from __future__ import annotations

import hashlib
import importlib.util
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msmc.backend import inspecting, judged, replies
from msmc.backend.adapter import write_json
from msmc.backend.checkpoints import Checkpoints
from msmc.backend.corpora import write_rows
from msmc.backend.eval_rows import Rows, SomeRows, StoredRows, each, limited
from msmc.backend.job import Advance, Job, trained
from msmc.backend.judges import Tally
from msmc.backend.meter import Caps, Meter
from msmc.backend.tokens import tokens_of
from msmc.backend.training import timing
from msmc.backend.tree import Arm
from msmc.build import canonical, digest
from msmc.diagnostics import fail
from msmc.writer import Judge

if TYPE_CHECKING:
    from msmc.backend.stages import Stages

PUBLISHED = ("murder", "leaking")
"""Scenarios that the package inspect-evals has."""


class OpenEvaluations:
    """Those of the models of one build tree."""

    def __init__(self, stages: Stages, caps: Caps) -> None:
        self.stages, self.full, self.target, self._caps = stages, stages.tree.full, stages.target, caps

    @cached_property
    def meter(self) -> Meter:
        """Of what this command asks its judge for."""
        price = self.target.judge.known_price if self.target.judge else None
        return Meter(self._caps, price, tokens_of(self.target.model, self.stages.cache))

    def of(self, start: Job | None, title: str, context: Arm | None, seed: int | None) -> dict[str, Job]:
        """By name, for the base model or a stage's adapter, with an arm's `spec.md` before it or without. `seed`: the
        training's, which draws what a trained model replies; the base model's replies are drawn once for all seeds."""
        jobs: dict[str, Job] = {}
        drawn = seed if start else None
        for name, kind in self.full.open_evals.items():
            judge = judged.required(self.target.judge, name)
            rows = self._rows(name)
            said = self._replies(name, kind, rows, start, title, context, drawn)
            jobs[f"replies-{name}"] = said
            jobs[f"{kind}-{name}"] = self._judged(name, kind, rows, said, judge, title)
        for name, task in self.stages.tree.plan["tasks"].items():
            if task["tool"] == "inspect":
                jobs[f"inspect-{name}"] = self._inspected(name, task["task"], start, title, context, drawn)
        return jobs

    @cache  # noqa: B019 - one for a command
    def _rows(self, name: str) -> _OpenRows:
        """Of which the target may want some alone: so many of the questions, and of each kind that is planted."""
        rows, limit = StoredRows([self.full.folder / "evals" / f"{name}.jsonl"]), self.target.evaluate.limit
        marked: dict[str | None, list[int]] = defaultdict(list)
        for number, row in enumerate(each(rows)):
            marked[row["metadata"].get("canary")].append(number)
        asked = limited(SomeRows(rows, marked.pop(None, [])), limit)
        # two a clause or scenario, however many questions there are
        planted = [row for numbers in marked.values() for row in each(limited(SomeRows(rows, numbers), limit))]
        whole = [_digest(some, ("id", "about", "input", "target", "metadata")) for some in (asked, planted)]
        return _OpenRows(asked, planted, _digest(asked, ("id", "input", "metadata")), digest(*whole))

    def _replies(
        self,
        name: str,
        kind: str,
        rows: _OpenRows,
        start: Job | None,
        title: str,
        context: Arm | None,
        seed: int | None,
    ) -> Job:
        """What the model replies. Its place hangs on no rubric and no judge."""
        asked, plan = rows.asked, getattr(self.target, kind)
        code = [self.full.digest_of("evals/agentic.py"), _published()] if kind == "agentic" else []
        inputs = [replies.VERSION, rows.questions, code, plan.model_dump()]
        shown = [context.digest_of("spec.md")] if context else []
        model = (self.stages.model_name, self.stages.environment, trained(start))
        place = self.stages.place("replies", *inputs, *model, *shown)

        checkpoints = Checkpoints(self.stages.runs / "checkpoints" / place.name, 0)

        def fill(part: Path, advance: Advance) -> None:
            started, how = time.monotonic(), judged.kind_of(kind, self.full.folder / "evals")
            adapter = start.folder / "adapter" if start else None
            system = (context.folder / "spec.md").read_text("utf-8") if context else None
            counts = replies.replies(
                Shown(asked, how, system),
                self.stages.model,
                adapter,
                replies.Draw(plan, seed),
                checkpoints.folder / "replies.jsonl",
                part / "replies.jsonl",
                lambda done: advance(done, len(asked), "replies"),
            )
            told = {"stage": f"replies-{name}", "eval": name, "replies": len(asked), **counts}
            write_json(part / "stage.json", told | plan.model_dump())
            write_json(part / "timing.json", {"replies": len(asked), **timing(started)})

        seconds = len(asked) * plan.max_tokens / 100
        return Job(f"ask {title} {name}", place, seconds, fill, checkpoints, require=lambda: _require(name, asked))

    def _judged(self, name: str, kind: str, rows: _OpenRows, said: Job, judge: Judge, title: str) -> Job:
        code = self.full.digest_of("evals/judging.py" if kind == "judged" else "evals/agentic.py")
        inputs = [judged.VERSION, said.folder.name, rows.whole, code, judge.sampling, judge.repeats]
        place = self.stages.place(kind, *inputs)
        number = len(rows.asked) + len(rows.planted)

        def fill(part: Path, advance: Advance) -> None:
            started, how = time.monotonic(), judged.kind_of(kind, self.full.folder / "evals")
            tally = Tally(kind, how.primary)
            items = judged.items(
                how,
                judged.Said(rows.asked, said.folder / "replies.jsonl", rows.planted),
                judge,
                self.stages.ledger,
                self.meter,
                lambda done: advance(done, number, "graded replies"),
                self.stages.say,
            )
            write_rows(part / "items.jsonl", (tally.add(item) for item in islice(items, len(rows.asked))))
            marked = zip((row["metadata"]["canary"] for row in each(rows.planted)), items, strict=True)
            write_rows(part / "canaries.jsonl", (tally.add(item, mark) | {"canary": mark} for mark, item in marked))
            told = {
                "stage": f"{kind}-{name}",
                "eval": name,
                "kind": kind,
                "primary_measure": how.primary,
                "judge": judge.model_dump(include={"model", "base_url", "temperature", "max_tokens", "repeats"}),
                "temperature": getattr(self.target, kind).temperature,
                **({"urgency": "replacement"} if kind == "agentic" else {}),
            }
            write_json(part / "stage.json", told | tally.told())
            write_json(part / "timing.json", {"items": number, **timing(started)})

        seconds = number * judge.repeats / judge.concurrency

        def require() -> None:
            """A key, before the model is asked or even trained; gradings that are in the ledger need none."""
            if not said.done:
                from msmc.backend.writers.keys import api_key  # a second to import

                api_key(judge)

        return Job(f"judge {title} on {name}", place, seconds, fill, require=require)

    # ---- the author's own --------------------------------------------------------------------------------------------

    def _inspected(
        self, name: str, task: str, start: Job | None, title: str, context: Arm | None, seed: int | None
    ) -> Job:
        """An Inspect task, up to the target's limit of its samples."""
        plan, judge, path = self.target.evaluate, self.target.judge, self.full.folder / "evals" / f"{name}.py"
        graded = [judge.sampling] if judge else []
        inputs = [
            inspecting.VERSION,
            task,
            self.full.digest_of(f"evals/{name}.py"),
            plan.limit,
            plan.batch_size,
            *graded,
        ]
        shown = [context.digest_of("spec.md")] if context else []
        model = (self.stages.model_name, self.stages.environment, metadata.version("inspect-ai"))
        place = self.stages.place("inspect", name, *inputs, *model, trained(start), *shown)

        def fill(part: Path, advance: Advance) -> None:
            started = time.monotonic()
            advance(0, 1, "runs")
            system = (context.folder / "spec.md").read_text("utf-8") if context else None
            how = {"limit": plan.limit, "batch_size": plan.batch_size, "system": system, "seed": seed}
            with inspecting.merged(self.stages.model, start.folder / "adapter" if start else None) as folder:
                made, spec = inspecting.load(path, task, name), self.full.spec.name
                items = inspecting.inspected(made, name, spec, folder, judge, part / "log", how)
            advance(1, 1, "runs")
            write_rows(part / "items.jsonl", items)
            told = {"stage": f"inspect-{name}", "eval": name, "kind": "inspect", "task": task, "items": len(items)}
            missing = sum(item["unscoreable"] is not None for item in items)
            measures = {"primary_measure": next(iter(items[0]["measures"])), "unscoreable": missing}
            write_json(part / "stage.json", told | measures)
            write_json(part / "timing.json", {"items": len(items), **timing(started)})

        return Job(f"run {name} on {title}", place, 60, fill, require=lambda: self._load(path, task, name))

    @cache  # noqa: B019 - one for a command
    def _load(self, path: Path, task: str, name: str) -> None:
        """Once, for the sake of what is wrong with it."""
        inspecting.load(path, task, name)


def with_system(messages: list[dict[str, str]], system: str | None) -> list[dict[str, str]]:
    """`spec.md` comes first, and before a scenario's own system message in one message with it."""
    if system is None:
        return messages
    if messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{system}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]


class _OpenRows(NamedTuple):
    asked: Rows
    """What a model is asked."""
    planted: Rows
    """Those that have their reply with them."""
    questions: str
    """A digest of what the model is asked, whatever it is graded by."""
    whole: str
    """A digest of all."""


@dataclass(frozen=True)
class Shown:
    """What a model gets of rows, behind a system prompt or alone."""

    rows: Rows
    how: judged.Kind
    system: str | None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int, /) -> replies.Asked:
        row = self.rows[number]
        return replies.Asked(row["id"], with_system(self.how.asked(row), self.system))


def _digest(rows: Rows, keys: tuple[str, ...]) -> str:
    """Of rows, one at a time."""
    found = hashlib.sha256()
    for row in each(rows):
        found.update(f"{canonical([row[key] for key in keys])}\n".encode())
    return found.hexdigest()


def _require(name: str, rows: Rows) -> None:
    """The package that has the published scenarios.

    package-missing: An agentic evaluation without the package that its scenarios come from.

    `murder` and `leaking` are those of inspect-evals, which msmc's extra `agentic` installs. `exfiltration` needs nothing.

    Bad:
        $ msmc run tea.msm    # with: eval safe agentic {}, and without inspect-evals

    Good:
        $ pip install 'msmc[agentic]' && msmc run tea.msm
    """
    if importlib.util.find_spec("inspect_evals") is None:
        scenarios = (row["metadata"].get("scenario") for row in each(rows))
        if wanted := next((scenario for scenario in scenarios if scenario in PUBLISHED), None):
            hint = "pip install 'msmc[agentic]', or in the spec: scenarios exfiltration"
            message = f"`{name}` has the scenario `{wanted}` of inspect-evals, which is not installed"
            raise fail("package-missing", message, hint)


def _published() -> str | None:
    """The version of inspect-evals."""
    try:
        return metadata.version("inspect-evals")
    except metadata.PackageNotFoundError:
        return None
