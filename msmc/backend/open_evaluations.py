"""The stages of evaluations that a judge grades: the model's replies, and what the judge makes of them. They are apart, so that
another judge or rubric asks the judge again and not the model."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmc.backend import inspecting, judged, replies
from msmc.backend.adapter import write_json
from msmc.backend.agreement import agreement, calibration
from msmc.backend.checkpoints import Checkpoints
from msmc.backend.corpora import write_rows
from msmc.backend.eval_rows import each, limited
from msmc.backend.job import Advance, Job, trained
from msmc.backend.meter import Caps, Meter
from msmc.backend.tokens import tokens_of
from msmc.backend.training import timing
from msmc.backend.tree import Arm
from msmc.diagnostics import fail
from msmc.stored import read_jsonl
from msmc.writer import Judge

if TYPE_CHECKING:
    from msmc.backend.stages import Stages

Row = dict[str, Any]
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

    def of(self, start: Job | None, title: str, context: Arm | None) -> dict[str, Job]:
        """By name, for the base model or a stage's adapter, with an arm's `spec.md` before it or without."""
        jobs: dict[str, Job] = {}
        for name, kind in self.full.open_evals.items():
            judge = judged.required(self.target.judge, name)
            rows = self._rows(name)
            said = self._replies(name, kind, rows, start, title, context)
            jobs[f"replies-{name}"] = said
            jobs[f"{kind}-{name}"] = self._judged(name, kind, rows, said, judge, title)
        for name, task in self.stages.tree.plan["tasks"].items():
            if task["tool"] == "inspect":
                jobs[f"inspect-{name}"] = self._inspected(name, task["task"], start, title, context)
        return jobs

    def _rows(self, name: str) -> tuple[list[Row], list[Row]]:
        """Those that a model is asked, of which the target may want some alone, and the planted ones."""
        rows, limit = self.full.open_rows(name), self.target.evaluate.limit
        planted = [row for row in rows if "canary" in row["metadata"]]
        asked = [row for row in rows if "canary" not in row["metadata"]]
        return list(each(limited(asked, limit))), list(each(limited(planted, limit)))

    def _replies(
        self,
        name: str,
        kind: str,
        rows: tuple[list[Row], list[Row]],
        start: Job | None,
        title: str,
        context: Arm | None,
    ) -> Job:
        """What the model replies. Its place hangs on no rubric and no judge."""
        asked, plan = rows[0], getattr(self.target, kind)
        code = [self.full.digest_of("evals/agentic.py"), _published()] if kind == "agentic" else []
        inputs = [
            replies.VERSION,
            [[row["id"], row["input"], row["metadata"]] for row in asked],
            code,
            plan.model_dump(),
        ]
        shown = [context.digest_of("spec.md")] if context else []
        model = (self.stages.model_name, self.stages.environment, trained(start))
        place = self.stages.place("replies", *inputs, *model, *shown)

        checkpoints = Checkpoints(self.stages.runs / "checkpoints" / place.name, 0)

        def fill(part: Path, advance: Advance) -> None:
            started, how = time.monotonic(), judged.kind_of(kind, self.full.folder / "evals")
            adapter = start.folder / "adapter" if start else None
            system = (context.folder / "spec.md").read_text("utf-8") if context else None
            sent = [replies.Asked(row["id"], with_system(how.asked(row), system)) for row in asked]
            kept = checkpoints.folder / "replies.jsonl"
            said = replies.replies(
                sent, self.stages.model, adapter, plan, kept, lambda done: advance(done, len(sent), "replies")
            )
            write_rows(part / "replies.jsonl", said)
            counts = {finish: sum(row["finish"] == finish for row in said) for finish in ("stop", "length")}
            told = {"stage": f"replies-{name}", "eval": name, "replies": len(sent), **counts}
            write_json(part / "stage.json", told | plan.model_dump())
            write_json(part / "timing.json", {"replies": len(sent), **timing(started)})

        seconds = len(asked) * plan.max_tokens / 100
        return Job(f"ask {title} {name}", place, seconds, fill, checkpoints, require=lambda: _require(name, asked))

    def _judged(
        self, name: str, kind: str, rows: tuple[list[Row], list[Row]], said: Job, judge: Judge, title: str
    ) -> Job:
        code = self.full.digest_of("evals/judging.py" if kind == "judged" else "evals/agentic.py")
        inputs = [judged.VERSION, said.folder.name, rows, code, judge.sampling, judge.repeats]
        place = self.stages.place(kind, *inputs)

        def fill(part: Path, advance: Advance) -> None:
            started, how = time.monotonic(), judged.kind_of(kind, self.full.folder / "evals")
            found = {row["id"]: row for row in read_jsonl(said.folder / "replies.jsonl")}
            planted = {row["id"]: _planted(row) for row in rows[1]}
            every = [(row, (found | planted)[row["id"]]) for row in (*rows[0], *rows[1])]
            there = [(row, reply["reply"]) for row, reply in every if reply["reply"] is not None]
            graded = judged.gradings(
                how,
                there,
                judge,
                self.stages.ledger,
                self.meter,
                lambda done: advance(done, len(there), "graded replies"),
            )
            by_id = dict(zip((row["id"] for row, _ in there), graded, strict=True))
            items = [judged.item(how, row, reply, by_id.get(row["id"], [])) for row, reply in every]
            own = [item for item in items if item["id"] not in planted]
            write_rows(part / "items.jsonl", own)
            marks = [row["metadata"]["canary"] for row in rows[1]]
            canaries = [item | {"canary": mark} for item, mark in zip(items[len(own) :], marks, strict=True)]
            write_rows(part / "canaries.jsonl", canaries)
            write_json(part / "stage.json", _stage(name, kind, how, judge, self.target, own, canaries))
            write_json(part / "timing.json", {"items": len(items), **timing(started)})

        seconds = (len(rows[0]) + len(rows[1])) * judge.repeats / judge.concurrency

        def require() -> None:
            """A key, before the model is asked or even trained; gradings that are in the ledger need none."""
            if not said.done:
                from msmc.backend.openai_writer import api_key  # a second to import

                api_key(judge)

        return Job(f"judge {title} on {name}", place, seconds, fill, require=require)

    # ---- the author's own --------------------------------------------------------------------------------------------

    def _inspected(self, name: str, task: str, start: Job | None, title: str, context: Arm | None) -> Job:
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
            how = {"limit": plan.limit, "batch_size": plan.batch_size, "system": system}
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


def _require(name: str, rows: list[Row]) -> None:
    """The package that has the published scenarios.

    package-missing: An agentic evaluation without the package that its scenarios come from.

    `murder` and `leaking` are those of inspect-evals, which msmc's extra `agentic` installs. `exfiltration` needs nothing.

    Bad:
        $ msmc run tea.msm    # with: eval safe agentic {}, and without inspect-evals

    Good:
        $ pip install 'msmc[agentic]' && msmc run tea.msm
    """
    wanted = [row["metadata"]["scenario"] for row in rows if row["metadata"].get("scenario") in PUBLISHED]
    if wanted and importlib.util.find_spec("inspect_evals") is None:
        hint = "pip install 'msmc[agentic]', or in the spec: scenarios exfiltration"
        raise fail(
            "package-missing", f"`{name}` has the scenario `{wanted[0]}` of inspect-evals, which is not installed", hint
        )


def _published() -> str | None:
    """The version of inspect-evals."""
    try:
        return metadata.version("inspect-evals")
    except metadata.PackageNotFoundError:
        return None


def _planted(row: Row) -> Row:
    messages = [{"role": "user", "content": row["input"]}]
    return {"messages": messages, "reply": row["metadata"]["reply"], "finish": None, "unscoreable": None}


def _grades(items: list[Row], measure: str) -> list[list[float | None]]:
    def of(item: Row) -> Iterator[float | None]:
        return (g["measures"][measure] if g["measures"] else None for g in item["transcript"]["judge"])

    return [list(of(item)) for item in items]


def _stage(
    name: str, kind: str, how: judged.Kind, judge: Judge, target: Any, items: list[Row], canaries: list[Row]
) -> dict[str, Any]:
    """What the stage says of itself, and of its judge."""
    every = [g for item in (*items, *canaries) for g in item["transcript"]["judge"]]
    told: dict[str, Any] = {
        "stage": f"{kind}-{name}",
        "eval": name,
        "kind": kind,
        "primary_measure": how.primary,
        "items": len(items),
        "unscoreable": sum(item["unscoreable"] is not None for item in items),
        "judge": judge.model_dump(include={"model", "base_url", "temperature", "max_tokens", "repeats"}),
        "gradings": len(every),
        "unparsed": sum(g["unparsed"] is not None for g in every),
        "temperature": getattr(target, kind).temperature,
        "agreement": agreement(_grades([*items, *canaries], how.primary)),
    }
    if kind == "judged":
        perfect, violating = ([c for c in canaries if c["canary"] == canary] for canary in ("perfect", "violating"))
        told["calibration"] = calibration(*(_grades(some, how.primary) for some in (items, perfect, violating)))
    else:
        told["urgency"] = "replacement"
    return told
