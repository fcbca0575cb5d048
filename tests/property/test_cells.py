"""Laws of the plan: cells are unique, any prefix is balanced, a clause's cells depend on nothing else."""

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.lower.cells import cells

AXES = st.tuples(*(st.lists(st.text(max_size=3), min_size=1, max_size=5, unique=True) for _ in range(3)))


@given(AXES, st.integers(1, 80))
def test_cells_are_unique_and_prefixes_balanced(axes: tuple[list[str], ...], size: int) -> None:
    found = list(islice(cells("s.r", *axes), size))
    assert len(set(found)) == size
    for axis, ids in zip(("kind", "audience", "angle"), axes, strict=True):
        shares = Counter({name: 0 for name in ids})
        shares.update(getattr(cell, axis) for cell in found)
        assert max(shares.values()) - min(shares.values()) <= 1, axis
    whole = len(axes[0]) * len(axes[1]) * len(axes[2])
    assert {cell.n for cell in found} == set(range(-(-size // whole)))
    first = [(c.kind, c.audience, c.angle) for c in found if c.n == 0]
    assert len(set(first)) == len(first)


@given(AXES)
def test_the_order_of_a_spec_s_lists_means_nothing(axes: tuple[list[str], ...]) -> None:
    def some(*lists: list[str]) -> list[object]:
        return list(islice(cells("s.r", *lists), 12))

    assert some(*axes) == some(*([*reversed(a), a[0]] for a in axes))


@pytest.mark.parametrize(
    ("lengths", "size"),
    [((3, 2, 2), 6), ((17, 2, 2), 8), ((2, 2, 2), 8), ((4, 4, 4), 16), ((6, 3, 3), 18), ((5, 4, 2), 16)],
)
def test_short_lists_are_crossed(lengths: tuple[int, ...], size: int) -> None:
    """No audience stands with one angle alone: what either does could not be told from the other."""
    found = list(islice(cells("s.r", *(["abcdefghijklmnopqr"[at] for at in range(n)] for n in lengths)), size))
    pairs = Counter((cell.audience, cell.angle) for cell in found)
    assert len(pairs) > max(lengths[1:]), pairs
