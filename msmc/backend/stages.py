"""The stages of an experiment. Each is content-addressed: its folder's name is a digest of all that determines it, so what
two arms share is done once, and what is done is never done again."""

import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from msmc.backend import gates, template_writer
from msmc.backend.finetune import finetune
from msmc.backend.midtrain import midtrain
from msmc.backend.score import score
from msmc.backend.training import PACKAGES
from msmc.backend.tree import Arm, Tree, read_jsonl
from msmc.backend.weights import model_folder, whole_folder
from msmc.build import RunPlan, canonical, digest
from msmc.diagnostics import fail
from msmc.library import Library
from msmc.source import Sources

Advance = Callable[[int, int, str], None]
"""done, in all, a note"""


@dataclass(frozen=True)
class Job:
    """One stage to do: what it is, its folder, a guess at its seconds on two cores, and the work."""

    title: str
    folder: Path
    seconds: float
    work: Callable[[Advance], None]

    @property
    def done(self) -> bool:
        return self.folder.exists()


class Stages:
    """The stages of one build tree, kept in `runs/stages`."""

    def __init__(self, tree: Tree, runs: Path, cache: Path, sources: Sources, say: Callable[[str], None]) -> None:
        self.tree, self.store, self.cache, self.say = tree, runs / "stages", cache, say
        self.target = tree.full.target
        self.library = Library(sources)

    @cached_property
    def model(self) -> Path:
        """The base model's folder, fetched or converted when it is first needed."""
        return model_folder(self.target.model, self.cache, self.say)

    @cached_property
    def _environment(self) -> dict[str, str]:
        """What besides the inputs determines a trained adapter or a score."""
        return {name: metadata.version(name) for name in (*PACKAGES, "lm-eval")}

    def _place(self, kind: str, *inputs: object) -> Path:
        return self.store / f"{kind}-{digest(kind, *inputs)[:12]}"

    # ---- writing ----------------------------------------------------------------------------------------------------

    def corpus(self, arm: Arm) -> Job:
        """Documents written for every planned row of an arm, gated."""
        passages = self.library.fingerprint
        inputs = (arm.digest_of("documents/"), arm.digest_of("ir.json"), arm.held_out, self.target.writer, passages)
        place = self._place("corpus", *inputs, template_writer.VERSION)

        def work(advance: Advance) -> None:
            writer = template_writer.TemplateWriter(arm.spec, self.library)
            planned = list(arm.documents())
            written = []
            for number, row in enumerate(planned, 1):
                written.append((row, writer.write(row)))
                advance(number, len(planned), "documents")
            kept, quarantined = gates.gate(arm, written)
            with whole_folder(place) as part:
                _write_rows(part / "midtrain.jsonl", kept)
                _write_rows(part / "quarantine.jsonl", quarantined)
                words = sum(len(str(row["text"]).split()) for row in kept)
                counts = {"documents": len(kept), "quarantined": len(quarantined), "words": words}
                _write_json(part / "stage.json", {"stage": "corpus", "arm": arm.name, **counts})

        return Job(f"write the documents of {arm.name}", place, 2.0, work)

    def demos(self, arm: Arm) -> Job:
        """The chats to fine-tune on: the spec's examples. Raises Failed where chats are planned that no writer can write."""
        planned = [row for path in arm.files("demos") if path.name != "static.jsonl" for row in read_jsonl(path)]
        if planned and self.target.writer == "template":
            message = f"{len(planned)} rows of chats are planned, and the writer `template` writes documents only"
            raise fail("writer-cannot", message, "set demos.per_clause to 0: the spec's examples are then the demos")
        place = self._place("demos", arm.digest_of("demos/"), arm.held_out)

        def work(advance: Advance) -> None:
            rows = list(read_jsonl(arm.folder / "demos" / "static.jsonl"))
            if not rows:
                raise fail(
                    "no-demos", f"`{arm.name}` has no demos to fine-tune on", "add `example` blocks to its rules"
                )
            advance(len(rows), len(rows), "demos")
            with whole_folder(place) as part:
                _write_rows(part / "finetune.jsonl", [{**row, "source": {"writer": "spec"}} for row in rows])
                _write_json(part / "stage.json", {"stage": "demos", "arm": arm.name, "demos": len(rows)})

        return Job(f"collect the demos of {arm.name}", place, 0.1, work)

    # ---- training ---------------------------------------------------------------------------------------------------

    def midtrained(self, arm: Arm, seed: int) -> Job:
        """An adapter trained on an arm's documents."""
        corpus = self.corpus(arm)
        recipe = arm.folder / "train" / "midtrain.yaml"
        inputs = (corpus.folder.name, arm.digest_of("train/midtrain"), self._model_name, seed, self._environment)
        place = self._place("midtrain", *inputs)

        def work(advance: Advance) -> None:
            rows = corpus.folder / "midtrain.jsonl"
            midtrain(recipe, rows, self.model, None, place, seed, self.target.min_steps, _noted(advance))

        plan = self.target.midtrain
        tokens = 1.35 * 230 * sum(1 for _ in arm.documents()) * plan.epochs
        return Job(f"midtrain on the documents of {arm.name}", place, tokens / 200, work)

    def finetuned(self, arm: Arm, start: Job | None, origin: str, seed: int) -> Job:
        """An adapter fine-tuned on an arm's demos, from the base model or from where a stage left off."""
        demos = self.demos(arm)
        recipe = arm.folder / "train" / "finetune.yaml"
        inputs = (
            demos.folder.name,
            arm.digest_of("train/finetune"),
            arm.digest_of("train/chat"),
            self._model_name,
            seed,
        )
        place = self._place("finetune", *inputs, start.folder.name if start else "base", self._environment)

        def work(advance: Advance) -> None:
            adapter = start.folder / "adapter" if start else None
            rows = demos.folder / "finetune.jsonl"
            finetune(recipe, rows, self.model, adapter, place, seed, self.target.min_steps, _noted(advance))

        plan = self.target.finetune
        num_demos = sum(len(rule.examples) for rule in arm.spec.rules)
        updates = plan.epochs * num_demos / plan.batch_size
        return Job(f"fine-tune {origin} on the demos of {arm.name}", place, 0.55 * updates, work)

    @cached_property
    def _model_name(self) -> str:
        model = self.target.model
        local = Path(model.name)
        if local.is_dir():  # a folder's name says nothing about its weights
            return digest({p.name: (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(local.iterdir())})
        return canonical(model.model_dump())

    # ---- scoring ----------------------------------------------------------------------------------------------------

    def scored(self, start: Job | None, title: str) -> Job:
        """Every eval row scored on the base model or on a stage's adapter."""
        arm, plan = self.tree.full, self.target.evaluate
        rows = limited(arm.eval_rows(), plan.limit)
        inputs = (arm.digest_of("evals/"), plan.limit, plan.batch_size, self._model_name, self._environment)
        place = self._place("scores", *inputs, start.folder.name if start else "base")

        def work(advance: Advance) -> None:
            adapter = start.folder / "adapter" if start else None
            with whole_folder(place) as part:
                out = part / "scores.jsonl"
                missing = score(
                    rows, self.model, adapter, out, lambda done, total: advance(done, total, "rows"), plan.batch_size
                )
                _write_json(part / "stage.json", {"stage": "scores", "rows": len(rows), "unscoreable": missing})

        return Job(f"score {title}", place, len(rows) / 5, work)

    # ---- a run ------------------------------------------------------------------------------------------------------

    def of_run(self, run: RunPlan, seed: int) -> dict[str, Job]:
        """The stages of one model, in order, by name."""
        jobs: dict[str, Job] = {}
        last: Job | None = None
        origin = "the base model"
        if run.documents is not None:
            arm = self.tree.arms[run.documents]
            jobs["corpus"], jobs["midtrain"] = self.corpus(arm), self.midtrained(arm, seed)
            last, origin = jobs["midtrain"], f"the model of {arm.name}'s documents"
        if run.demos is not None:
            arm = self.tree.arms[run.demos]
            jobs["demos"], jobs["finetune"] = self.demos(arm), self.finetuned(arm, last, origin, seed)
            last = jobs["finetune"]
        jobs["scores"] = self.scored(last, run.name)
        return jobs


def limited(rows: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """The first `limit` items of each evaluation spread over its topics, both orders; all of them for None."""
    if limit is None:
        return rows
    by_eval: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {}
    for row in rows:
        meta = row["metadata"]
        by_eval.setdefault(meta["eval"], {}).setdefault(meta["topic"], {}).setdefault(meta["item"], []).append(row)
    found = []
    for topics in by_eval.values():
        rounds = [
            item for turn in range(limit) for items in topics.values() for item in list(items.values())[turn : turn + 1]
        ]
        found += [row for item in rounds[:limit] for row in item]
    return found


def _noted(advance: Advance) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: advance(done, total, f"updates, loss {loss:.2f}")


def _write_rows(path: Path, rows: Iterator[Any] | list[Any]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(canonical(row) + "\n" for row in rows)


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def host() -> dict[str, str]:
    """Where a run was made; in run.json alone."""
    return {"python": platform.python_version(), "system": platform.platform(), "machine": platform.machine()}
