"""`run` and `ablate`: every stage of every model, run folders, and the comparison."""

import json
import os
import platform
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

from msmc.backend.comparison import TRAINING, compare
from msmc.backend.covered import covered
from msmc.backend.job import CURVE, Advance, Job, trained
from msmc.backend.preregistration import register, registration
from msmc.backend.stages import Stages
from msmc.backend.tree import Tree
from msmc.build import SCHEMA_VERSION, RunPlan, digest
from msmc.diagnostics import Diagnostic, Interrupted, fail
from msmc.stored import read_json, read_jsonl
from msmc.whole import whole_file

TEXT = ("corpus", "demos")
"""Kinds of jobs that write text, those of another arm included; they come first."""
GO_ON = "the same command goes on from here"


class Watch(Protocol):
    """Who is told how the work goes."""

    def say(self, line: str) -> None: ...

    def job(self, job: Job, pending: float) -> AbstractContextManager[Advance]:
        """`pending`: guessed seconds of this and all further jobs."""


def conduct(tree: Tree, stages: Stages, runs: Path, seeds: list[int], until: str, watch: Watch) -> Path | None:
    """Does what is not done yet and writes run folders and the comparison; its folder, or None when stopped before.

    `until` is the last kind of stage to do. Raises Failed with the reason when a gate, a stage or the learned rung fails.
    """
    target = tree.full.target
    kinds = ("corpus", "demos", "midtrain", "finetune", "scores")
    if until == "corpus" and any(arm.num_planned_chats() for arm in tree.arms.values()):
        until = "demos"  # all text is written; without planned chats nothing is left to write
    wanted = kinds[: kinds.index(until) + 1]
    models = [(run, seed, stages.of_run(run, seed)) for seed in seeds for run in tree.runs]
    # the text first: it takes seconds, and a reader may look at it while the models train
    text = [(kind, job) for kind in wanted[:2] for _, _, of in models for k, job in of.items() if k == kind]
    every = [pair for kind, job in text for pair in _with_needs(kind, job)]
    if set(TRAINING) & set(wanted) and (parity := stages.parity()):
        every += _with_needs("parity", parity)
    # a model that is fine-tuned first has nothing to midtrain where only midtraining is wanted
    every += [
        pair for _, _, of in models for pair in takewhile(lambda pair: _kind_of_stage(pair[0]) in wanted, of.items())
    ]
    if until == "scores":  # which stands for all evaluations
        rest = [(kind, job) for _, _, of in models for kind, job in of.items() if _kind_of_stage(kind) not in kinds]
        every += [pair for kind, job in rest for pair in _with_needs(kind, job)]
    jobs = {job.folder: (kind, job) for kind, job in every}
    for kind, job in jobs.values():
        if kind in TRAINING and job.done:
            _require_updates(job, target.min_steps)
    for _, job in jobs.values():
        if job.done:
            job.require_whole()
            if job.checkpoints:
                job.checkpoints.clear()  # of a process that was killed between its result and this
    folder, registered = runs / tree.plan["spec"] / target.name, registration(tree, seeds)
    place: Path = folder / (tree.plan["ablation"] or "full")
    if tree.plan["ablation"] and set(TRAINING) & set(wanted):
        register(place, registered, _results(place, registered["primary"], models), _commit())
    todo = [(kind, job) for kind, job in jobs.values() if not job.done]
    for _, job in todo:
        job.require()
    if done := len(jobs) - len(todo):
        watch.say(f"{done} of {len(jobs)} stages are done already")
    try:
        for number, (kind, job) in enumerate(todo):
            if not kind.startswith(TEXT):
                stages.senders.close()
            started = time.monotonic()
            with watch.job(job, sum(j.seconds for _, j in todo[number:])) as advance:
                job.do(advance, watch.say)
            stages.done_now.append((job, time.monotonic() - started))
            if kind == "corpus":
                watch.say(_first_document(job.folder))
            elif kind == "demos":
                watch.say(_demos(job.folder))
    except KeyboardInterrupt:
        raise _stopped(jobs, stages.ledger) from None
    finally:
        stages.senders.close()
    if until != "scores":
        return None
    folders = [_write_run(folder, tree, run, seed, of, registered) for run, seed, of in models]
    comparison = compare(folders)
    place.mkdir(parents=True, exist_ok=True)
    whole_file(place / "comparison.json", json.dumps(comparison, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return place


def _results(place: Path, primary: dict[str, Any] | None, models: list[tuple[RunPlan, int, dict[str, Job]]]) -> bool:
    """Whether anybody could know how the primary comes out: a comparison is there, or both of its arms are scored, were it in
    an ablation of another name or on other items."""
    runs = (read_json(path)["stages"] for path in place.parent.glob("*/seed-*/run.json"))
    known = {stages[kind]["folder"].split(CURVE)[0] for stages in runs for kind in TRAINING if kind in stages}
    scored = set()
    for run, _, jobs in models:
        last = next((jobs[kind] for kind in reversed(run.training) if kind in jobs), None)
        if jobs["scores"].done or trained(last) in known:
            scored.add(run.name)
    return (place / "comparison.json").is_file() or bool(primary and {primary["run"], primary["minus"]} <= scored)


def _kind_of_stage(name: str) -> str:
    """`scores` of `scores-after-midtrain`."""
    return name.split("-")[0]


def _with_needs(kind: str, job: Job) -> Iterator[tuple[str, Job]]:
    """A job behind those that it needs, which are of its kind and no model's own."""
    for need in job.needs:
        yield from _with_needs(f"{kind} of another", need)
    yield kind, job


def _stopped(jobs: dict[Path, tuple[str, Job]], ledger: Path) -> Interrupted:
    """What a stopped experiment has kept.

    interrupted: The user stopped the work.

    What was finished is kept, a training stage up to its last checkpoint too. The same command goes on from there.

    Bad:
        $ msmc run tea.msm    # and Ctrl-C

    Good:
        $ msmc run tea.msm    # again
    """
    done = sum(job.done for _, job in jobs.values())
    kept = [f"{done} of {len(jobs)} stages are done and kept"]
    for kind, job in jobs.values():
        step = job.checkpoints.step() if job.checkpoints and not job.done else None
        if step:
            kept.append(f"update {step} of `{job.title}` is kept as a checkpoint")
        if kind.startswith("corpus") and not job.done and ledger.exists():
            kept.append(f"every reply received for `{job.title}` is in {ledger}")
    return Interrupted(Diagnostic("interrupted", "stopped: " + "; ".join(kept), hint=GO_ON))


def _first_document(folder: Path) -> str:
    row = next(read_jsonl(folder / "midtrain.jsonl"))
    stage = read_json(folder / "stage.json")
    quarantined = f", {stage['quarantined']} in quarantine" if stage["quarantined"] else ""
    head = f"{stage['documents']} documents, {stage['words']} words{quarantined}; the first, on {row['about'][0]}:"
    head += f"\n    ({folder / 'midtrain.jsonl'})"
    return head + "\n\n" + "\n".join(f"    {line}".rstrip() for line in row["text"].split("\n")) + "\n"


def _demos(folder: Path) -> str:
    """How many chats there are, what the gates took and why, and a written one."""
    stage, rows = read_json(folder / "stage.json"), read_jsonl(folder / "finetune.jsonl")
    told = f"{stage['demos']} demos" + (f" and {stage['mix']} chats of the mix" if stage["mix"] else "")
    if stage["quarantined"]:
        taken = Counter(_kind_of(row["reason"]) for row in read_jsonl(folder / "quarantine.jsonl"))
        reasons = ", ".join(f"{number} × {reason}" for reason, number in taken.most_common(3))
        told += f", {stage['quarantined']} in quarantine: {reasons}\n    ({folder / 'quarantine.jsonl'})"
    written = next((row for row in rows if row["source"]["writer"] not in ("spec", "own", "mix")), None)
    if written is None:
        return told + "\n"
    turns = (f"    {turn['role']}: {line}".rstrip() for turn in written["messages"] for line in [turn["content"]])
    lines = "\n".join(turn.replace("\n", "\n    ") for turn in turns)
    return f"{told}; a written one, on {written['about'][0]}:\n\n{lines}\n"


def _kind_of(reason: str) -> str:
    """Without the rows that it is told of."""
    return re.sub(r"\b(?:ask|say)-[0-9a-f]{16}", "another", re.sub(r"^(?:ask|say)-[0-9a-f]{16}: ", "", reason))


def _require_updates(job: Job, min_steps: int) -> None:
    """Of a stage that was done earlier, perhaps under another `min_steps`; training itself checks a new one.

    too-few-updates: Training that would take fewer optimizer steps than the target's `min_steps`.

    Thirty steps teach nothing, and their result looks like a null result. More rows, more epochs or smaller batches make more
    steps; who knows better sets `min_steps`.

    Bad:
        $ msmc run tea.msm --set documents.per_clause=2

    Good:
        $ msmc run tea.msm --set documents.per_clause=60
    """
    updates = read_json(job.folder / "stage.json")["updates"]
    if updates < min_steps:
        message = f"`{job.title}` made {updates} updates, fewer than min_steps {min_steps}"
        raise fail("too-few-updates", message, "raise documents.per_clause or the stage's epochs")


# ---- run folders --------------------------------------------------------------------------------------------------------


def run_name(tree: Tree, run: RunPlan) -> str:
    return f"{tree.plan['ablation']}.{run.name}" if tree.plan["ablation"] else run.name


def _write_run(
    folder: Path, tree: Tree, run: RunPlan, seed: int, jobs: dict[str, Job], registered: dict[str, Any]
) -> Path:
    """`<run>/seed-<n>-<digest>`: links to the stages, run.json last."""
    place = folder / run_name(tree, run) / f"seed-{seed}-{digest({k: j.folder.name for k, j in jobs.items()})[:8]}"
    place.mkdir(parents=True, exist_ok=True)
    stages = {}
    for kind, job in jobs.items():
        link = place / kind
        with suppress(FileExistsError):  # of an earlier run, or of one beside this
            link.symlink_to(os.path.relpath(job.folder, place), target_is_directory=True)
        stages[kind] = {"folder": job.folder.name, **read_json(job.folder / "stage.json")}
    trained = {kind: tree.arms[arm] for kind, arm in (("documents", run.documents), ("demos", run.demos)) if arm}
    data = {
        "schema_version": SCHEMA_VERSION,
        "spec": tree.plan["spec"],
        "title": tree.plan["title"],
        "ablation": tree.plan["ablation"],
        "primary": tree.plan["primary"],
        "arm_titles": tree.plan["arm_titles"],
        "evals": tree.plan["evals"],
        "run": run.model_dump(),
        "seed": seed,
        "system": (tree.arms[run.context].folder / "spec.md").read_text("utf-8") if run.context else None,
        "stages": stages,
        "coverage": [row._asdict() for row in covered(tree.full, trained, place)],
        "target": tree.arms[run.trained_by].manifest["target"],
        "builds": {arm: tree.arms[arm].manifest for arm in {run.documents or "full", run.demos or "full", "full"}},
        "sourcemaps": {arm: tree.arms[arm].sourcemap for arm in {run.documents or "full", "full"}},
        "clauses": {
            arm: {c.id: c.text for c in tree.arms[arm].spec.clauses()} for arm in {run.documents or "full", "full"}
        },
        "serves": _serves(tree),
        "plan": registered,
        "commit": _commit(),
        "host": _host(),
    }
    whole_file(place / "run.json", json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return place


def _serves(tree: Tree) -> dict[str, list[str]]:
    """Of each value and rule of `full` the values that it is told for."""
    spec = tree.full.spec
    return {value.id: [value.id] for value in spec.values} | {rule.id: list(rule.serves) for rule in spec.rules}


def _host() -> dict[str, str]:
    """Where a run was made; in run.json alone."""
    return {"python": platform.python_version(), "system": platform.platform(), "machine": platform.machine()}


def _commit() -> str | None:
    """The commit of the folder that msmc is run in, where git knows one."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
