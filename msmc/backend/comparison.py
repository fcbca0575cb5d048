"""The comparison: the figures of every run and arm, paired differences of arms, and the difference in differences."""

import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from msmc.backend.guard import drops_of_run
from msmc.backend.headline import headline
from msmc.backend.items import Item, read_items, replies
from msmc.backend.judges import judges
from msmc.backend.learned import not_learned
from msmc.backend.measured import Asked, contrast, crossed, figure, measured
from msmc.backend.preregistration import held_against
from msmc.backend.primary import Primary, measure_of, opposites, primary_of
from msmc.backend.statistics import holm
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
    """What the table and the page show: the figures of every run and of every arm over its seeds, and paired differences."""
    runs = [read_run(folder) for folder in folders]
    _require_one_question(runs, folders)
    for run, folder in zip(runs, folders, strict=True):
        _require_rows(run, folder)
    evals = _evals(runs)
    asked = measured([items_of(folder) for folder in folders])
    values_of = Values([run.get("serves", {}) for run in runs])

    def figures(models: list[int]) -> list[dict[str, Any]]:
        return [
            {"kind": evals[name]["kind"]} | figure(found, evals[name]["measure"], models, values_of)
            for name, found in asked.items()
        ]

    models = [
        _model(run, folder) | {"figures": figures([number])}
        for number, (run, folder) in enumerate(zip(runs, folders, strict=True))
    ]
    arms = _arms(models)
    primary = primary_of(models, evals, runs[0]["primary"])
    contrasts, crosses = differences(asked, models, arms, evals, runs[0]["primary"])
    correct(contrasts, crosses, evals, primary)
    found = {
        "schema_version": SCHEMA_VERSION,
        **{key: runs[0][key] for key in (*QUESTION, "arm_titles", "target")},
        "evals": evals,
        "stamps": list(dict.fromkeys(stamp for run in runs for stamp in stamps(run["target"]))),
        "corpora": corpora(runs, folders),
        "runs": models,
        "arms": [{"name": name, "seeds": list(of), "figures": figures(list(of.values()))} for name, of in arms.items()],
        "contrasts": contrasts,
        "crossed": crosses,
        "not_learned": not_learned([model for model in models if not model["swept"]], evals),
        "swept_not_learned": not_learned([model for model in models if model["swept"]], evals),
        "judges": judges(runs),
        "guard": [drop for run, folder in zip(runs, folders, strict=True) for drop in drops_of_run(folder, run)],
    }
    place = folders[0].parents[1] / (runs[0]["ablation"] or "full")
    held = held_against(place, found, [run["plan"] for run in runs if "plan" in run])
    return found | {"preregistration": held, "headline": headline(found, primary)}


def _model(run: dict[str, Any], folder: Path) -> dict[str, Any]:
    scores = run["stages"]["scores"]
    return {
        "name": run["run"]["name"],
        "seed": run["seed"],
        "folder": os.path.relpath(folder, folder.parents[3]),
        "documents": run["run"]["documents"],
        "demos": run["run"]["demos"],
        "swept": run["run"].get("swept"),
        "stages": {kind: _costs(run["stages"][kind]) for kind in TRAINING if kind in run["stages"]},
        "position": scores.get("position"),
        "format_control": scores.get("format_control"),
        "generated": replies(folder / "scores"),
    }


def items_of(folder: Path) -> Iterator[Item]:
    """All that a run's last model was asked of the spec and by the author, one stage at a time; the guard stands apart."""
    yield from read_items(folder / "scores")
    for path in sorted(folder.glob("*/items.jsonl")):
        if path.parent.name != "guard":
            yield from read_items(path.parent)


