"""The comparison: the figures of every run, paired differences of arms, and the difference in differences."""

import os
from itertools import combinations
from pathlib import Path
from typing import Any

from msmc.backend import statistics
from msmc.backend.guard import drops_of_run
from msmc.build import SCHEMA_VERSION, digest
from msmc.diagnostics import fail
from msmc.stored import read_json, read_jsonl
from msmc.target import MIN_ITEMS, MIN_STEPS

TRAINING = ("midtrain", "finetune")
QUESTION = ("title", "spec", "ablation", "primary", "evals")
"""What runs that are compared have in common."""


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of a run folder. Raises Failed `not-a-run`."""
    if not (folder / "run.json").is_file():
        raise fail("not-a-run", f"`{folder}` is not a run", "name a folder such as runs/SPEC/TARGET/ARM/seed-0-…")
    data = read_json(folder / "run.json")
    if data.get("schema_version") != SCHEMA_VERSION:
        raise fail(
            "not-a-run",
            f"`{folder}` was made by another version of msmc",
            "the same `msmc run` or `msmc ablate` makes it again",
        )
    return data


def compare(folders: list[Path]) -> dict[str, Any]:
    """What the table and the page show: the figures of every run, and paired differences of arms seed by seed."""
    runs = [read_run(folder) for folder in folders]
    if len({_asked(run) for run in runs}) > 1:
        raise fail(
            "not-a-run",
            "these runs were scored on different items or by different ablations: their figures cannot be compared",
            "name runs of one ablation and one state of the spec, its items and `evaluate.limit`",
        )
    scores = [list(read_jsonl(folder / "scores" / "scores.jsonl")) for folder in folders]
    models = [
        {
            "name": run["run"]["name"],
            "seed": run["seed"],
            "folder": os.path.relpath(folder, folder.parents[3]),
            "documents": run["run"]["documents"],
            "demos": run["run"]["demos"],
            "swept": run["run"].get("swept"),
            "stages": {kind: _costs(run["stages"][kind]) for kind in TRAINING if kind in run["stages"]},
            "figures": statistics.figures(rows),
        }
        for run, folder, rows in zip(runs, folders, scores, strict=True)
    ]
    contrasts, crosses = [], []
    evals, primary = runs[0]["evals"], runs[0]["primary"]
    for (i, a), (j, b) in combinations(enumerate(models), 2):
        if comparable(a, b):
            pairs = statistics.paired(scores[i], scores[j])
            named = {"run": a["name"], "minus": b["name"], "seed": a["seed"]}
            contrasts.append(named | {"evals": statistics.contrast(pairs)})
            for own, other in opposites(evals, a["documents"], b["documents"], primary):
                if own in pairs and other in pairs:
                    rung, demos = evals[own]["rung"], a["demos"] is not None
                    crosses.append(named | {"rung": rung, "demos": demos} | statistics.crossed(pairs, own, other))
    return {
        "schema_version": SCHEMA_VERSION,
        **{key: runs[0][key] for key in (*QUESTION, "arm_titles", "target")},
        "stamps": list(dict.fromkeys(stamp for run in runs for stamp in stamps(run["target"]))),
        "corpora": corpora(runs, folders),
        "runs": models,
        "contrasts": contrasts,
        "crossed": crosses,
        "headline": headline(crosses, evals, primary),
        "guard": [drop for run, folder in zip(runs, folders, strict=True) for drop in drops_of_run(folder, run)],
        "not_learned": not_learned([model for model in models if not model["swept"]], evals),
        "swept_not_learned": not_learned([model for model in models if model["swept"]], evals),
    }


def corpora(runs: list[dict[str, Any]], folders: list[Path]) -> list[dict[str, Any]]:
    """For each pair of arms that write documents what their corpora are matched by, the documents of each, its tokens and
    updates in midtraining, and how many documents have the same cell in both."""
    written = {run["run"]["documents"]: (run, folder) for run, folder in zip(runs, folders, strict=True)}
    written.pop(None, None)
    ids = {
        arm: {row["id"] for row in read_jsonl(folder / "corpus" / "midtrain.jsonl")}
        for arm, (_, folder) in written.items()
        if len(written) > 1
    }
    found = []
    for arms in combinations(ids, 2):
        stages = [written[arm][0]["stages"] for arm in arms]
        matched = {stage["corpus"].get("matched", {}).get("by", "none") for stage in stages}
        found.append(
            {
                "arms": arms,
                "matched": matched.pop() if len(matched) == 1 else "none",
                "documents": [len(ids[arm]) for arm in arms],
                "paired": len(ids[arms[0]] & ids[arms[1]]),
                **{key: [stage["midtrain"][key] for stage in stages] for key in ("tokens", "updates")},
            }
        )
    return found


def comparable(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Models of one seed that took the same stages. One of a sweep stands beside `full` and its own sweep: beside another
    arm it would differ in two things."""
    same_stage = ("finetune" in a["stages"]) == ("finetune" in b["stages"])
    if not (a["seed"] == b["seed"] and a["documents"] and b["documents"] and same_stage):
        return False
    if a["swept"] and b["swept"]:
        return bool(a["swept"] == b["swept"])
    plain = b if a["swept"] else a
    return not (a["swept"] or b["swept"]) or (plain["documents"] == "full" and plain["demos"] in ("full", None))


