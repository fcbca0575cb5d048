"""The learned rung: whether a model holds what it was fine-tuned on. Where it does not, no other rung says anything about
generalisation."""

from collections.abc import Iterator
from typing import Any

Figure = dict[str, Any]
Model = dict[str, Any]


def not_learned(models: list[Model], evals: dict[str, Figure]) -> list[str]:
    """Fine-tuned models that are not shown to hold the trained items: `warm (seed 0): drinks 0.50 [0.22 0.78], n 12`."""
    return [told(model, figure) for model, figure in _trained(models, evals) if not learned(figure)]


def least_learned(models: list[Model], evals: dict[str, Figure]) -> str | None:
    """Of the fine-tuned models, the one with the lowest interval, told alike; None where no trained item was asked."""
    found = list(_trained(models, evals))
    return told(*min(found, key=lambda entry: interval_over_items(entry[1]))) if found else None


def learned(figure: Figure) -> bool:
    """Whether the lower end of the interval of the rate is above one half."""
    return interval_over_items(figure)[0] > 0.5


def told(model: Model, figure: Figure) -> str:
    name = f"{model['name']} (seed {model['seed']}): {figure['eval']}"
    if not figure["n"]:
        return f"{name} has no item with a score"
    low, high = interval_over_items(figure)
    return f"{name} {figure['measures']['rate']['mean']:.2f} [{low:.2f} {high:.2f}], n {figure['n']}"


def interval_over_items(figure: Figure) -> tuple[float, float]:
    """Wilson's 95 % interval of the rate, over the items: these are what was trained, and not a sample of topics.

    It is all of 0 to 1 where no item has a score.
    """
    from statsmodels.stats.proportion import proportion_confint

    n = figure["n"]
    if not n:
        return 0.0, 1.0
    low, high = proportion_confint(figure["measures"]["rate"]["mean"] * n, n, method="wilson")
    return float(low), float(high)


def _trained(models: list[Model], evals: dict[str, Figure]) -> Iterator[tuple[Model, Figure]]:
    names = {name for name, block in evals.items() if block["rung"] == "learned" and block["kind"] == "preference"}
    for model in models:
        for figure in model["figures"] if model["demos"] else ():
            if figure["eval"] in names:
                yield model, figure
