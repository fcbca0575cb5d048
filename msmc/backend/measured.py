"""What the models of a comparison measured, side by side: for each evaluation and measure an array of items by models."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from msmc.backend.items import Item
from msmc.backend.statistics import Array, Estimate, Panel, estimate, interaction

MARGINS = ("margin", "margin_per_token")
"""Measures in nats, which have no bounds."""


@dataclass(frozen=True)
class Asked:
    """One evaluation: its items, which are the same for every model, and what each model has of them."""

    name: str
    rung: str | None
    topics: tuple[str, ...]
    forms: tuple[str | None, ...]
    about: tuple[tuple[str, ...], ...]
    measures: dict[str, Array]
    """Items × models; NaN where a model has no value for an item."""

    def share(self, measure: str) -> bool:
        """Whether it lies between 0 and 1, and so its mean and its interval: a rate, a grade or a decision, whatever number of
        repeats each is the mean of, and whatever else is not in nats and no model has a value outside of, on any item."""
        values = self.measures[measure]
        known = values[np.isfinite(values)]
        return measure not in MARGINS and bool(((known >= 0) & (known <= 1)).all())

    def panel(self, values: Array) -> Panel | None:
        """Items and models with any value; None: there is none."""
        some, models = np.isfinite(values).any(axis=1), np.isfinite(values).any(axis=0)
        return Panel(values[some][:, models], tuple(np.asarray(self.topics, object)[some])) if some.any() else None

    def of(self, measure: str, models: Sequence[int]) -> Panel | None:
        return self.panel(self.measures[measure][:, models])

    def difference(self, measure: str, models: Sequence[int], others: Sequence[int]) -> Panel | None:
        """Item by item and seed by seed, where both models have a value."""
        values = self.measures[measure]
        return self.panel(values[:, models] - values[:, others])


def measured(models: Sequence[Iterable[Item]]) -> dict[str, Asked]:
    """By evaluation, in the order of the rows."""
    items: dict[str, dict[tuple[str, str | None], Item]] = {}
    found: dict[str, dict[str, dict[tuple[str, str | None], dict[int, float]]]] = {}
    for model, rows in enumerate(models):
        for row in rows:
            key = (row["item"], row["form"])
            items.setdefault(row["eval"], {}).setdefault(key, row)
            for measure, value in row["measures"].items():
                by_item = found.setdefault(row["eval"], {}).setdefault(measure, {})
                if value is not None:
                    by_item.setdefault(key, {})[model] = value
    return {
        name: Asked(
            name,
            next(iter(rows.values()))["rung"],
            tuple(row["topic"] for row in rows.values()),
            tuple(form for _, form in rows),
            tuple(tuple(row["about"]) for row in rows.values()),
            {measure: _array(rows, by_item, len(models)) for measure, by_item in found.get(name, {}).items()},
        )
        for name, rows in items.items()
    }


def _array(rows: Iterable[Any], by_item: dict[Any, dict[int, float]], models: int) -> Array:
    values = np.full((len(list(rows)), models), np.nan)
    for number, key in enumerate(rows):
        for model, value in by_item.get(key, {}).items():
            values[number, model] = value
    return values


def figure(
    asked: Asked, measure: str, models: Sequence[int], values_of: Callable[[str], Iterable[str]]
) -> dict[str, Any]:
    """Of one evaluation, over models that differ in their seed: every measure with its interval, and means by topic, by value,
    by clause and by form. `n` items have the evaluation's own `measure`; `missing` counts those that lack it, in any seed."""
    values = asked.measures[measure][:, models]
    known = np.isfinite(values)
    some = [bool(row.any()) for row in known]
    panels = {name: asked.of(name, models) for name in asked.measures}
    groups: dict[str, Sequence[Iterable[str]]] = {
        "by_topic": [(topic,) for topic in asked.topics],
        "by_value": [dict.fromkeys(v for clause in about for v in values_of(clause)) for about in asked.about],
        "by_clause": asked.about,
        "by_form": [(form,) if form else () for form in asked.forms],
    }
    return {
        "eval": asked.name,
        "rung": asked.rung,
        "n": sum(some),
        "topics": len({topic for topic, there in zip(asked.topics, some, strict=True) if there}),
        "missing": int((~known).sum()),
        "measures": {m: estimate(p, share=asked.share(m)).data() for m, p in panels.items() if p},
        **{name: _means(asked, models, of_items, measure) for name, of_items in groups.items()},
    }


def _means(asked: Asked, models: Sequence[int], of_items: Iterable[Iterable[str]], measure: str) -> dict[str, Any]:
    """By group the items that have the evaluation's own measure, and the mean of each."""
    groups: dict[str, list[int]] = {}
    for number, names in enumerate(of_items):
        for name in names:
            groups.setdefault(name, []).append(number)
    return {name: _mean_of(asked, models, rows, measure) for name, rows in groups.items()}


def _mean_of(asked: Asked, models: Sequence[int], rows: list[int], measure: str) -> dict[str, Any]:
    found = {m: values[np.ix_(rows, models)] for m, values in asked.measures.items()}
    means = {m: round(float(np.nanmean(v)), 6) for m, v in found.items() if np.isfinite(v).any()}
    return {"n": int(np.isfinite(found[measure]).any(axis=1).sum()), "measures": means}


def contrast(asked: Asked, models: Sequence[int], others: Sequence[int]) -> dict[str, Any] | None:
    """The paired difference of two arms: the first minus the second, over the seeds of both. None: they share no item."""
    panels = {name: asked.difference(name, models, others) for name in asked.measures}
    found = {m: estimate(p, share=asked.share(m), paired=True) for m, p in panels.items() if p}
    if not found:
        return None
    return {"eval": asked.name, "n": max(e.n for e in found.values()), **_tested(found)}


def crossed(own: Asked, other: Asked, models: Sequence[int], others: Sequence[int]) -> dict[str, Any] | None:
    """The difference in differences of a crossed design: what two arms differ by in `own` more than in `other`.

    `own` is about what the first arm's spec holds, `other` about what the second's does, so the figure is positive where each
    leans to its own side, and what both gained alike is gone. Topics are clusters across both evaluations.
    """
    found, n = {}, [0, 0]
    for measure in own.measures.keys() & other.measures.keys():
        # a seed that one of the evaluations has nothing of says nothing of their difference
        both = [
            (m, o)
            for m, o in zip(models, others, strict=True)
            if all(asked.difference(measure, [m], [o]) for asked in (own, other))
        ]
        panels = [asked.difference(measure, *map(list, zip(*both, strict=True))) for asked in (own, other) if both]
        if len(panels) == 2 and panels[0] and panels[1]:
            found[measure] = interaction(panels[0], panels[1], share=own.share(measure))
            n = [panel.n for panel in panels if panel]
    return {"own": own.name, "other": other.name, "n": n, **_tested(dict(sorted(found.items())))} if found else None


def _tested(found: dict[str, Estimate]) -> dict[str, Any]:
    return {
        "measures": {m: e.data() for m, e in found.items()},
        "mde": {m: _rounded(e.mde) for m, e in found.items()},
        "p": {m: _rounded(e.p) for m, e in found.items()},
        "p_holm": None,
        "primary": False,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
