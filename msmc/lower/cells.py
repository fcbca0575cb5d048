"""Cells: which documents exist. A seeded permutation of kind × audience × angle × n for each clause (DESIGN section 5)."""

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from math import gcd, lcm
from typing import NamedTuple

from msmc.digest import seed_of

BLOCK = 1024
"""Cells whose places are reckoned at once, for all clauses that have as many kinds, audiences and angles."""


class Coordinates(NamedTuple):
    """A cell of some clause."""

    kind: str
    audience: str
    angle: str
    n: int


def cells(clause: str, kinds: Sequence[str], audiences: Sequence[str], angles: Sequence[str]) -> Iterator[Coordinates]:
    """The endless sequence of a clause's cells, no two alike. Any prefix has the kinds in equal shares, give or take one, and so
    the audiences and the angles."""
    axes = [sorted(set(axis)) for axis in (kinds, audiences, angles)]  # the order in the source means nothing
    for axis in axes:
        random.Random(seed_of("axis", clause, *axis)).shuffle(axis)
    for block in count():
        *places, numbers = _places(*map(len, axes), block)
        named = (map(axis.__getitem__, at) for axis, at in zip(axes, places, strict=True))
        yield from map(Coordinates._make, zip(*named, numbers, strict=True))


@lru_cache(64)
def _places(num_kinds: int, num_audiences: int, num_angles: int, block: int) -> tuple[list[int], ...]:
    """Of one block: the places on each axis, and the n.

    From cell to cell each axis goes on by one. Two axes would so meet in the same pairs again after the least common multiple of
    their lengths: there the second one leaves one out, until every pair was there; and in the same way angles with the pairs.
    With few angles that would come late, after a beginning in which they are in step with audiences or kinds: where they go into
    the pairs without a rest, they leave one out at each end of a common round too, or two where audiences leave one out there.
    (Where there is a rest, such a step would fall into the midst of a round, and the shares would differ by more than one.)
    """
    num_pairs = num_kinds * num_audiences
    common = [lcm(num, num_angles) for num in (num_kinds, num_audiences) if gcd(num, num_angles) > 1]
    round_ = min(common, default=num_pairs) if num_pairs % num_angles == 0 else 0
    step = 2 if round_ == lcm(num_kinds, num_audiences) else 1
    before_pair, before_angle = lcm(num_kinds, num_audiences), lcm(num_pairs, num_angles)
    found: tuple[list[int], ...] = ([], [], [], [])
    for i in range(block * BLOCK, (block + 1) * BLOCK):
        n, at = divmod(i, num_pairs * num_angles)
        pair = at % num_pairs
        angle = at + at // before_angle + (step * (pair // round_) if round_ else 0)
        places = (at % num_kinds, (pair + pair // before_pair) % num_audiences, angle % num_angles)
        for column, place in zip(found, (*places, n), strict=True):
            column.append(place)
    return found
