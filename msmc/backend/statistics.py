"""Estimates with intervals, from what items measured. Topics and seeds are both clusters.

A mean over T topics and S seeds (every seed asks the same items) has two errors that more items cannot lessen: other topics
would have been higher or lower, and so would other seeds. Its variance is that of crossed random effects,

    V = s2_topics/T + s2_seeds/S - s2_cells/(T S)

from the means of topics, of seeds, and of what remains in their cells, never below the larger of the first two, since what is
taken away is an estimate too. Its degrees of freedom are Satterthwaite's, but no more than the larger part's own; with two
seeds also no more than what Cochran's weighted t allows, since one difference of two seeds says very little about seeds.
False positives at 5 %, in 20,000 studies of each design (`benchmarks/false_positives.py`): no more than 5.8 % in any. The
crossed design that is shipped, 50 items over 15 and 15 topics with variances as in real rows, has 4.2 % with one seed, 3.7 %
with three, 4.2 % with five, and 1.4 % with two; with 210 items 4.3, 4.3, 4.4 and 1.9 %. Where nothing lasts over seeds it is
more careful still. The careful parts stay: without the floor of the larger part up to 27 % are false, without its degrees of
freedom up to 7.4 % (three seeds). `tests/unit/backend/test_validity.py` holds it to this; a percentile bootstrap over topics
has three to four times as many as it should. With one seed the seeds' part is unknown: the estimate holds for these models,
not for the recipe.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8
WILSON = stats.norm.ppf((1 + CONFIDENCE) / 2) ** 2
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, over `n` items of `clusters` topics (items, where all are of one) and `seeds` seeds.

    What cannot be known is None: of a single item, all but the mean.
    """

    mean: float
    low: float | None
    high: float | None
    se: float | None
    n: int
    clusters: int
    seeds: int
    df: float | None

    def data(self) -> dict[str, Any]:
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(self).items()}

    @property
    def p(self) -> float | None:
        """Of a mean of zero, two-sided. None where the error is not known; of what does not vary, that of a sign test of its
        topics, since as many without an exception do not show that there are none."""
        if self.se is None or self.df is None:
            return None
        if self.se == 0:
            return float(self.mean == 0) or float(2.0 ** (1 - (self.clusters if self.clusters > 1 else self.n)))
        return float(2 * stats.t.sf(abs(self.mean) / self.se, self.df))

    @property
    def mde(self) -> float | None:
        """The minimum detectable effect: what would be found at 5 % with 80 % power, by the t distribution. None where the error
        is not known, or nothing varies."""
        if self.se is None or self.df is None or self.se == 0:
            return None
        return float((stats.t.ppf((1 + CONFIDENCE) / 2, self.df) + stats.t.ppf(POWER, self.df)) * self.se)


@dataclass(frozen=True)
class Panel:
    """What items measured, by seed: NaN where an item has no value for a seed."""

    values: Array
    """Items × seeds. No item is without any value."""
    topics: tuple[str, ...]
    """Of each item."""

    @property
    def n(self) -> int:
        return len(self.topics)

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.values))


def one_seed(values: Sequence[float], topics: Sequence[str]) -> Panel:
    """Of a single model, or of its difference to another."""
    return Panel(np.asarray(values, dtype=float)[:, None], tuple(topics))


@dataclass(frozen=True)
class Cells:
    """Means by cluster and seed, and each cluster's share of the items. Leading axes may hold many studies at once."""

    means: Array
    """… × clusters × seeds"""
    weights: Array
    labels: tuple[str, ...]


def cells(found: Panel, of: str = "") -> Cells:
    """Clusters are topics; where all items are of one topic, items (named apart by `of`). A cluster that some seed has nothing
    of is left out."""
    names = found.topics if len(set(found.topics)) > 1 else tuple(f"{of} {n}" for n in range(found.n))
    labels, place = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    known = np.isfinite(found.values)
    sums, counts = (np.zeros((len(labels), found.values.shape[1])) for _ in range(2))
    np.add.at(sums, place, np.where(known, found.values, 0.0))
    np.add.at(counts, place, known)
    whole = counts.min(axis=1) > 0
    sizes = counts[whole].sum(axis=1)
    return Cells(sums[whole] / counts[whole], sizes / sizes.sum(), tuple(labels[whole]))


def infer(first: Cells, second: Cells | None = None) -> tuple[Array, Array, Array]:
    """The weighted mean, or that of `first` minus that of `second`: estimate, standard error, degrees of freedom."""
    one, other = _Side.of(first, 1.0), _Side.of(second, -1.0) if second else None
    mean, by_seed = (one.mean + other.mean, one.seeds + other.seeds) if other else (one.mean, one.seeds)
    over_topics, left, df_topics = one.squares if second is None or other is None else _both(one, other, first, second)
    seeds = int(first.means.shape[-1])
    if seeds == 1:
        return mean, np.sqrt(over_topics), df_topics
    over_seeds = np.var(by_seed, axis=-1, ddof=1) / seeds
    larger = np.maximum(over_topics, over_seeds)
    variance = np.maximum(over_topics + over_seeds - left / (seeds * (seeds - 1)), larger)
    return mean, np.sqrt(variance), _df(variance, over_topics, over_seeds, df_topics, seeds)


def _df(variance: Array, over_topics: Array, over_seeds: Array, df_topics: Array, seeds: int) -> Array:
    """Satterthwaite's, but no more than that of the larger part, nor, with two seeds, than Cochran's."""
    parts = over_topics**2 / df_topics + over_seeds**2 / (seeds - 1)
    larger = np.where(over_seeds > over_topics, seeds - 1.0, df_topics)
    found: Array = np.minimum(_ratio(variance**2, parts, seeds - 1.0), larger)
    if seeds > 2:
        return found
    quantile = (1 + CONFIDENCE) / 2
    both = over_topics * stats.t.ppf(quantile, df_topics) + over_seeds * stats.t.ppf(quantile, seeds - 1)
    weighted = _ratio(both, over_topics + over_seeds, stats.t.ppf(quantile, seeds - 1))
    grid = np.geomspace(1, 1000, 400)
    cochran: Array = np.interp(-weighted, -stats.t.ppf(quantile, grid), grid)
    return np.minimum(found, cochran)


