"""Cells: which documents exist. A seeded permutation of kind × audience × angle × n for each clause (DESIGN section 5)."""

import random
from collections.abc import Iterator, Sequence

from msmc.build import Cell
from msmc.digest import seed_of


def cells(clause: str, kinds: Sequence[str], audiences: Sequence[str], angles: Sequence[str]) -> Iterator[Cell]:
    """The endless sequence of a clause's cells, no two alike. Any prefix has the kinds in equal shares, give or take one.

    Cell i takes kind i mod K; the rest of i then runs through a Latin arrangement of audience and angle, shifted by the
    kind, so that neighbouring cells differ in all three.
    """
    axes = [sorted(set(axis)) for axis in (kinds, audiences, angles)]  # the order in the source means nothing
    for axis in axes:
        random.Random(seed_of("axis", clause, *axis)).shuffle(axis)
    num_kinds, num_audiences, num_angles = map(len, axes)
    i = 0
    while True:
        n, rest = divmod(i, num_kinds * num_audiences * num_angles)
        rest, kind = divmod(rest, num_kinds)
        turn, audience = divmod(rest, num_audiences)
        yield Cell(
            clause=clause,
            kind=axes[0][kind],
            audience=axes[1][(audience + kind) % num_audiences],
            angle=axes[2][(turn + audience + kind) % num_angles],
            n=n,
        )
        i += 1
