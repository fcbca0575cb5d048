"""The declared primary: one evaluation, one measure, one contrast of two arms. It is what an ablation's headline tells."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

CONTROLS = ("neutral_documents", "aft_only", "extra_demos", "deliberative")
"""What `full` is held against where an ablation has no other arm: the first of these that is there."""
MARGIN = "margin"
"""The measure of a forced choice: it has more to tell than the rate, which is told beside it."""
MEASURES = {"preference": MARGIN, "recall": MARGIN, "judged": "grade", "agentic": "decision"}
OWN = "the first measure of its task"
"""Of the author's own evaluations, where only their code, which a plan's digest holds, can tell before it has run."""


class Primary(NamedTuple):
    """`run` minus `minus` in `eval`; in a crossed design, in `own` rather than in `other`, one of which is `eval`."""

    eval: str
    measure: str
    run: str
    minus: str
    own: str | None = None
    other: str | None = None

    def told(self) -> str:
        where = f"{self.own} rather than {self.other}" if self.own else self.eval
        return f"{self.run} minus {self.minus} in {where}, by {self.measure}"


def primary_of(models: Sequence[Mapping[str, Any]], evals: Mapping[str, Any], declared: str | None) -> Primary | None:
    """What an ablation's `primary` means, by its fine-tuned models ({name, documents, demos, swept}), in their order.

    Crossed where it can be: where one arm alone holds what the evaluation is about, and an evaluation of its rung is about
    what the other alone holds. Otherwise `full` minus the first other arm; where there is none, minus a control.
    None: there is no primary, or nothing to hold `full` against.
    """
    if declared is None or declared not in evals or (full := next((m for m in models if _is_full(m)), None)) is None:
        return None
    measure = measure_of(evals[declared])
    others = [m for m in models if _is_arm(m) and m["name"] != full["name"]]
    for other in others:
        for own, opposite in opposites(evals, full["documents"], other["documents"], declared):
            if declared in (own, opposite):
                return Primary(declared, measure, full["name"], other["name"], own, opposite)
    names = [m["name"] for m in others] or [c for c in CONTROLS if any(m["name"] == c for m in models)]
    return Primary(declared, measure, full["name"], names[0]) if names else None


def measure_of(block: Mapping[str, Any]) -> str:
    """What an evaluation's headline, MDE and p are by."""
    return str(block.get("measure", MEASURES.get(block["kind"], OWN)))


def _is_full(model: Mapping[str, Any]) -> bool:
    return model["documents"] == model["demos"] == "full" and not model.get("swept")


def _is_arm(model: Mapping[str, Any]) -> bool:
    both = model["documents"] is not None and model["demos"] is not None
    return both and not model.get("swept") and model["name"] not in CONTROLS


def opposites(evals: Mapping[str, Any], first: str, second: str, primary: str | None) -> list[tuple[str, str]]:
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
