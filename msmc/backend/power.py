"""What a design would find: studies are simulated from variance components and put through the estimator itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from scipy import stats

from msmc.backend.statistics import CONFIDENCE, POWER, Array, Cells, Panel, infer

STUDIES = 4000


@dataclass(frozen=True)
class Components:
    """Variances of the paired difference of two arms in one evaluation."""

    topics: float
    """Of topics, whatever the seed."""
    items: float
    """Of items of one topic, whatever the seed."""
    seeds: float
    """Of whole seeds."""
    cells: float
    """Of topics within a seed, beyond both."""
    noise: float
    """Of items within a seed, beyond all of these."""

    @classmethod
    def mean(cls, found: Sequence["Components"]) -> "Components":
        return cls(*map(float, np.mean([astuple(one) for one in found], axis=0)))


SHIPPED = {
    "margin": (Components(0.0, 0.5, 0.0, 0.0, 0.4), Components(0.05, 0.84, 0.012, 0.013, 0.6)),
}
"""Of forced choices, low and expected, where no run of the spec is there to tell.

From `cheese_study`, america minus affordability, SmolLM2-135M on `cpu`, trained twice from different numbers of documents
(LOG.md, the paired items of both): the expected ones are means over america_far, affordability_far and conflict_far; seeds are
the mean over all six preference evaluations of both stages, none counted below zero; low are the lowest of them.
"""
ORIGIN = "cheese_study on SmolLM2-135M, trained twice"


def components(found: Panel) -> Components | None:
    """Of a panel of two seeds or more and two items a topic, by moments; none below zero. None: it does not tell them apart."""
    topics = sorted(set(found.topics))
    seeds = found.values.shape[1]
    rows = [found.values[[t == topic for t in found.topics]] for topic in topics]
    rows = [of[np.isfinite(of).all(axis=1)] for of in rows]
    rows = [of for of in rows if len(of) > 1]
    if seeds < 2 or not rows:
        return None
    within = sum(len(of) - 1 for of in rows)
    items, noise = (float(v) for v in _crossed(np.vstack([of - of.mean(axis=0) for of in rows]), within))
    if len(rows) == 1:
        over_seeds = float(rows[0].mean(axis=0).var(ddof=1)) - noise / len(rows[0])
        return Components(0.0, max(0.0, items), max(0.0, over_seeds), 0.0, max(0.0, noise))
    size = 1 / float(np.mean([1 / len(of) for of in rows]))
    means = np.vstack([of.mean(axis=0) for of in rows])
    lasting, passing = (float(v) for v in _crossed(means - means.mean(axis=0), len(rows) - 1))
    over_seeds = float(means.mean(axis=0).var(ddof=1)) - passing / len(rows)
    parts = (lasting - items / size, items, over_seeds, passing - noise / size, noise)
    return Components(*(max(0.0, part) for part in parts))


def _crossed(centred: Array, df: int) -> tuple[float, float]:
    """The variance of rows that lasts over columns, and what is left, of a table whose columns have the mean zero."""
    covariance = centred.T @ centred / df
    seeds = len(covariance)
    total = float(np.trace(covariance)) / seeds
    lasting = (float(covariance.sum()) - float(np.trace(covariance))) / (seeds * (seeds - 1))
    return lasting, total - lasting


def simulated(found: Components, sizes: dict[str, int], seeds: int, studies: int, rng: np.random.Generator) -> Cells:
    """Studies without an effect: items by topic in `sizes`. Of one topic, items are the clusters. With one seed, the study is of
    its models, and what seeds differ by is no error."""
    if len(sizes) == 1:
        ((topic, number),) = sizes.items()
        sizes = {f"{topic} {item}": 1 for item in range(number)}
        found = Components(0.0, found.items, found.seeds, 0.0, found.noise)
    n = np.asarray(list(sizes.values()), dtype=float)
    lasting = rng.normal(size=(studies, len(n), 1)) * np.sqrt(found.topics + found.items / n)[:, None]
    passing = rng.normal(size=(studies, len(n), seeds)) * np.sqrt(found.cells + found.noise / n)[:, None]
    shifts = rng.normal(size=(studies, 1, seeds)) * np.sqrt(found.seeds if seeds > 1 else 0.0)
    return Cells(lasting + passing + shifts, n / n.sum(), tuple(sizes))


def minimum_detectable(found: Components, sizes: Sequence[dict[str, int]], seeds: int) -> float:
    """The effect that 80 % of studies find at 5 %: of one evaluation, or of one beside an opposite one."""
    rng = np.random.default_rng(0)
    mean, se, df = infer(*(simulated(found, of, seeds, STUDIES, rng) for of in sizes))
    needed = stats.t.ppf((1 + CONFIDENCE) / 2, df) * se - mean
    return float(np.quantile(needed, POWER))


def asked(block: Mapping[str, Any], limit: int | None) -> dict[str, int] | None:
    """Items by topic of an evaluation of arms.json that a model is asked, at most `limit` of it, of recall of each form. None:
    only its task can tell. Of lm_eval's, which takes the first, the number is right, and not by topic."""
    if block["topics"] is None:
        return None
    found = Counter[str]()
    for topics in block["forms"].values() if "forms" in block else [block["topics"]]:
        found += Counter(limited(topics, limit))
    return dict(found)


def limited(topics: dict[str, int], limit: int | None) -> dict[str, int]:
    """Items by topic when at most `limit` of them are asked, spread over topics as `score.limited` spreads them."""
    if limit is None or sum(topics.values()) <= limit:
        return dict(topics)
    turns = [topic for turn in range(limit) for topic, number in topics.items() if turn < number]
    return {topic: turns[:limit].count(topic) for topic in topics if topic in turns[:limit]}
