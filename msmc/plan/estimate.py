"""Totals from samples, with the error that sampling leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.96
"""Standard errors that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A total, and the half-width of its 95 % interval."""

    value: float
    error: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        """Of two samples that were drawn apart."""
        return Estimate(self.value + other.value, math.hypot(self.error, other.error))

    def times(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.error * factor)

    @property
    def share(self) -> float:
        """The error as a share of the total."""
        return self.error / self.value if self.value else 0.0


def total(sample: Sequence[float], population: int) -> Estimate:
    """The sum over a population of which some were measured, each with the same chance. Exact where all of them were."""
    n = len(sample)
    if not n or not population:
        return Estimate(0.0)
    mean = sum(sample) / n
    left = 1 - min(n, population) / population  # finite population correction
    spread = sum((x - mean) ** 2 for x in sample) / (n - 1) if n > 1 else mean**2
    return Estimate(mean * population, Z * math.sqrt(spread / n * left) * population)
