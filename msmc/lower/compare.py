"""`arms.json`: what differs between each pair of arms, counted on their text."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

from msmc.build import BASE, RunPlan
from msmc.ir import Ablation, ArmSpec, Vary
from msmc.lower.arms import MadeArm
from msmc.mention import words


def compare(spec: ArmSpec) -> dict[str, Any]:
    """Words of one arm by kind of clause, and how often it names the assistant, in all and per 1,000 words."""
    by_kind: dict[str, int] = {}
    text = []
    for clause in spec.clauses():
        by_kind[clause.kind] = by_kind.get(clause.kind, 0) + len(clause.text.split())
        text.append(clause.text)
    total = sum(by_kind.values())
    named = _count(words(" ".join(text)), words(spec.identity.assistant))
    return {"words": by_kind, "named": named, "named_per_1000_words": round(1000 * named / total, 1) if total else 0}


def _count(text: list[str], phrase: list[str]) -> int:
    return sum(text[i : i + len(phrase)] == phrase for i in range(len(text) - len(phrase) + 1))


def pairs(arms: tuple[MadeArm, ...]) -> list[dict[str, Any]]:
    """For each pair of arms the clauses that only one has, and those they word differently."""
    found = []
    for a, b in combinations(arms, 2):
        left, right = ({c.id: c.text for c in arm.spec.clauses()} for arm in (a, b))
        shared = left.keys() & right.keys()
        found.append(
            {
                "arms": [a.name, b.name],
                "declared": [*a.declared, *b.declared],
                "only": {a.name: sorted(left.keys() - right.keys()), b.name: sorted(right.keys() - left.keys())},
                "differ": sorted(c for c in shared if left[c] != right[c]),
                "same": sum(left[c] == right[c] for c in shared),
            }
        )
    return found


def runs(ablation: Ablation, names: dict[str, str], mix: bool) -> list[RunPlan]:
    """The models of an experiment, controls first.

    `midtrain_only` stands for `full`'s documents, and beside it, at no further training, for every arm's that writes some.
    `mix`: the target has an instruction mix, which is then part of every fine-tuning stage, `midtrain_only`'s too.
    """
    arms = dict(names) if "full" in names.values() else {"full": "full", **names}
    found, midtrained = list(_controls(ablation, mix)), set[str]()
    for writer, demonstrator in _pairings(ablation.vary, arms):
        documents, demos = arms.get(writer, "full"), arms.get(demonstrator, "full")
        if "midtrain_only" in ablation.controls and documents not in midtrained:
            found.append(RunPlan(name=f"{writer}.midtrain_only", documents=documents, demos=None, mix=mix))
        midtrained.add(documents)
        name = {"cross": f"{writer}+{demonstrator}", "demos": demonstrator}.get(ablation.vary, writer)
        found.append(RunPlan(name=name, documents=documents, demos=demos, mix=mix))
    return found


def _controls(ablation: Ablation, mix: bool) -> Iterator[RunPlan]:
    own = {c: f"{ablation.name}.{c}" for c in ("neutral_documents", "deliberative", "extra_demos")}
    plans = {
        "base": BASE,
        "spec_in_context": RunPlan(name="spec_in_context", documents=None, demos=None, context="full"),
        "aft_only": RunPlan(name="aft_only", documents=None, demos="full", mix=mix),
        "mix_only": RunPlan(name="mix_only", documents=None, demos=None, mix=True),
        "neutral_documents": RunPlan(
            name="neutral_documents", documents=own["neutral_documents"], demos="full", mix=mix
        ),
        "deliberative": RunPlan(name="deliberative", documents=None, demos=own["deliberative"], mix=mix),
        "extra_demos": RunPlan(name="extra_demos", documents=None, demos=own["extra_demos"], mix=mix),
    }
    return (plan for name, plan in plans.items() if name in ablation.controls)


def _pairings(vary: Vary, arms: dict[str, str]) -> list[tuple[str, str]]:
    """For each model the arm that writes its documents, and the one that demonstrates."""
    full = next(name for name, build in arms.items() if build == "full")
    if vary == "cross":
        return list(product(arms, arms))
    return [(full if vary == "demos" else arm, full if vary == "documents" else arm) for arm in arms]
