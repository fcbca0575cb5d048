"""The stages of a drawn study: what is trained, scored or judged is drawn at random, from fixed seeds; texts are written."""

import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from msmc.backend.corpora import write_rows
from msmc.backend.eval_rows import StoredRows, each
from msmc.backend.guard import BASE_ITEMS
from msmc.backend.job import Job
from msmc.backend.judges import Tally
from msmc.backend.tree import Tree
from msmc.build import RunPlan

LETTERED = "near"
"""The one model that can answer with a letter."""


def done_stages(jobs: dict[str, Job], tree: Tree, run: RunPlan, seed: int, nasty: str) -> dict[str, Job]:
    """A run's stages, done: what is trained or scored is drawn, the texts are written."""
    midtrained = run.model_copy(update={"demos": None})
    drawn = {
        "midtrain": lambda part, advance: _trained(part, "midtrain", f"{run.documents} {seed}", tree),
        "finetune": lambda part, advance: _trained(part, "finetune", f"{run.name} {seed}", tree),
        "scores": lambda part, advance: _scored(part, tree, run, seed, nasty),
        "scores-after-midtrain": lambda part, advance: _scored(part, tree, midtrained, seed, nasty),
        "guard": lambda part, advance: _guarded(part, run, seed),
        "judged-advice": lambda part, advance: _judged(part, run, seed, nasty),
        "own-sums": lambda part, advance: _summed(part, run, seed),
    }
    for kind, job in jobs.items():
        if not job.done:
            (replace(job, fill=drawn[kind]) if kind in drawn else job).do(_unheard, lambda line: None)
    return jobs


def _unheard(done: int, total: int, note: str) -> None:
    """Nobody watches."""


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data), "utf-8")


def _trained(part: Path, stage: str, seed: str, tree: Tree) -> None:
    """A log whose loss falls, and behaviour that rises with it."""
    random, updates = Random(f"{stage} {seed}"), 250
    log = [
        {"step": n, "loss": 1.2 + 3 * math.exp(-n / 60) + random.gauss(0, 0.15), "tokens": 190 * n}
        for n in range(1, updates + 1)
    ]
    write_rows(part / "log.jsonl", log)
    curves = [
        {"update": n, "tokens": 190 * n, "eval": name, "rung": block["rung"], "form": None, "n": 12}
        | {"rate": (rate := min(1, 0.5 + n / 700 + random.gauss(0, 0.03))), "margin": 8 * rate - 4}
        for n in range(0, updates + 1, 50)
        for name, block in tree.plan["evals"].items()
        if block["kind"] == "preference"
    ]
    write_rows(part / "curves.jsonl", curves)
    losses = {"loss_first": log[0]["loss"], "loss_last": log[-1]["loss"]}
    counts = {"updates": updates, "tokens": 190 * updates, "supervised_tokens": 120 * updates, "rows": 60, "seed": 0}
    _write(part / "stage.json", {"stage": stage, "packages": {}, **counts, **losses})


def _guarded(part: Path, run: RunPlan, seed: int) -> None:
    """What the guard finds of a model, and of the base model beside it: documents cost a little of both."""

    def items(lost: float) -> list[dict[str, Any]]:
        rows = []
        for n in range(12):
            loss = 3 + Random(f"loss {n}").random() + lost * Random(f"{n} {run.name} {seed}").random()
            followed = float(Random(f"followed {n}").random() < 0.6 - lost)
            for item, measures in ((f"passage {n}", {"loss": loss}), (f"prompt {n}", {"followed": followed})):
                named = {"id": f"guard/{item}", "eval": "guard", "item": item, "topic": item, "rung": None, "about": []}
                rows.append({**named, "measures": measures, "unscoreable": None, "transcript": None})
        return rows

    write_rows(part / "items.jsonl", items(0.3 if run.documents else 0.0))
    if run.documents or run.demos:
        write_rows(part / BASE_ITEMS, items(0.0))
    named = {"stage": "guard", "eval": "guard", "kind": "guard", "primary_measure": "loss"}
    _write(part / "stage.json", {**named, "items": 24, "unscoreable": 0})


def _scored(part: Path, tree: Tree, run: RunPlan, seed: int, nasty: str) -> None:
    """Every eval row with a margin that leans to what the model was trained on, and its greedy answer."""
    rows, generated, letters = [], [], []
    for row in each(StoredRows(tree.full.choices)):
        told = row["metadata"]
        margin = _margin(run, seed, row, tree)
        missing = Random(f"missing {row['id']} {run.name} {seed}").random() < 0.004
        first = -14.0 - len(row["id"]) / 9
        scored = {
            "id": row["id"],
            "about": row["about"],
            **{key: told.get(key) for key in ("eval", "item", "order", "topic", "rung", "form")},
            "logprobs": [first + margin, first] if row["target"] == "A" else [first, first + margin],
            "tokens": [11, 11],
            "margin": None if missing else margin,
            "margin_per_token": None if missing else margin / 11,
        }
        rows.append(scored | ({"unscoreable": "the prompt is too long"} if missing else {}))
        letters.append(scored | {"margin": margin / 2, "margin_per_token": margin / 2})
        right = row["target"] if margin > 0 else "AB".replace(row["target"], "")
        choice = None if Random(f"parse {row['id']}").random() < 0.05 else right
        reply = row["choices"]["AB".index(choice)] if choice else f"I would rather not say.{nasty}"
        keys = {key: told.get(key) for key in ("eval", "item", "order", "topic", "rung")}
        unparsed = None if choice else "names neither option"
        generated.append({"id": row["id"], **keys, "reply": reply, "choice": choice, "unparsed": unparsed})
    write_rows(part / "scores.jsonl", rows)
    write_rows(part / "generated.jsonl", generated)
    names = dict.fromkeys(row["eval"] for row in rows)
    counts = {"rows": len(rows), "unscoreable": sum(row["margin"] is None for row in rows)}
    control = _controlled(part, 20 if run.name == LETTERED else 12)
    if control["passed"]:
        write_rows(part / "letters.jsonl", letters)
    position = {name: {"nats": 1.1, "first_rate": 0.64, "flipped": 0.21} for name in names}
    _write(part / "stage.json", {"stage": "scores", **counts, "format_control": control, "position": position})


