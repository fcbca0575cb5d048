"""Laws of estimates: what units, names and order mean nothing to, and what an interval may never say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.statistics import Panel, estimate, holm, interaction

VALUES = st.floats(-20, 20).map(lambda value: round(value, 3))
SHARES = st.sampled_from([0.0, 0.5, 1.0])


@st.composite
def panels(draw: st.DrawFn, values: st.SearchStrategy[float] = VALUES) -> Panel:
    items, seeds = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    topics = draw(st.lists(st.sampled_from("abcd"), min_size=items, max_size=items))
    table = draw(st.lists(st.lists(values, min_size=seeds, max_size=seeds), min_size=items, max_size=items))
    return Panel(np.asarray(table), tuple(topics))


def near(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) <= 1e-6 * max(1, abs(one)))


@given(panels(), st.floats(-9, 9), st.sampled_from([-3.0, 0.5, 2.0]))
def test_a_shift_moves_the_interval_and_a_factor_stretches_it(panel: Panel, shift: float, factor: float) -> None:
    one, other = estimate(panel), estimate(Panel(factor * panel.values + shift, panel.topics))
    assert near(other.mean, factor * one.mean + shift)
    assert near(other.se, None if one.se is None else abs(factor) * one.se)
    if one.se is not None and one.se > 1e-6:
        assert near(other.df, one.df)


@given(panels(), st.randoms(use_true_random=False))
def test_the_order_of_items_and_seeds_and_the_names_of_topics_mean_nothing(panel: Panel, random: object) -> None:
    items, seeds = list(range(panel.n)), list(range(panel.values.shape[1]))
    random.shuffle(items)  # type: ignore[attr-defined]
    random.shuffle(seeds)  # type: ignore[attr-defined]
    renamed = tuple(f"z{panel.topics[item]}" for item in items)
    one, other = estimate(panel), estimate(Panel(panel.values[items][:, seeds], renamed))
    assert near(one.mean, other.mean) and near(one.se, other.se)


@given(panels())
def test_an_interval_holds_its_mean_and_seeds_say_no_more_than_their_number(panel: Panel) -> None:
    found = estimate(panel)
    if found.se is None or found.low is None or found.high is None or found.df is None:
        assert found.low is found.high is found.p is found.mde is None
        return
    assert found.low <= found.mean <= found.high and found.se >= 0 and 0 < found.df <= panel.n
    over_seeds = panel.values.mean(axis=0)
    if len(over_seeds) > 1:
        assert found.se >= np.std(over_seeds, ddof=1) / np.sqrt(len(over_seeds)) - 1e-9


@given(panels(SHARES), st.booleans())
def test_shares_and_their_differences_stay_where_they_can_be(panel: Panel, paired: bool) -> None:
    found = estimate(Panel(2 * panel.values - 1, panel.topics) if paired else panel, share=True, paired=paired)
    if found.low is not None and found.high is not None:
        assert (-1 if paired else 0) <= found.low <= found.mean <= found.high <= 1


@given(panels(), panels())
def test_a_difference_of_differences_is_the_same_the_other_way_round(one: Panel, other: Panel) -> None:
    seeds = min(one.values.shape[1], other.values.shape[1])
    sides = [Panel(side.values[:, :seeds], side.topics) for side in (one, other)]
    found, turned = interaction(*sides), interaction(*sides[::-1])
    assert near(found.mean, -turned.mean) and near(found.se, turned.se) and near(found.p, turned.p)


@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_a_correction_never_makes_a_finding(values: list[float | None]) -> None:
    found = holm(values)
    assert [p is None for p in found] == [p is None for p in values]
    for value, corrected in zip(values, found, strict=True):
        assert value is None or corrected is None or value <= corrected <= 1
