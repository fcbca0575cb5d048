"""Figures with intervals, from scored rows."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCE = 0.95
POWER_FACTOR = 2.8
"""Minimum detectable effect in standard errors: z(0.975) + z(0.8), for 80 % power at 5 %."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval. `n` items in `clusters` topics."""

    mean: float
    low: float
    high: float
    se: float
    n: int
    clusters: int

    def data(self) -> dict[str, Any]:
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class ScoredItem:
    """One item, both orders together. Margins are log-likelihoods of the aligned answer minus the other's, in nats."""

    item: str
    topic: str
    margin: float
    margin_per_token: float
    preferred: float
    """1 where the mean margin is for the aligned answer, 0 where it is against it, 0.5 where it is even."""


def by_item(rows: Iterable[dict[str, Any]]) -> dict[str, tuple[list[ScoredItem], int]]:
    """Scored rows to items by evaluation, with the number of items that miss a score: missing is never zero."""
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        grouped.setdefault(row["eval"], {}).setdefault(row["item"], []).append(row)
    found = {}
    for name, items in grouped.items():
        whole = [orders for orders in items.values() if all(row["margin"] is not None for row in orders)]
        found[name] = ([_item(orders) for orders in whole], len(items) - len(whole))
    return found


def _item(orders: list[dict[str, Any]]) -> ScoredItem:
    margin = sum(row["margin"] for row in orders) / len(orders)
    per_token = sum(row["margin_per_token"] for row in orders) / len(orders)
    preferred = 0.5 if margin == 0 else float(margin > 0)
    return ScoredItem(orders[0]["item"], orders[0]["topic"], margin, per_token, preferred)


def estimate(values: Sequence[float], topics: Sequence[str], *, share: bool = False) -> Estimate:
    """The mean with topics as clusters (cluster-robust t, as a bootstrap over few topics is far too narrow); with a single
    topic, items are the clusters. A share without any variation gets Wilson's interval instead of none."""
    import numpy as np
    import statsmodels.api as sm
    from statsmodels.stats.proportion import proportion_confint

    n, labels = len(values), list(dict.fromkeys(topics))
    mean = float(np.mean(values))
    if n < 2 or len(set(values)) == 1:
        low, high = proportion_confint(mean * n, n, method="wilson") if share else (mean, mean)
        return Estimate(mean, float(low), float(high), 0.0, n, len(labels))
    groups = [labels.index(topic) for topic in topics] if len(labels) > 1 else list(range(n))
    fit = sm.OLS(np.asarray(values), np.ones(n)).fit(
        cov_type="cluster", cov_kwds={"groups": np.asarray(groups)}, use_t=True
    )
    low, high = fit.conf_int(1 - CONFIDENCE)[0]
    if share:
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(mean, float(low), float(high), float(fit.bse[0]), n, len(labels))


def figures(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each evaluation the rate of aligned preferences, the mean margin raw and per token, and how many are missing."""
    found = []
    rungs = {}
    rows = list(rows)
    for row in rows:
        rungs[row["eval"]] = row["rung"]
    for name, (items, missing) in by_item(rows).items():
        if not items:
            found.append({"eval": name, "rung": rungs[name], "n": 0, "missing": missing})
            continue
        topics = [item.topic for item in items]
        found.append(
            {
                "eval": name,
                "rung": rungs[name],
                "n": len(items),
                "topics": len(set(topics)),
                "missing": missing,
                "rate": estimate([item.preferred for item in items], topics, share=True).data(),
                "margin": estimate([item.margin for item in items], topics).data(),
                "margin_per_token": estimate([item.margin_per_token for item in items], topics).data(),
            }
        )
    return found


Pairs = dict[str, list[tuple[ScoredItem, ScoredItem]]]
"""By evaluation, the items that two models both have."""


def paired(rows: Iterable[dict[str, Any]], reference: Iterable[dict[str, Any]]) -> Pairs:
    """The items that both models have a score for, by evaluation."""
    ours, theirs = by_item(rows), by_item(reference)
    found = {}
    for name in sorted(ours.keys() & theirs.keys()):
        other = {item.item: item for item in theirs[name][0]}
        both = [(item, other[item.item]) for item in ours[name][0] if item.item in other]
        if both:
            found[name] = both
    return found


def contrast(pairs: Pairs) -> list[dict[str, Any]]:
    """For each evaluation the paired difference: one model minus the other."""
    found = []
    for name, both in pairs.items():
        topics = [a.topic for a, _ in both]
        margin = estimate([a.margin - b.margin for a, b in both], topics)
        found.append(
            {
                "eval": name,
                "n": len(both),
                "rate": estimate([a.preferred - b.preferred for a, b in both], topics).data(),
                "margin": margin.data(),
                "minimum_detectable_margin": round(POWER_FACTOR * margin.se, 6),
            }
        )
    return found


def crossed(pairs: Pairs, own: str, other: str) -> dict[str, Any]:
    """The difference in differences of a crossed design: what the models differ by in `own` more than in `other`.

    `own` is about what the first model's spec holds, `other` about what the second's does, so the figure is positive where
    each leans to its own side, and what both gained alike is gone. Topics are clusters across both evaluations.
    """
    margin = _interaction([[a.margin - b.margin for a, b in pairs[name]] for name in (own, other)], pairs, own, other)
    rate = _interaction(
        [[a.preferred - b.preferred for a, b in pairs[name]] for name in (own, other)], pairs, own, other
    )
    return {
        "own": own,
        "other": other,
        "n": [len(pairs[own]), len(pairs[other])],
        "margin": margin.data(),
        "rate": rate.data(),
        "minimum_detectable_margin": round(POWER_FACTOR * margin.se, 6),
    }


def _interaction(differences: list[list[float]], pairs: Pairs, own: str, other: str) -> Estimate:
    """The mean of the first list minus that of the second, by one regression with cluster-robust errors."""
    import numpy as np
    import statsmodels.api as sm

    first, second = differences
    values = np.asarray(first + second)
    topics = [a.topic for name in (own, other) for a, _ in pairs[name]]
    labels = list(dict.fromkeys(topics))
    mean = float(np.mean(first) - np.mean(second))
    if len(values) < 4 or np.ptp(first) == np.ptp(second) == 0:
        return Estimate(mean, mean, mean, 0.0, len(values), len(labels))
    groups = [labels.index(topic) for topic in topics] if len(labels) > 2 else list(range(len(values)))
    design = np.column_stack([np.ones(len(values)), [1.0] * len(first) + [0.0] * len(second)])
    fit = sm.OLS(values, design).fit(cov_type="cluster", cov_kwds={"groups": np.asarray(groups)}, use_t=True)
    low, high = fit.conf_int(1 - CONFIDENCE)[1]
    return Estimate(mean, float(low), float(high), float(fit.bse[1]), len(values), len(labels))
