"""`arms.json`: what is run, what it is scored on, and what differs between each pair of arms (DESIGN section 5)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msmc.build import BASE, SCHEMA_VERSION, RunPlan
from msmc.ir import Eval, OpenEval, Text
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
        "evals": {
            b.name: {
                "kind": b.kind,
                "rung": b.rung,
                "held_out": b.held_out,
                "arms": _holders(lowered, b),
                "topics": Counter(asked.item.topic for asked in questions(b, lowered.full, lowered.others)),
            }
            for b in lowered.spec.evals
        }
        | {
            b.name: {
                "kind": b.kind,
                "rung": b.rung,
                "held_out": b.held_out,
                "arms": _holders(lowered, b),
                "topics": Counter(row.metadata.topic for row in lowered.open_rows(b)() if row.metadata.canary is None),
            }
            for b in lowered.spec.open_evals
        }
        | {
            task.name: {
                "kind": task.tool,
                "rung": "far",
                "held_out": False,
                "arms": [arm.name for arm in lowered.made],
                "topics": {},
            }
            for task in lowered.spec.tasks
        },
        "tasks": {task.name: task.model_dump(exclude={"name"}) for task in lowered.spec.tasks},
        "primary": chosen.primary if chosen else None,
        "seeds": chosen.seeds if chosen else 1,
    }


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
