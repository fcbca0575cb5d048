"""`arms.json`: what is run, what it is scored on, and what differs between each pair of arms (DESIGN section 5)."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from msmc.build import BASE, SCHEMA_VERSION, RunPlan
from msmc.ir import Eval, OpenEval, Task, Text
from msmc.lower import content
from msmc.lower.compare import compare, pairs, runs
from msmc.lower.questions import questions
from msmc.lower.sweeps import points

if TYPE_CHECKING:
    from msmc.lower.tree import Lowering


def experiment(lowered: Lowering, ablation: str | None, names: dict[str, str]) -> dict[str, Any]:
    """The content of arms.json."""
    chosen = next((a for a in lowered.spec.ablations if a.name == ablation), None)
    plan = (
        runs(chosen, names, bool(lowered.mix), points(chosen, lowered.target))
        if chosen
        else [BASE, RunPlan(name="full", documents="full", demos="full", mix=bool(lowered.mix))]
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "spec": lowered.spec.name,
        "title": _fill(lowered, chosen.title) if chosen and chosen.title else lowered.full.title,
        "arm_titles": {a.name: _fill(lowered, a.title) for a in (chosen.arms if chosen else ()) if a.title},
        "ablation": ablation,
        "arms": {arm.name: compare(arm.spec) for arm in lowered.made},
        "names": names or {"full": "full"},
        "pairs": [pair | {"documents": _paired(lowered, *pair["arms"])} for pair in pairs(lowered.made)],
        "match": {"by": chosen.match if chosen else "none", "arms": _writers(lowered, plan)},
        "runs": [run.model_dump() for run in plan],
        "evals": _evals(lowered),
        "tasks": {task.name: task.model_dump(exclude={"name"}) for task in lowered.spec.tasks},
        "primary": chosen.primary if chosen else None,
        "seeds": chosen.seeds if chosen else 1,
    }


def _evals(lowered: Lowering) -> dict[str, Any]:
    """Every evaluation: its kind and rung, the arms that hold what it is about, and its items by topic, of recall also by form.

    Of the author's own tasks msmc knows no rung; their items are None, and no `measure` is there, where only the task can tell.
    """
    spec, found = lowered.spec, dict[str, Any]()
    for block in spec.evals:
        asked = Counter((q.form, q.item.topic) for q in questions(block, lowered.full, lowered.others))
        forms = dict[str, Counter[str]]()
        for (form, topic), number in asked.items():
            forms.setdefault(form or "", Counter())[topic] = number
        found[block.name] = _eval(block, _holders(lowered, block), sum(forms.values(), Counter()))
        if block.kind == "recall":
            found[block.name]["forms"] = forms
    for judged in spec.open_evals:
        rows = (row.metadata for row in lowered.open_rows(judged)())
        topics = Counter(row.topic for row in rows if row.canary is None)
        found[judged.name] = _eval(judged, _holders(lowered, judged), topics)
    everybody = [arm.name for arm in lowered.made]
    for task in spec.tasks:
        told = {"kind": task.tool, "rung": None, "held_out": False, "arms": everybody, "topics": _topics(lowered, task)}
        found[task.name] = told | ({"measure": task.measure} if task.measure else {})
    return found


def _topics(lowered: Lowering, task: Task) -> Counter[str] | None:
    """The documents of a task's rows by topic; None where their number is not known without lm_eval."""
    found = Counter[str]()
    for path in task.rows:
        for line in filter(str.strip, lowered.sources[path].decode("utf-8-sig").splitlines()):
            try:
                row = json.loads(line)
            except ValueError:
                return None  # lm_eval says what is wrong with it
            topic = row.get("topic") if isinstance(row, dict) else None
            found[topic if isinstance(topic, str) and topic else task.task] += 1
    return found or None


def _eval(block: Eval | OpenEval, arms: list[str], topics: Counter[str]) -> dict[str, Any]:
    return {"kind": block.kind, "rung": block.rung, "held_out": block.held_out, "arms": arms, "topics": topics}


def _writers(lowered: Lowering, plan: list[RunPlan]) -> list[str]:
    """The arms that a model learns documents of: what `match` makes equal."""
    used = {run.documents for run in plan}
    return [arm.name for arm in lowered.made if arm.name in used]


def _paired(lowered: Lowering, *names: str) -> dict[str, Any]:
    """Planned documents of two arms, and how many have the same cell in both."""
    by_name, plan = {arm.name: arm.spec for arm in lowered.made}, lowered.asked()
    cells = []
    for name in names:
        arm = by_name[name]
        own = Counter(row.id for row in plan.own_documents(lowered.spec, arm))
        cells.append(Counter(plan.numbers(content.planned(plan.documents, arm))) + own)
    rows = {name: found.total() for name, found in zip(names, cells, strict=True)}
    return {"rows": rows, "paired": (cells[0] & cells[1]).total()}


def _fill(lowered: Lowering, title: Text) -> str:
    return title.fill(lowered.full.identity.model_dump())


def _holders(lowered: Lowering, block: Eval | OpenEval) -> list[str]:
    """The arms that hold what an evaluation is about: all, or those that have the value it names."""
    named = [a for a in block.about if "." in a]
    found = []
    for arm in lowered.made:
        used = arm.used
        # `use` puts the other spec's nodes under this spec's path
        own = {n.id for n in arm.spec.nodes} | {
            used + n.id.removeprefix(lowered.spec.name) for n in arm.spec.nodes if used
        }
        if not named or any(a in own for a in named):
            found.append(arm.name)
    return found
