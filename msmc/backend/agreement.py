"""How far a judge can be believed: whether it agrees with itself, and what it makes of replies whose grade is known."""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any, NamedTuple

Grades = Sequence[Sequence[float | None]]
"""Of each reply its gradings; None where the judge gave none."""
FOLLOWS = 0.75
"""A grade from here on says that the clause is followed; one half does not."""
LEAST = 0.1
"""Sensitivity and specificity above 1 by which a rate is still corrected: below, the judge hardly tells one from the other."""


def alpha(grades: Grades) -> float | None:
    """Krippendorff's alpha for intervals; None where it is not defined: fewer than two gradings of each, or all the same.

    Our own, since the package of that name is under the GPL. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    units = [[g for g in unit if g is not None] for unit in grades]
    units = [unit for unit in units if len(unit) > 1]
    every = [g for unit in units for g in unit]
    expected = _squares(every) / (len(every) - 1) if every else 0.0
    if expected == 0:
        return None
    observed = sum(_squares(unit) / (len(unit) - 1) for unit in units)
    return 1 - observed / expected


def _squares(values: list[float]) -> float:
    """The sum of squared differences of all ordered pairs."""
    return 2 * (len(values) * sum(v * v for v in values) - sum(values) ** 2)


def agreement(grades: Grades) -> dict[str, Any]:
    """Of repeated gradings: alpha, the share of pairs with one verdict, and the error rate that this share stands for where the
    errors of repeats do not hang together. A judge that repeats its mistakes agrees with itself: see the calibration."""
    pairs = [
        (a >= FOLLOWS) == (b >= FOLLOWS)
        for unit in grades
        for a, b in combinations([g for g in unit if g is not None], 2)
    ]
    same = sum(pairs) / len(pairs) if pairs else None
    # two verdicts differ where one of them is wrong: 2e(1 - e)
    error = None if same is None else (1 - math.sqrt(max(0.0, 2 * same - 1))) / 2
    return {"alpha": alpha(grades), "same_verdict": same, "pairs": len(pairs), "error_rate": error}


class Share(NamedTuple):
    """A share with Wilson's interval; replies are counted, however often each was graded."""

    mean: float
    low: float
    high: float
    n: int


def follows(gradings: Sequence[float | None]) -> float | None:
    """The share of a reply's gradings that say it follows its clause."""
    given = [g for g in gradings if g is not None]
    return sum(g >= FOLLOWS for g in given) / len(given) if given else None


def share(values: Sequence[float | None]) -> Share | None:
    from statsmodels.stats.proportion import proportion_confint

    given = [value for value in values if value is not None]
    if not given:
        return None
    low, high = proportion_confint(sum(given), len(given), method="wilson")
    return Share(sum(given) / len(given), float(low), float(high), len(given))


def calibration(graded: Grades, perfect: Grades, violating: Grades) -> dict[str, Any]:
    """Of planted replies the sensitivity (perfect ones found to follow) and specificity (violating ones not), and by them the
    rate of replies that follow, corrected as Rogan and Gladen do (1978), with the delta method's interval."""
    rate = share([follows(unit) for unit in graded])
    found = share([follows(unit) for unit in perfect])
    passed = share([None if (f := follows(unit)) is None else 1 - f for unit in violating])
    told = {
        name: s._asdict() if s else None
        for name, s in (("rate", rate), ("sensitivity", found), ("specificity", passed))
    }
    if not (rate and found and passed):
        return told | {"calibrated_rate": None, "reason": "no graded replies, or none that were planted"}
    gain = found.mean + passed.mean - 1
    if gain < LEAST:
        return told | {"calibrated_rate": None, "reason": "the judge hardly tells perfect from violating replies"}
    mean = (rate.mean + passed.mean - 1) / gain
    variance = _variance(rate) + mean**2 * _variance(found) + (1 - mean) ** 2 * _variance(passed)
    half = NormalDist().inv_cdf(0.975) * math.sqrt(variance) / gain
    clipped = {name: min(1.0, max(0.0, v)) for name, v in (("mean", mean), ("low", mean - half), ("high", mean + half))}
    return told | {"calibrated_rate": clipped | {"n": rate.n}, "reason": None}


def _variance(of: Share) -> float:
    """Of a share, with half a reply added to each side: ten out of ten is not certain."""
    mean = (of.mean * of.n + 0.5) / (of.n + 1)
    return mean * (1 - mean) / (of.n + 1)
