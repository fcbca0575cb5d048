"""The stages that evaluate a trained model otherwise than by forced choice: the capability guard, and the author's own tasks."""

from __future__ import annotations

import shutil
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmc.backend import guard, own_tasks
from msmc.backend.adapter import write_json
from msmc.backend.corpora import write_rows
from msmc.backend.job import Advance, Job, trained
from msmc.backend.training import timing
from msmc.backend.tree import Arm
from msmc.build import digest

if TYPE_CHECKING:
    from msmc.backend.stages import Stages


class Evaluations:
    """Those of the models of one build tree."""

    def __init__(self, stages: Stages) -> None:
        self.stages, self.tree, self.plan = stages, stages.tree, stages.target.evaluate
        self._loaded: dict[str, own_tasks.Loaded] = {}

    def of(self, start: Job | None, title: str, context: Arm | None) -> dict[str, Job]:
        """By name, for the base model or a stage's adapter, with an arm's `spec.md` before it or without."""
        jobs = {"guard": self._guard(start, title, context)}
        for name, task in self.tree.plan["tasks"].items():
            if task["tool"] == "lm_eval":
                jobs[f"lm_eval-{name}"] = self._own(name, task, start, title, context)
        return jobs

    # ---- what all of them have in common -----------------------------------------------------------------------------

    def _place(self, kind: str, inputs: list[Any], start: Job | None, context: Arm | None) -> Path:
        shown = [context.digest_of("spec.md")] if context else []
        model = (self.stages.model_name, self.stages.environment, self.plan.batch_size)
        return self.stages.place(kind, *inputs, *model, trained(start), *shown)

    def _write(self, part: Path, items: list[dict[str, Any]], started: float, told: dict[str, Any]) -> None:
        """The items, and what all stages of this kind say of themselves."""
        write_rows(part / "items.jsonl", items)
        missing = sum(item["unscoreable"] is not None for item in items)
        write_json(part / "stage.json", told | {"items": len(items), "unscoreable": missing})
        write_json(part / "timing.json", {"items": len(items), **timing(started)})

    # ---- the guard ---------------------------------------------------------------------------------------------------

    def _guard(self, start: Job | None, title: str, context: Arm | None) -> Job:
        """What the model says to neutral text and instructions, beside what the base model says."""
        base = self._guard(None, "the base model", None) if start or context else None
        inputs = [guard.VERSION, self.plan.guard.prompts, _texts()]
        place = self._place("guard", inputs, start, context)

        def fill(part: Path, advance: Advance) -> None:
            started = time.monotonic()
            items = guard.guard(
                self.stages.model,
                start.folder / "adapter" if start else None,
                self.plan.guard.prompts,
                lambda done, total: advance(done, total, "items"),
                self.plan.batch_size,
                _system(context),
            )
            told = {"stage": "guard", "eval": "guard", "kind": "guard", "primary_measure": "loss"}
            self._write(part, items, started, told)
            if base:
                shutil.copyfile(base.folder / "items.jsonl", part / guard.BASE_ITEMS)

        return Job(f"guard {title}", place, 15, fill, needs=(base,) if base else ())

    # ---- the author's own --------------------------------------------------------------------------------------------

    def _own(self, name: str, task: dict[str, Any], start: Job | None, title: str, context: Arm | None) -> Job:
        """Every document of an lm-eval task, up to the target's limit, beside what the base model says to them."""
        full = self.tree.full
        base = self._own(name, task, None, "the base model", None) if start or context else None
        inputs = [own_tasks.VERSION, name, task, full.digest_of(f"tasks/{name}/"), self.plan.limit]
        place = self._place("lm_eval", inputs, start, context)

        def require() -> None:
            if name not in self._loaded:
                self._loaded[name] = own_tasks.load(name, task, full.folder / "tasks" / name)

        def fill(part: Path, advance: Advance) -> None:
            started = time.monotonic()
            require()
            asked = self._loaded[name]
            items = own_tasks.answered(
                asked,
                self.stages.model,
                start.folder / "adapter" if start else None,
                lambda done, total: advance(done, total, "answers"),
                self.plan.batch_size,
                self.plan.limit,
                _system(context),
            )
            told = {"stage": f"lm_eval-{name}", "eval": name, "kind": "lm_eval", "task": task["task"]}
            measures = {"primary_measure": asked.measures[0], "higher_is_better": asked.higher_is_better}
            self._write(part, items, started, told | measures)
            if base:
                shutil.copyfile(base.folder / "items.jsonl", part / guard.BASE_ITEMS)

        return Job(f"ask {title} {name}", place, 60, fill, needs=(base,) if base else (), require=require)


@cache
def _texts() -> str:
    return digest([path.read_text("utf-8") for path in guard.FILES])


def _system(context: Arm | None) -> str | None:
    return (context.folder / "spec.md").read_text("utf-8") if context else None
