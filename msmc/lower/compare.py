"""`arms.json`: what differs between each pair of arms, counted on their text."""

import math
import re
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any, NamedTuple

from msmc.build import BASE, RunPlan
from msmc.ir import Ablation, ArmSpec, Vary
from msmc.lower.arms import MadeArm
from msmc.lower.proof import differences
from msmc.lower.sweeps import Point, build_name
from msmc.mention import words

NOTABLE = 1.5
"""Rates and lengths that are this many times apart are told."""


def compare(spec: ArmSpec) -> dict[str, Any]:
    """Words of one arm by kind of clause, how often it names the assistant, in all and per 1,000 words, and its marks."""
    by_kind: dict[str, int] = {}
    for clause in spec.clauses():
        by_kind[clause.kind] = by_kind.get(clause.kind, 0) + len(clause.text.split())
    figures = Figures.of([clause.text for clause in spec.clauses()], spec.identity.assistant)
    return {"words": by_kind, "named": figures.named, "named_per_1000_words": figures.rate, "marks": figures.marks}


class Figures(NamedTuple):
    """What may differ between texts though nobody meant it to."""

    words: int
    named: int
    marks: dict[str, int]
    """How often each way to write an apostrophe, a quotation mark, a dash or an ellipsis stands."""

    @classmethod
    def of(cls, texts: list[str], assistant: str) -> "Figures":
        text = "\n".join(texts)
        counts = {mark: len(re.findall(pattern, text)) for kind in MARKS.values() for mark, pattern in kind.items()}
        marks = {mark: count for mark, count in counts.items() if count}
        return cls(len(text.split()), _count(words(text), words(assistant)), marks)

    @property
    def rate(self) -> float:
        """Mentions of the assistant in 1,000 words."""
        return round(1000 * self.named / self.words, 1) if self.words else 0


MARKS = {
    "apostrophe": {"'": r"(?<=\w)'(?=\w)", "’": r"(?<=\w)’(?=\w)"},
    "quotation mark": {'"': '"', "“": "[“”]", "«": "[«»]"},
    "dash": {"-": r"(?<=\s)-(?=\s)", "--": r"(?<!-)--(?!-)", "–": r"(?<=\s)–(?=\s)", "—": "—"},
    "ellipsis": {"...": r"\.\.\.", "…": "…"},
}
"""Ways to write the same, by what they write."""


def _count(text: tuple[str, ...], phrase: tuple[str, ...]) -> int:
    return sum(text[i : i + len(phrase)] == phrase for i in range(len(text) - len(phrase) + 1))


def pairs(arms: tuple[MadeArm, ...]) -> list[dict[str, Any]]:
    """What each pair of arms differs in: clauses that only one has, fields that say something else, and confounds."""
    found = []
    for a, b in combinations(arms, 2):
        left, right = ({c.id: c.text for c in arm.spec.clauses()} for arm in (a, b))
        shared = left.keys() & right.keys()
        changed = [field for field in differences(a.spec, b.spec) if field[0] != a.spec.name]
        by_field: dict[str, list[str]] = {}
        for node_id, field in changed:
            by_field.setdefault(field, []).append(node_id)
        apart = [c for c in sorted(shared) if left[c] != right[c]]
        found.append(
            {
                "arms": [a.name, b.name],
                "declared": [*a.declared, *b.declared],
                "only": {a.name: sorted(left.keys() - right.keys()), b.name: sorted(right.keys() - left.keys())},
                "differ": apart,
                "fields": by_field,
                "same": len(shared) - len(apart),
                "vocabulary": _overlap([left[c] for c in apart], [right[c] for c in apart]),
                "confounds": confounds(a, b, apart),
            }
        )
    return found


def _overlap(left: list[str], right: list[str]) -> float | None:
    """The share of words that two sets of texts have in common, of all words in them. None: there are none."""
    mine, yours = set(words(" ".join(left))), set(words(" ".join(right)))
    return round(len(mine & yours) / len(mine | yours), 3) if mine | yours else None


def confounds(a: MadeArm, b: MadeArm, apart: list[str]) -> list[str]:
    """How the clauses that two arms word differently also differ in what nobody declared: naming, length, marks.

    All other clauses say the same, which `msmc/lower/proof.py` sees to, and cannot confound anything.
    """
    texts = [[c.text for c in arm.spec.clauses() if c.id in apart] for arm in (a, b)]
    left, right = (Figures.of(t, arm.spec.identity.assistant) for t, arm in zip(texts, (a, b), strict=True))
    found = list[str]()
    if not (left.words and right.words):
        return found
    # a Poisson count of n has a standard deviation of about √n
    spread = 1.96 * math.sqrt(left.named / left.words**2 + right.named / right.words**2)
    apart_by = abs(left.named / left.words - right.named / right.words)
    if max(left.rate, right.rate) >= NOTABLE * min(left.rate, right.rate) and apart_by > spread:
        found.append(
            f"the assistant is named {left.rate:g} times in 1,000 words in `{a.name}`, {right.rate:g} times in `{b.name}`"
        )
    if max(left.words, right.words) >= NOTABLE * min(left.words, right.words):
        found.append(f"`{a.name}` takes {left.words} words for them, `{b.name}` {right.words}")
    for kind, ways in MARKS.items():
        mine, yours = ({way for way in ways if way in figures.marks} for figures in (left, right))
        if mine and yours and mine != yours:
            ours, theirs = (", ".join(f"`{way}`" for way in sorted(way_set)) for way_set in (mine, yours))
            found.append(f"the {kind} is {ours} in `{a.name}`, {theirs} in `{b.name}`")
    return found


def runs(ablation: Ablation, names: dict[str, str], mix: bool, swept: list[Point]) -> list[RunPlan]:
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
    return [*found, *_swept(ablation, next(name for name, build in arms.items() if build == "full"), mix, swept)]


def _swept(ablation: Ablation, full: str, mix: bool, swept: list[Point]) -> Iterator[RunPlan]:
    """`full` at the points of sweeps; where its documents differ, `midtrain_only` too, which is no further training."""
    for point in swept:
        name, build = f"{full}@{point.name}", build_name(ablation, point)
        documents = "full" if point.what == "demos" else build
        demos = "full" if point.what == "documents" else build
        plan = RunPlan(name=name, documents=documents, demos=demos, mix=mix, swept=point.what)
        if "midtrain_only" in ablation.controls and point.what != "demos":
            yield plan.model_copy(update={"name": f"{name}.midtrain_only", "demos": None})
        yield plan
    if "demos_first" in ablation.orders:  # `documents_first` is `full`
        name = f"{full}@order=demos_first"
        yield RunPlan(name=name, documents="full", demos="full", mix=mix, swept="order", demos_first=True)


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
