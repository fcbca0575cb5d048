"""`arms.json`: what differs between each pair of arms, counted on their text."""

from itertools import combinations
from typing import Any

from msmc.build import BASE, RunPlan
from msmc.ir import Ablation, ArmSpec
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
    """The models of an experiment. Controls first; every arm shares `full`'s demos (`vary documents`).

    `midtrain_only` stands for `full`'s documents, and beside it, at no further training, for every arm's that writes some.
    `mix`: the target has an instruction mix, which is then part of every fine-tuning stage, `midtrain_only`'s too.
    """
    arms = dict(names) if "full" in names.values() else {"full": "full", **names}
    found = []
    if "base" in ablation.controls:
        found.append(BASE)
    if "aft_only" in ablation.controls:
        found.append(RunPlan(name="aft_only", documents=None, demos="full", mix=mix))
    if "mix_only" in ablation.controls:
        found.append(RunPlan(name="mix_only", documents=None, demos=None, mix=True))
    if "neutral_documents" in ablation.controls:
        neutral = f"{ablation.name}.neutral_documents"
        found.append(RunPlan(name="neutral_documents", documents=neutral, demos="full", mix=mix))
    for name, arm in arms.items():
        if "midtrain_only" in ablation.controls:
            found.append(RunPlan(name=f"{name}.midtrain_only", documents=arm, demos=None, mix=mix))
        found.append(RunPlan(name=name, documents=arm, demos="full", mix=mix))
    return found
