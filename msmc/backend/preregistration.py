"""What an ablation said that it would do, before it trained; and in what it then did otherwise.

`preregistration.json` is never written over. Another plan gets a file of its own beside it, `preregistration-2.json`, which says
whether results were there when it was written. A comparison is held against the last one that was written before any were.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msmc.backend.power import asked
from msmc.backend.primary import OWN, primary_of
from msmc.backend.tree import Tree
from msmc.build import SCHEMA_VERSION, digest
from msmc.stored import read_json
from msmc.whole import locked, whole_file

NAME = "preregistration"
NO_MATTER = ("name", "checkpoint_minutes")
"""Keys of a target that change no figure; nor does `evaluate.batch_size`."""
WRITTEN = ("digest", "written", "commit", "results_existed")
"""Keys of a registration that are no part of its plan."""
FAMILY = "every other difference of evaluations but recall, each by its own measure, by Holm at 5 %; the primary stands alone"


def registration(tree: Tree, seeds: list[int]) -> dict[str, Any]:
    """What is to be done, by the plan alone."""
    plan, target = tree.plan, _target(tree.full.manifest["target"])
    primary = primary_of(plan["runs"], plan["evals"], plan["primary"])
    limit = target["evaluate"]["limit"]
    items = {name: of for name, block in plan["evals"].items() if (of := asked(block, limit)) is not None}
    found = {
        "schema_version": SCHEMA_VERSION,
        "spec": plan["spec"],
        "ablation": plan["ablation"],
        "primary": primary._asdict() if primary else None,
        "planned": {
            "models": sorted(run["name"] for run in plan["runs"]),
            "seeds": seeds,
            "items": {name: sum(of.values()) for name, of in items.items()},
            "topics": {name: len(of) for name, of in items.items()},
        },
        "exclusions": [
            "an item without a score in either order is left out of that model's figures, and counted",
            f"a stage of fewer than {target['min_steps']} updates stops the experiment",
            "where a seed of one of the primary's arms does not hold the trained items (Wilson's 95 % interval of its rate, over"
            " items, reaches 0.5), the headline is withheld",
            "texts are taken by the gates before training, without a look at any score",
        ],
        "family": FAMILY,
        "target": target,
        "parts": _parts(tree),
    }
    return found | {"digest": _digest(found)}


def _digest(found: dict[str, Any]) -> str:
    """Of the plan alone, whenever it was written."""
    return digest({key: value for key, value in found.items() if key not in WRITTEN})


def _parts(tree: Tree) -> dict[str, str]:
    """All that models are trained on, asked and shown, by what it is called. A spec is shown by `spec_in_context` alone."""
    full = tree.full
    found = {"evaluations": full.digest_of("evals/"), "instruction mix": full.digest_of("train/mix.jsonl")}
    for name, task in tree.plan["tasks"].items():
        found[f"task {name}"] = digest(task, full.digest_of(f"tasks/{name}/"))
    for arm in sorted(tree.arms.values(), key=lambda arm: arm.name):
        found |= {f"{what} of {arm.name}": arm.digest_of(f"{what}/") for what in ("documents", "demos")}
    shown = dict.fromkeys(run.context for run in tree.runs if run.context)
    return found | {f"spec shown of {name}": tree.arms[name].digest_of("spec.md") for name in shown}


def _target(target: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in target.items() if key not in NO_MATTER}
    return kept | {"evaluate": {key: value for key, value in kept["evaluate"].items() if key != "batch_size"}}


def register(place: Path, found: dict[str, Any], results: bool, commit: str | None) -> Path:
    """Writes it into the comparison's folder, unless the same plan was registered there. `results`: some are there already."""
    with locked(place / NAME, lambda: None):
        before = registrations(place)
        for path, earlier in before:
            if earlier["digest"] == found["digest"]:
                return path
        number = max((_number(path) for path, _ in before), default=0) + 1
        path = place / (f"{NAME}-{number}.json" if number > 1 else f"{NAME}.json")
        written = {"written": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit}
        data = found | written | {"results_existed": results}
        whole_file(path, json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return path


def registrations(place: Path) -> list[tuple[Path, dict[str, Any]]]:
    """In the order in which they were written."""
    numbered = {_number(path): path for path in place.glob(f"{NAME}*.json")}
    return [(numbered[n], read_json(numbered[n])) for n in sorted(n for n in numbered if n)]


def _number(path: Path) -> int:
    """1 of `preregistration.json`, 2 of `preregistration-2.json`; 0 of what is none of these."""
    found = re.fullmatch(rf"{NAME}(?:-(\d+))?", path.stem)
    return int(found[1] or 1) if found else 0


def held_against(place: Path, comparison: dict[str, Any], done: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What was registered, and every deviation of what was `done` (what each run says of its plan). None: nothing was."""
    every = registrations(place) or _of_runs(done)
    if not every:
        return None
    blind = [(path, found) for path, found in every if not found["results_existed"]]
    path, found = blind[-1] if blind else every[0]
    late = [other.name for other, of in every if of["results_existed"]]
    deviations = [
        *_tampered(every),
        *_late(late),
        *_otherwise(found, done),
        *_measured(found["primary"], comparison["evals"]),
        *_missing(found["planned"], comparison),
    ]
    return {
        "file": path.name,
        "written": found["written"],
        "primary": found["primary"],
        "planned": found["planned"],
        "exclusions": found["exclusions"],
        "family": found["family"],
        "plans": len(every),
        "deviations": deviations,
    }


def _of_runs(done: list[dict[str, Any]]) -> list[tuple[Path, dict[str, Any]]]:
    """What the runs of an ablation say that was registered, where no file does."""
    plans = [plan for plan in done if plan["ablation"]]
    return [(Path("run.json"), plans[0] | {"written": "a time unknown", "results_existed": False}) for _ in plans[:1]]


def _tampered(every: list[tuple[Path, dict[str, Any]]]) -> Iterator[str]:
    """What was written once stays as it is, and none goes."""
    there = {_number(path) for path, _ in every}
    if there == {0}:
        yield "the file of what was registered is gone"
    for number in sorted(set(range(1, max(there))) - there):
        yield f"{NAME}{f'-{number}' if number > 1 else ''}.json is gone"
    for path, found in every:
        if found["digest"] != _digest(found):
            yield f"{path.name} was changed after it was written"


def _late(late: list[str]) -> Iterator[str]:
    for name in late:
        yield f"{name} was written when results were there already"


def _otherwise(found: dict[str, Any], done: list[dict[str, Any]]) -> Iterator[str]:
    """Each difference once, whatever number of runs it is in."""
    told = dict[str, None]()
    for of in done:
        if of["digest"] == found["digest"]:
            continue
        if of["primary"] != found["primary"]:
            now, then = _primary(of["primary"]), _primary(found["primary"])
            if now == then:
                now, then = f"named by {of['primary']['eval']}", f"{found['primary']['eval']}, of the same contrast"
            told[f"the primary is {now}; registered was {then}"] = None
        for key in sorted(of["target"].keys() | found["target"].keys()):
            now, then = of["target"].get(key), found["target"].get(key)
            if now != then:
                told[f"{key} of the target is {json.dumps(now)}; registered was {json.dumps(then)}"] = None
        for part in sorted(of["parts"].keys() | found["parts"].keys()):
            if of["parts"].get(part) != found["parts"].get(part):
                told[f"the plan of the {part} is another than registered"] = None
    yield from told


def _measured(primary: dict[str, Any] | None, evals: dict[str, Any]) -> Iterator[str]:
    """A task of the author's that is measured otherwise than its file said."""
    if primary and primary["eval"] in evals and primary["measure"] not in (OWN, evals[primary["eval"]]["measure"]):
        now, then = evals[primary["eval"]]["measure"], primary["measure"]
        yield f"the primary, {primary['eval']}, is measured by {now}; registered was {then}"


def _missing(planned: dict[str, Any], comparison: dict[str, Any]) -> Iterator[str]:
    """Models, seeds and items that were planned and are not there."""
    there: dict[str, list[int]] = {arm["name"]: arm["seeds"] for arm in comparison["arms"]}
    for name in planned["models"]:
        if fewer := [seed for seed in planned["seeds"] if seed not in there.get(name, [])]:
            yield f"{name} lacks {_seeds(fewer)}"
        if further := [seed for seed in there.get(name, []) if seed not in planned["seeds"]]:
            yield f"{name} has {_seeds(further)} besides"
    for name in sorted(there.keys() - set(planned["models"])):
        yield f"{name} was not registered"
    for run in comparison["runs"]:
        for figure in run["figures"]:
            items = planned["items"].get(figure["eval"], figure["n"])
            if figure["n"] != items:
                yield f"{run['name']} (seed {run['seed']}) has {figure['n']} of {items} items of {figure['eval']}"


def _primary(found: dict[str, Any] | None) -> str:
    if found is None:
        return "none"
    where = f"{found['own']} rather than {found['other']}" if found["own"] else found["eval"]
    return f"{found['run']} minus {found['minus']} in {where} by {found['measure']}"


def _seeds(found: list[int]) -> str:
    return f"seed{'s' * (len(found) > 1)} {', '.join(map(str, found))}"