def _ratio(above: Array, below: Array, otherwise: float) -> Array:
    """`otherwise` where nothing varies."""
    found: Array = np.where(below > 0, above / np.where(below > 0, below, 1.0), otherwise)
    return found


@dataclass(frozen=True)
class _Side:
    """One mean taken apart: what each topic, each seed and each cell adds to its error."""

    mean: Array
    topics: Array
    seeds: Array
    left: Array
    df: float
    """Bell and McCaffrey's for clusters of these sizes; of equal ones, their number less one."""

    @classmethod
    def of(cls, found: Cells, sign: float) -> "_Side":
        w, means = found.weights, found.means
        s2, s3, s4, s5 = ((w**k).sum() for k in (2, 3, 4, 5))
        kept = s2 - 2 * s3 + s2**2  # of the sum of squares s2 of a unit variance, what is left about the estimated mean
        scale = np.sqrt(s2 / kept) if kept > 1e-12 else 0.0
        df = kept**2 / (s4 + s2**4 + 2 * s3**2 + 4 * s4 * s2 - 4 * s5 - 4 * s2**2 * s3) if kept > 1e-12 else 1.0
        seeds = (w[:, None] * means).sum(-2)
        mean = seeds.mean(-1)
        topics = means.mean(-1)
        left = means - topics[..., None] - seeds[..., None, :] + mean[..., None, None]
        by_topic = sign * scale * w * (topics - mean[..., None])
        return cls(sign * mean, by_topic, sign * seeds, sign * scale * w[:, None] * left, float(df))

    @property
    def squares(self) -> tuple[Array, Array, Array]:
        """The error over topics, what remains in the cells, and the degrees of freedom of the first."""
        over_topics: Array = (self.topics**2).sum(-1)
        return over_topics, (self.left**2).sum((-1, -2)), np.full_like(over_topics, self.df)


def _both(one: _Side, other: _Side, first: Cells, second: Cells) -> tuple[Array, Array, Array]:
    """The squares of two means. What a topic adds to both is taken together; where they share none, the degrees of freedom are
    Welch's."""
    (a, left_a, df_a), (b, left_b, df_b) = one.squares, other.squares
    if set(first.labels).isdisjoint(second.labels):
        return a + b, left_a + left_b, _ratio((a + b) ** 2, a**2 / df_a + b**2 / df_b, min(one.df, other.df))
    union = {label: n for n, label in enumerate(dict.fromkeys((*first.labels, *second.labels)))}
    topics = np.zeros((*one.topics.shape[:-1], len(union)))
    left = np.zeros((*topics.shape, one.left.shape[-1]))
    for side, labels in ((one, first.labels), (other, second.labels)):
        place = [union[label] for label in labels]
        topics[..., place] += side.topics
        left[..., place, :] += side.left
    return (topics**2).sum(-1), (left**2).sum((-1, -2)), np.minimum(df_a, df_b)


def estimate(found: Panel, *, share: bool = False, paired: bool = False) -> Estimate:
    """The mean of a panel. A `share` stays in 0 to 1, a `paired` difference of shares in -1 to 1."""
    bounds = ((-1.0 if paired else 0.0), 1.0) if share else None
    return _estimate(found.mean, [found], [cells(found)], len(set(found.topics)), bounds)


def interaction(own: Panel, other: Panel, *, share: bool = False) -> Estimate:
    """The mean of the first panel minus that of the second: topics that both have are one cluster."""
    sides, clusters = [cells(own, "own"), cells(other, "other")], len({*own.topics, *other.topics})
    return _estimate(own.mean - other.mean, [own, other], sides, clusters, (-2.0, 2.0) if share else None)


def _estimate(
    mean: float, panels: list[Panel], sides: list[Cells], clusters: int, bounds: tuple[float, float] | None
) -> Estimate:
    """Where shares do not vary at all the interval is Wilson's, since as many items without an exception do not show that there
    are none. Of single clusters that vary within, no error is known."""
    n, seeds = sum(panel.n for panel in panels), panels[0].values.shape[1]
    se = df = 0.0
    if varied := any(np.nanmin(panel.values) < np.nanmax(panel.values) for panel in panels):
        if min(len(side.labels) for side in sides) < 2:
            return Estimate(mean, None, None, None, n, clusters, seeds, None)
        _, se, df = (float(found) for found in infer(*sides))
    low, high = bounds or (-np.inf, np.inf)
    if varied and se > 1e-12:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, df)) * se
        return Estimate(mean, float(max(low, mean - half)), float(min(high, mean + half)), se, n, clusters, seeds, df)
    if bounds is None and n < 2:
        return Estimate(mean, None, None, None, n, clusters, seeds, None)
    room = sum(WILSON / (panel.n + WILSON) for panel in panels) if bounds else 0.0
    return Estimate(mean, float(max(low, mean - room)), float(min(high, mean + room)), 0.0, n, clusters, seeds, n - 1.0)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p values of a family, corrected by Holm; what has none counts for nothing."""
    from statsmodels.stats.multitest import multipletests

    known = [n for n, value in enumerate(values) if value is not None]
    found: list[float | None] = [None] * len(values)
    if known:
        for n, corrected in zip(known, multipletests([values[n] for n in known], method="holm")[1], strict=True):
            found[n] = float(corrected)
    return found
