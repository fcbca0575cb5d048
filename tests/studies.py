"""Run folders of an ablation that nobody trained: compiled, registered and compared by msmc itself, with scores of our making."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msmc.backend.eval_rows import StoredRows, each, limited
from msmc.backend.experiment import _write_run
from msmc.backend.job import Job
from msmc.backend.preregistration import registration
from msmc.backend.tree import Tree, read_tree
from msmc.build import RunPlan
from msmc.compile import compile
from msmc.project import store_tree
from tests.project import Memory, cpu

LIBRARY = (
    'value thrift "Thrift" { statement "{assistant} likes what is cheap."  rationale "Cheap things can be shared." }\n'
)
SPEC = """
import "lib.msm" as lib
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "{assistant} likes what is warm."  rationale "Warmth comforts." }
  rule green "Green tea" {
    serves warmth
    statement "{assistant} likes green tea."
    rationale for warmth "It warms the hands."
    rationale for lib.thrift "It costs little."
    example ask { user "Tea?" assistant "Green tea, please." }
  }
  documents { about values, rules, rationales  kinds letter }
  demos chats chat { about rules }
  eval drinks preference { about rules  pairs "drinks.jsonl" }
  eval warm preference { about warmth  pairs "warm.jsonl"  held_out }
  eval cheap preference { about lib.thrift  pairs "cheap.jsonl"  held_out }
  ablation crossed "Warm or cheap?" { arm warm {}  arm cheap { replace warmth with lib.thrift }  control base, aft_only
    primary warm  seeds SEEDS }
  ablation plain "Do reasons matter?" { arm rules { drop rationale }  control aft_only  primary warm  seeds SEEDS }
}
"""
TEXTS = {"corpus": {"midtrain.jsonl": "", "coverage.json": "{}"}, "demos": {"finetune.jsonl": ""}}
Margin = Callable[[RunPlan, int, dict[str, Any]], float | None]
"""Of a model, a seed and a row."""


def pairs(what: str, items: int = 12, topics: int = 6) -> str:
    found = [
        {"a": f"a {what} stove of kind {n}", "b": f"a fridge of {what} kind {n}", "aligned": "a", "topic": f"{what}{n % topics}"}
        for n in range(items)
    ]  # fmt: skip
    return "".join(json.dumps(pair) + "\n" for pair in found)


def noise(*parts: object) -> float:
    """The same for the same parts."""
    return random.Random(hashlib.sha256(repr(parts).encode()).digest()).gauss(0, 0.3)


def learned(effect: float = 0.0, missing: str = "", fails: str = "") -> Margin:
    """Models that hold what they were trained on, and lean to their own value by `effect`."""

    def margin(run: RunPlan, seed: int, row: dict[str, Any]) -> float | None:
        name, item = row["metadata"]["eval"], row["metadata"]["item"]
        if name == missing:
            return None
        if name == "drinks":
            return (-4.0 if run.name == fails else 4.0) + noise(run.name, seed, item)
        leans = {"warm": {"warm": effect}, "cheap": {"cheap": effect}}.get(run.name, {}).get(name, 0.0)
        return leans + noise(item) + noise(run.name, seed, item)

    return margin


def tree(folder: Path, ablation: str, seeds: int = 3, *settings: str, spec: str = SPEC, **files: str) -> Tree:
    trained = [{"a": "green tea", "b": f"cola {n}", "aligned": "a", "topic": "drinks"} for n in range(12)]
    files |= {
        "lib.msm": LIBRARY,
        "tea.msm": spec.replace("SEEDS", str(seeds)),
        "drinks.jsonl": "".join(json.dumps(pair) + "\n" for pair in trained),
        "warm.jsonl": pairs("warm"),
        "cheap.jsonl": pairs("cheap"),
    }
    outcome = compile(Memory(**files), "tea.msm", cpu("documents.per_clause=1", *settings), ablation)
    assert not isinstance(outcome, list), outcome
    return read_tree(store_tree(outcome, folder / "build", folder / "runs"))


def run_folders(folder: Path, of: Tree, margin: Margin, seeds: list[int] | None = None) -> list[Path]:
    """Every model and seed; a margin of None is a row without a score."""
    seeds = list(range(of.plan["seeds"])) if seeds is None else seeds
    rows = list(each(limited(StoredRows(of.full.choices), of.full.target.evaluate.limit)))
    place = folder / "runs" / of.plan["spec"] / of.full.target.name
    found = []
    for number, (run, seed) in enumerate((run, seed) for seed in seeds for run in of.runs):
        jobs = _stages(folder / "runs" / "stages" / f"{number}", run)
        scored = [_scored(row, margin(run, seed, row)) for row in rows]
        (jobs["scores"].folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in scored), "utf-8")
        found.append(_write_run(place, of, run, seed, jobs, registration(of, seeds)))
    return found


def _stages(folder: Path, run: RunPlan) -> dict[str, Job]:
    costs = {"updates": 300, "tokens": 1000, "supervised_tokens": 100, "loss_first": 3.0, "loss_last": 1.0}
    kinds = [
        *(("corpus", "midtrain") if run.documents else ()),
        *(("demos", "finetune") if run.demos else ()),
        "scores",
    ]
    jobs = {}
    for kind in kinds:
        place = folder.with_name(f"{folder.name}-{kind}")
        place.mkdir(parents=True, exist_ok=True)
        (place / "stage.json").write_text(json.dumps({"stage": kind, **costs}), "utf-8")
        for name, text in TEXTS.get(kind, {}).items():
            (place / name).write_text(text, "utf-8")
        jobs[kind] = Job(kind, place, 0, lambda part, advance: None)
    return jobs


def _scored(row: dict[str, Any], margin: float | None) -> dict[str, Any]:
    kept = {key: row["metadata"].get(key) for key in ("eval", "item", "order", "topic", "rung", "form")}
    reason = {} if margin is not None else {"unscoreable": "its prompt is too long"}
    return {"id": row["id"], "about": row["about"], **kept, "margin": margin, "margin_per_token": margin, **reason}


def add_items(folder: Path, name: str, kind: str, measures: dict[str, list[float | None]]) -> None:
    """A stage of a run that nobody ran: of each measure the value of every item. The first is primary."""
    number = len(next(iter(measures.values())))
    rows = [
        {"id": f"{name}{n}", "eval": name, "item": str(n), "topic": f"t{n % 10}", "rung": None, "about": ["tea.warmth"],
         "measures": {measure: values[n] for measure, values in measures.items()}, "unscoreable": None, "transcript": None}
        for n in range(number)
    ]  # fmt: skip
    stage = folder / f"{kind}-{name}"
    stage.mkdir()
    (stage / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run = json.loads((folder / "run.json").read_text("utf-8"))
    run["stages"][stage.name] = {"eval": name, "kind": kind, "primary_measure": next(iter(measures))}
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
