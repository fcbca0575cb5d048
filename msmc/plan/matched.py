"""Arms that are matched (`match rows|tokens`), as `backend/corpora.py` does it: those that are smaller than the largest write
further rows of their reserve, then all are trimmed to the smallest. By counts and mean lengths; gates are taken to take nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any, NamedTuple

from msmc.plan.estimate import Estimate
from msmc.plan.rows import Counts, in_turns


class Sizes(NamedTuple):
    """What an arm's documents measure, each with its end."""

    mean: Estimate
    """Tokens of one that is written."""
    own: float
    """Tokens of all that the author brought."""


class Arm(NamedTuple):
    """One arm, matched."""

    grown: Counter[str]
    """Further rows, by clause."""
    reserve: int
    """Rows of the reserve that are left."""
    kept: Counter[str]
    """What is trained on, by clause; each of the author's own by its id."""


class Pair(NamedTuple):
    arms: tuple[str, str]
    planned: dict[str, int]
    paired: int
    """Planned cells that both have."""
    matched: dict[str, int]
    """Documents after matching."""
    paired_then: int


@dataclass(frozen=True)
class Matched:
    by: str
    size: Estimate
    """Rows or tokens of each arm."""
    arms: dict[str, Arm]
    pairs: tuple[Pair, ...]


def match(plan: dict[str, Any], counts: Mapping[str, Counts], sizes: Mapping[str, Sizes]) -> Matched | None:
    """`plan`: the content of arms.json. None where nothing is matched."""
    by, names = plan["match"]["by"], plan["match"]["arms"]
    if by == "none" or len(names) < 2:
        return None
    a_row = {n: sizes[n].mean if by == "tokens" else Estimate(1) for n in names}
    own = {n: sizes[n].own if by == "tokens" else counts[n].own.total() for n in names}
    planned = {n: a_row[n].times(counts[n].planned.total()) + Estimate(own[n]) for n in names}
    goal, grown, reached = max(planned.values(), key=_value), dict[str, Counter[str]](), dict[str, Estimate]()
    for n in names:
        lacks, all_rows = goal.value - planned[n].value, counts[n].planned.total() + counts[n].own.total()
        # the run first asks for rows as long as all that are there, the author's among them
        wanted = max(lacks / (a_row[n].value or 1), lacks * all_rows / (planned[n].value or 1))
        grown[n] = in_turns(counts[n].reserve, math.ceil(round(wanted, 6)))
        there = planned[n] + a_row[n].times(grown[n].total())
        reached[n] = goal if there.value >= goal.value else there
    size = min(reached.values(), key=_value)
    every = {n: counts[n].planned + grown[n] + counts[n].own for n in names}
    shared, arms = reduce(and_, every.values()), dict[str, Arm]()
    for n in names:
        trimmed = (size.value - own[n]) / (a_row[n].value or 1) + counts[n].own.total()
        kept = min(every[n].total(), round(trimmed))
        first = in_turns(shared, kept)
        left = (counts[n].reserve - grown[n]).total()
        arms[n] = Arm(grown[n], left, first + in_turns(every[n] - shared, kept - first.total()))
    pairs = [p for p in plan["pairs"] if all(name in arms for name in p["arms"])]
    return Matched(by, size, arms, tuple(_pair(p, arms) for p in pairs))


def _pair(pair: dict[str, Any], arms: Mapping[str, Arm]) -> Pair:
    a, b = pair["arms"]
    kept = {name: arms[name].kept for name in (a, b)}
    after = {name: found.total() for name, found in kept.items()}
    return Pair((a, b), pair["documents"]["rows"], pair["documents"]["paired"], after, (kept[a] & kept[b]).total())


def _value(estimate: Estimate) -> float:
    return estimate.value