def _evals(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Planned evaluations and those that only a stage knows, each with the measure that its headline is by."""
    stages = [s for run in runs for s in run["stages"].values() if "primary_measure" in s and s["kind"] != "guard"]
    found = {name: {**block, "measure": measure_of(block)} for name, block in runs[0]["evals"].items()}
    for stage in stages:
        block = {"kind": stage["kind"], "rung": stage.get("rung"), "arms": []} | found.get(stage["eval"], {})
        found[stage["eval"]] = {**block, "measure": stage["primary_measure"]}
    return found


class Values:
    """Of a clause the values that it is told for: its rule's, or itself."""

    def __init__(self, serves: list[dict[str, list[str]]]) -> None:
        self.by_node = {node: values for of_run in serves for node, values in of_run.items()}

    def __call__(self, clause: str) -> list[str]:
        """Of the node whose clause it is: its id, or the longest beginning of it that is one."""
        parts = clause.split(".")
        nodes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((self.by_node[node] for node in nodes if node in self.by_node), [clause])


def _arms(models: list[dict[str, Any]]) -> dict[str, dict[int, int]]:
    """Of each arm its models by seed."""
    found: dict[str, dict[int, int]] = {}
    for number, model in enumerate(models):
        found.setdefault(model["name"], {})[model["seed"]] = number
    return {name: dict(sorted(of.items())) for name, of in found.items()}


def differences(
    asked: dict[str, Asked],
    models: list[dict[str, Any]],
    arms: dict[str, dict[int, int]],
    evals: dict[str, Any],
    primary: str | None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Paired differences of arms over the seeds that both have, and differences in differences."""
    contrasts, crosses = [], []
    for (name, ours), (other, theirs) in combinations(arms.items(), 2):
        first, second = sorted((models[next(iter(of.values()))] for of in (ours, theirs)), key=_place)
        if first["name"] != name:
            (name, ours), (other, theirs) = (other, theirs), (name, ours)
        seeds = [seed for seed in ours if seed in theirs]
        if not seeds or not comparable(first, second):
            continue
        a, b = [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]
        named = {"run": name, "minus": other, "seeds": seeds}
        contrasts.append(named | {"evals": [f for found in asked.values() if (f := contrast(found, a, b))]})
        if not second["documents"]:
            continue
        for own, opposite in opposites(evals, first["documents"], second["documents"], primary):
            if own in asked and opposite in asked and (whole := crossed(asked[own], asked[opposite], a, b)):
                by_seed = [
                    {"seed": seed, "measures": of_one["measures"]}
                    for seed, i, j in zip(seeds, a, b, strict=True)
                    if (of_one := crossed(asked[own], asked[opposite], [i], [j]))
                ]
                rung = {"rung": evals[own]["rung"], "demos": first["demos"] is not None}
                crosses.append(named | rung | whole | {"by_seed": by_seed})
    return contrasts, crosses


def correct(
    contrasts: list[dict[str, Any]], crosses: list[dict[str, Any]], evals: dict[str, Any], primary: Primary | None
) -> None:
    """Holm's correction of every difference, each by its evaluation's own measure. The primary stands alone: it was declared.
    Recall is no outcome but a check of what was learned: it is not corrected either, and says so where it is told."""
    every = [(cross, cross, cross["own"]) for cross in crosses]
    every += [(found, entry, entry["eval"]) for found in contrasts for entry in found["evals"]]
    for found, entry, _ in every:
        entry["primary"] = is_primary(found, entry, primary)
    family = [
        (entry, evals[name]["measure"])
        for _, entry, name in every
        if evals[name]["kind"] != "recall" and not entry["primary"]
    ]
    corrected = holm([entry["p"].get(measure) for entry, measure in family])
    for (entry, _), p in zip(family, corrected, strict=True):
        entry["p_holm"] = None if p is None else round(p, 6)


def is_primary(of: dict[str, Any], entry: dict[str, Any], primary: Primary | None) -> bool:
    """Is this figure, of a contrast or a cross, the declared one?"""
    if primary is None or (of["run"], of["minus"]) != (primary.run, primary.minus):
        return False
    if primary.own:
        return (entry.get("own"), entry.get("other")) == (primary.own, primary.other)
    return bool(entry.get("eval") == primary.eval)


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
    """Arms that took the same stages; and an arm beside a control that was fine-tuned on chats alone, since that is what its
    documents are held against. One of a sweep stands beside `full` and its own sweep: beside another arm it would differ in
    two things."""
    if a["swept"] and b["swept"]:
        return bool(a["documents"] and b["documents"] and a["swept"] == b["swept"] and _stages(a) == _stages(b))
    if _is_control(b):
        return not a["swept"] and not _is_control(a) and bool(a["documents"] and a["demos"])
    if not (a["documents"] and b["documents"] and _stages(a) == _stages(b)):
        return False
    plain = b if a["swept"] else a
    return not (a["swept"] or b["swept"]) or (plain["documents"] == "full" and plain["demos"] in ("full", None))


def _place(model: dict[str, Any]) -> tuple[bool, bool]:
    """What comes first in a difference: `full`, then other arms, controls last."""
    full = model["documents"] == "full" and model["demos"] in ("full", None) and not model["swept"]
    return _is_control(model), not full


def _is_control(model: dict[str, Any]) -> bool:
    """Fine-tuned on chats, and on nothing before."""
    return model["documents"] is None and model["demos"] is not None


def _stages(model: dict[str, Any]) -> bool:
    return "finetune" in model["stages"]


def question(run: dict[str, Any]) -> str:
    """What stands for the question: the model, the rows that it was scored on, and what the comparison makes of them."""
    files: dict[str, Any] = run["builds"]["full"]["files"]
    rows = {path: file["sha256"] for path, file in files.items() if path.startswith(("evals/", "tasks/"))}
    target = run["target"]
    return digest(rows, target["name"], target["model"], target["evaluate"]["limit"], *(run[key] for key in QUESTION))


def _require_one_question(runs: list[dict[str, Any]], folders: list[Path]) -> None:
    if len({question(run) for run in runs}) > 1:
        message = "these runs are of different targets or ablations, or were scored on different items"
        hint = "name runs of one ablation and one state of the spec, its items and `evaluate.limit`"
        raise fail("not-a-run", f"{message}: their figures cannot be compared", hint)
    found: dict[tuple[str, int], Path] = {}
    for run, folder in zip(runs, folders, strict=True):
        if (other := found.setdefault((run["run"]["name"], run["seed"]), folder)) != folder:
            raise fail("not-a-run", f"`{other}` and `{folder}` are of one model and seed", "name one of them")


def _require_rows(run: dict[str, Any], folder: Path) -> None:
    """What a run was asked is still there: else its figures would be missing as if nothing had been asked."""
    for name, stage in run["stages"].items():
        if name.startswith("scores"):
            next(read_jsonl(folder / name / "scores.jsonl"), None)
        elif "primary_measure" in stage:
            next(read_jsonl(folder / name / "items.jsonl"), None)


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
