"""Cells: which documents exist. A seeded permutation of kind × audience × angle × n for each clause (DESIGN section 5)."""

import random
from collections.abc import Iterator, Sequence
from math import lcm

from msmc.build import Cell
from msmc.digest import seed_of


def cells(clause: str, kinds: Sequence[str], audiences: Sequence[str], angles: Sequence[str]) -> Iterator[Cell]:
    """The endless sequence of a clause's cells, no two alike. Any prefix has the kinds in equal shares, give or take one, and so
    the audiences and the angles.

    From cell to cell each axis goes on by one. Two axes would so meet in the same pairs again after the least common multiple of
    their lengths: there the second one leaves one out, until every pair was there; and in the same way angles with the pairs.
    """
    axes = [sorted(set(axis)) for axis in (kinds, audiences, angles)]  # the order in the source means nothing
    for axis in axes:
        random.Random(seed_of("axis", clause, *axis)).shuffle(axis)
    num_kinds, num_audiences, num_angles = map(len, axes)
    num_pairs = num_kinds * num_audiences
    i = 0
    while True:
        n, at = divmod(i, num_pairs * num_angles)
        pair = at % num_pairs
        yield Cell(
            clause=clause,
            kind=axes[0][at % num_kinds],
            audience=axes[1][(pair + pair // lcm(num_kinds, num_audiences)) % num_audiences],
            angle=axes[2][(at + at // lcm(num_pairs, num_angles)) % num_angles],
            n=n,
        )
        i += 1