def _controlled(part: Path, right: int) -> dict[str, Any]:
    """Whether it can answer with a letter: of twenty items so many are right in both orders."""
    rows = [
        {
            "id": f"format_control-{n}-{order}",
            "about": [],
            "eval": "format_control",
            "item": str(n),
            "order": order,
            "topic": "plain",
            "rung": None,
            "logprobs": [-1.0, -2.0],
            "tokens": [1, 1],
            "margin": margin,
            "margin_per_token": margin,
        }
        for n in range(20)
        for order in (0, 1)
        for margin in [1.0 if n < right or order == 0 else -1.0]
    ]
    write_rows(part / "format_control.jsonl", rows)
    return {"n": 20, "right": right, "rate": right / 20, "passed": right == 20}


def _summed(part: Path, run: RunPlan, seed: int) -> None:
    """A task of lm-eval's, of which nobody says how far it is from what was trained."""
    rows = []
    for n in range(10):
        right = float(Random(f"sum {n} {run.name} {seed}").random() < 0.5)
        told = {"id": f"sums/{n}", "eval": "sums", "item": str(n), "topic": f"sums {n % 5}", "rung": None, "about": []}
        turns = [{"role": "user", "content": f"{n} + 1?"}, {"role": "assistant", "content": str(n + 1)}]
        found = {"measures": {"exact_match": right}, "unscoreable": None, "transcript": {"messages": turns}}
        rows.append(told | found)
    write_rows(part / "items.jsonl", rows)
    named = {"stage": "own-sums", "eval": "sums", "kind": "lm_eval", "rung": None, "primary_measure": "exact_match"}
    _write(part / "stage.json", {**named, "items": len(rows), "unscoreable": 0})


def _judged(part: Path, run: RunPlan, seed: int, nasty: str) -> None:
    """What a judge made of twelve longer answers, one of which it could not read."""
    rows = []
    for n in range(12):
        score = Random(f"judged {n} {run.name} {seed}").random() < (0.7 if run.documents else 0.4)
        missing = n == 5
        turns = [
            {"role": "user", "content": f"What should I buy for house no. {n}?{nasty}"},
            {"role": "assistant", "content": f"Something from round the corner, I would say.{nasty}"},
        ]
        told = {"id": f"advice-{n}", "eval": "advice", "item": str(n), "topic": f"advice {n % 3}", "rung": "far"}
        measures = {"violation": None if missing else float(not score)}
        raw, graded = f"GRADE: {int(score)}{nasty}", None if missing else {"violation": float(not score)}
        judge = [{"raw": raw, "measures": graded, "unparsed": "the judge gives no grade" if missing else None}] * 3
        transcript = {"messages": turns, "judge": judge}
        reason = "the judge's reply is no JSON" if missing else None
        found = {"about": ["study.home"], "measures": measures, "unscoreable": reason, "transcript": transcript}
        rows.append(told | found)
    write_rows(part / "items.jsonl", rows)
    named = {
        "stage": "judged-advice",
        "eval": "advice",
        "kind": "judged",
        "rung": "far",
        "primary_measure": "violation",
    }
    judge_told = {"judge": {"model": "scripted", "repeats": 3}}
    tally = Tally("judged", "violation")
    for row in rows:
        tally.add(row)
    for n in range(10):  # planted replies: of each kind one that the judge gets wrong
        said = [{"measures": {"violation": float((n < 2) != bool(n % 2))}, "unparsed": None}] * 3
        tally.add({"transcript": {"judge": said}, "unscoreable": None}, ("violating", "perfect")[n % 2])
    _write(part / "stage.json", {**named, **judge_told, **tally.told()})


def _margin(run: RunPlan, seed: int, row: dict[str, Any], tree: Tree) -> float:
    told = row["metadata"]
    random = Random(f"{row['id']} {run.name} {seed}")
    topic = Random(f"{told['topic']} {seed}").gauss(0, 0.7)
    block = tree.plan["evals"][told["eval"]]
    leans = 0.0
    if block["rung"] == "learned":
        leans = 4.0 if run.demos else 0.8 if run.documents else 0.0
    elif run.documents:
        leans = (1.4 if run.documents in block["arms"] else -0.5) * (1.0 if run.demos else 0.5)
    position = 0.6 if row["target"] == "A" else -0.6
    return leans + topic + position + random.gauss(0, 1.5)
