"""False positives at 5 % of ways to hold topics and seeds as clusters: why `msmc/backend/statistics.py` has the one it has.

`python benchmarks/false_positives.py [--mixed]`: 20,000 studies of nothing for each design; with --mixed, also statsmodels' mixed
model with crossed random effects on 200 of each, which takes minutes.
"""

import argparse
import warnings
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import stats

from msmc.backend.power import SHIPPED, Components, simulated
from msmc.backend.statistics import Array, Cells, infer

STUDIES = 20_000
VARIANCES = {
    "as in real rows": SHIPPED["margin"][1],
    "seeds matter": Components(0.05, 0.84, 0.1, 0.05, 0.6),
    "seeds above all": Components(0.05, 0.84, 0.5, 0.05, 0.6),
    "nothing lasts": Components(0.0, 0.0, 0.0, 0.0, 4.0),
}


def parts(means: Array) -> tuple[Array, Array, Array, Array]:
    """The mean, and its error from topics, from seeds, and from what is left."""
    topics, seeds = means.shape[-2:]
    mean = means.mean(axis=(-1, -2))
    over_topics = means.mean(axis=-1).var(axis=-1, ddof=1) / topics
    over_seeds = means.mean(axis=-2).var(axis=-1, ddof=1) / seeds
    left = means - means.mean(axis=-1, keepdims=True) - means.mean(axis=-2, keepdims=True) + mean[..., None, None]
    return mean, over_topics, over_seeds, (left**2).sum(axis=(-1, -2)) / ((topics - 1) * (seeds - 1) * topics * seeds)


def tested(mean: Array, variance: Array, df: Array | float) -> float:
    return float(np.mean(2 * stats.t.sf(np.abs(mean) / np.sqrt(variance), df) < 0.05))


def topics_alone(means: Array) -> float:
    mean, over_topics, *_ = parts(means)
    return tested(mean, over_topics, means.shape[-2] - 1)


def seeds_alone(means: Array) -> float:
    mean, _, over_seeds, _ = parts(means)
    return tested(mean, over_seeds, means.shape[-1] - 1)


def satterthwaite(means: Array) -> float:
    """The difference as it stands, its degrees of freedom too, where it is not below zero."""
    topics, seeds = means.shape[-2:]
    mean, a, b, left = parts(means)
    variance = np.maximum(a + b - left, 1e-9)
    df = variance**2 / (a**2 / (topics - 1) + b**2 / (seeds - 1) + left**2 / ((topics - 1) * (seeds - 1)))
    return tested(mean, variance, np.maximum(df, 1))


def ours(means: Array) -> float:
    topics = means.shape[-2]
    mean, se, df = infer(Cells(means, np.full(topics, 1 / topics), tuple(map(str, range(topics)))))
    return tested(mean, se**2, df)


def mixed(means: Array) -> float:
    """200 studies; one that does not converge finds nothing."""
    import statsmodels.api as sm

    topics, seeds = means.shape[-2:]
    topic, seed = (index.ravel() for index in np.indices((topics, seeds)))
    families = {"topic": topic, "seed": seed}
    blocks = {name: {0: np.eye(index.max() + 1)[index]} for name, index in families.items()}
    names = [[[f"{name}{n}" for n in range(index.max() + 1)]] for name, index in families.items()]
    spec = sm.regression.mixed_linear_model.VCSpec(list(families), names, [[blocks[name][0]] for name in families])
    found = 0
    for study in means[:200]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fit = sm.MixedLM(study.ravel(), np.ones(study.size), np.zeros(study.size), exog_vc=spec).fit(reml=True)
                found += bool(fit.pvalues[0] < 0.05)
            except (np.linalg.LinAlgError, ValueError):
                continue
    return found / 200


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mixed", action="store_true")
    ways: list[Callable[[Array], float]] = [topics_alone, seeds_alone, satterthwaite, ours]
    ways += [mixed] if parser.parse_args().mixed else []
    table = Table(title="false positives at 5 %")
    for column in ("topics", "seeds", "variances", *(way.__name__.replace("_", " ") for way in ways)):
        table.add_column(column, justify="left" if column == "variances" else "right")
    for topics in (5, 10, 15, 20):
        for seeds in (2, 3, 5):
            for name, variances in VARIANCES.items():
                sizes = {str(n): 4 for n in range(topics)}
                means = simulated(variances, sizes, seeds, STUDIES, np.random.default_rng(0)).means
                table.add_row(str(topics), str(seeds), name, *(f"{way(means):.3f}" for way in ways))
    Console().print(table)


if __name__ == "__main__":
    main()