def opposites(evals: dict[str, dict[str, Any]], first: str, second: str, primary: str | None) -> list[tuple[str, str]]:
    """Pairs of preference evaluations of a rung, the one about what only the first arm holds, the other the second's.

    Where the primary evaluation is one of them, it alone stands for its side.
    """
    found = []
    for rung in dict.fromkeys(block["rung"] for block in evals.values()):
        asked = {n: b["arms"] for n, b in evals.items() if b["rung"] == rung and b["kind"] == "preference"}
        own = [n for n, arms in asked.items() if first in arms and second not in arms]
        other = [n for n, arms in asked.items() if second in arms and first not in arms]
        own, other = ([primary] if primary in side else side for side in (own, other))
        found += [(a, b) for a in own for b in other]
    return found


def headline(crosses: list[dict[str, Any]], evals: dict[str, dict[str, Any]], primary: str | None) -> list[str]:
    """The answer to an ablation's question, a sentence a seed: the crossed figure of the primary's rung, after the demos."""
    rung = evals[primary]["rung"] if primary else "far"
    return [
        f"Headline (seed {cross['seed']}): {cross['run']} leans to {cross['own']} rather than {cross['other']} by "
        f"{interval(cross['margin'], '+')} nats more than {cross['minus']} does, and by {interval(cross['rate'], '+')} in the "
        f"rate of preferences (difference in differences, n {cross['n'][0]} and {cross['n'][1]}, "
        f"MDE {cross['minimum_detectable_margin']:.2f}): {verdict(cross['margin'])}."
        for cross in crosses
        if cross["rung"] == rung and cross["demos"]
    ]


def verdict(margin: dict[str, Any]) -> str:
    """What an interval says."""
    if margin["low"] > 0:
        return "each leans to its own value"
    return "each leans to the other's value" if margin["high"] < 0 else "null at this resolution"


def interval(estimate: dict[str, Any], sign: str = "") -> str:
    """`0.52 [0.41 0.63]`"""
    return f"{estimate['mean']:{sign}.2f} [{estimate['low']:{sign}.2f} {estimate['high']:{sign}.2f}]"


def _asked(run: dict[str, Any]) -> str:
    """What stands for the question: the rows that a run was scored on, and what the comparison makes of them."""
    files: dict[str, Any] = run["builds"]["full"]["files"]
    rows = {path: file["sha256"] for path, file in files.items() if path.startswith(("evals/", "tasks/"))}
    return digest(rows, run["target"]["evaluate"]["limit"], *(run[key] for key in QUESTION))


def _costs(stage: dict[str, Any]) -> dict[str, Any]:
    return {key: stage[key] for key in ("updates", "tokens", "supervised_tokens", "loss_first", "loss_last")}


def stamps(target: dict[str, Any]) -> list[str]:
    """What a reader must know before any figure."""
    found = []
    if target["min_steps"] < MIN_STEPS:
        found.append(f"TOO SHORT TO READ: min_steps is {target['min_steps']}, below {MIN_STEPS}")
    if (target["evaluate"]["limit"] or MIN_ITEMS) < MIN_ITEMS:
        found.append(f"TOO SHORT TO READ: at most {target['evaluate']['limit']} items of each evaluation")
    return found


def not_learned(models: list[dict[str, Any]], evals: dict[str, dict[str, Any]]) -> list[str]:
    """Fine-tuned models that do not hold the trained items: their other rungs say nothing about generalisation."""
    trained = {name for name, block in evals.items() if block["rung"] == "learned" and block["kind"] == "preference"}
    return [
        f"{model['name']} (seed {model['seed']}): {figure['eval']} {figure['rate']['mean']:.2f}"
        for model in models
        for figure in model["figures"]
        if model["demos"] and figure["eval"] in trained and figure["n"] and figure["rate"]["low"] <= 0.5
    ]
