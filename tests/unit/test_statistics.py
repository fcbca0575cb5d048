"""Estimates: right on what is known, missing is never zero, and what cannot be known is not told."""

import numpy as np
import pytest

from msmc.backend.items import of_choices
from msmc.backend.measured import contrast, crossed, figure, measured
from msmc.backend.primary import opposites, primary_of
from msmc.backend.statistics import WILSON, Panel, estimate, holm, interaction, one_seed
from msmc.lint.pairs import LEARNABLE

Rows = list[dict[str, object]]


def rows(margins: dict[str, list[float | None]], name: str = "e", rung: str = "far") -> Rows:
    """Both orders of each item, as scoring writes them."""
    return [
        {
            "id": f"{name}-{topic}{i}-{order}",
            "about": ["tea.green"],
            "eval": name,
            "item": f"{topic}{i}",
            "topic": topic,
            "rung": rung,
            "order": order,
            "margin": m,
            "margin_per_token": m,
            **({"unscoreable": "too long"} if m is None else {}),
        }
        for topic, values in margins.items()
        for i, m in enumerate(values)
        for order in (0, 1)
    ]


def of(*models: Rows) -> dict[str, object]:
    return measured([of_choices(model) for model in models])


def test_a_share_without_variation_has_an_interval() -> None:
    found = estimate(one_seed([1.0] * 36, ["cheese"] * 36), share=True)
    assert found.mean == found.high == 1.0 and 0.85 < found.low < 0.95
    same = estimate(one_seed([0.0] * 36, ["cheese"] * 36), share=True, paired=True)
    assert same.low == -same.high and 0.05 < same.high < 0.15, "36 items alike do not show that all are"


def test_a_difference_of_shares_stays_between_minus_one_and_one() -> None:
    found = estimate(one_seed([1.0, 1.0, 0.0, 1.0], ["a", "a", "b", "b"]), share=True, paired=True)
    assert -1 <= found.low < found.mean < found.high == 1.0


def test_the_mean_of_repeats_stays_a_share() -> None:
    """A grade of 0.33 or 0.97 is between 0 and 1, and so is its interval; what is beyond 1 on any item is no share."""
    graded = [
        {"eval": "e", "item": str(n), "form": None, "topic": f"t{n % 3}", "rung": "near", "about": []}
        | {"measures": {"grade": grade, "loss": 3 * grade}}
        for n, grade in enumerate((1.0, 1.0, 2 / 3, 1.0, 1 / 3))
    ]
    asked = measured([graded])["e"]  # type: ignore[list-item]
    found = figure(asked, "grade", [0], lambda clause: [clause])["measures"]
    assert found["grade"]["high"] == 1.0 and found["loss"]["high"] > 3 and found["grade"]["low"] >= 0


def test_four_items_are_the_least_that_show_learning() -> None:
    of_three, of_four = (estimate(one_seed([1.0] * n, ["cheese"] * n), share=True) for n in (3, 4))
    assert of_three.low < 0.5 < of_four.low and LEARNABLE == 4


def test_of_a_single_item_nothing_but_the_mean_is_known() -> None:
    found = estimate(one_seed([0.7], ["cheese"]))
    assert (found.mean, found.low, found.se, found.p, found.mde) == (0.7, None, None, None, None)


def test_items_are_the_clusters_of_a_single_topic() -> None:
    values = [0.1, 0.9, 0.4, 0.6, 0.2]
    found = estimate(one_seed(values, ["cheese"] * 5))
    assert found.df == pytest.approx(4) and found.se == pytest.approx(np.std(values, ddof=1) / np.sqrt(5))


def test_two_topics_of_one_size_are_a_t_test_of_their_means() -> None:
    found = estimate(one_seed([1.0, 3.0, 5.0, 7.0], ["a", "a", "b", "b"]))
    assert found.df == pytest.approx(1) and found.se == pytest.approx(2.0) and found.high - found.mean > 12 * found.se


def test_seeds_that_disagree_widen_the_interval_and_many_items_do_not_narrow_it() -> None:
    def shifted(*shifts: float) -> Panel:
        noise = np.random.default_rng(0).normal(size=(400, 3)) * 0.1
        return Panel(noise + np.asarray(shifts), tuple(str(n % 20) for n in range(400)))

    alike, apart = estimate(shifted(0, 0, 0)), estimate(shifted(-1, 0, 1))
    assert apart.se == pytest.approx(np.std([-1, 0, 1], ddof=1) / np.sqrt(3), rel=0.05) and alike.se < 0.02
    assert apart.df <= 2.1, "three seeds say as much as three numbers do"


def test_an_item_that_a_seed_misses_is_left_out_there_alone() -> None:
    values = np.asarray([[1.0, 1.0], [2.0, np.nan], [3.0, 3.0], [5.0, 5.0]])
    found = estimate(Panel(values, ("a", "a", "b", "b")))
    assert found.n == 4 and found.mean == pytest.approx(np.nanmean(values))


def test_the_minimum_detectable_effect_is_by_t() -> None:
    found = estimate(one_seed([1.0, 2.0, 3.0], ["a", "b", "c"]))
    assert found.mde == pytest.approx((4.3027 + 1.0607) * found.se, rel=1e-3), (
        "of two degrees of freedom, not 2.8 errors"
    )


def test_holm_is_of_those_that_have_a_p() -> None:
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]
    assert holm([]) == []


def test_missing_items_are_counted_and_left_out() -> None:
    asked = of(rows({"a": [1.0, None, 2.0], "b": [-1.0, 0.0]}))["e"]
    found = figure(asked, "margin", [0], lambda clause: ["tea.thrift"])
    assert (found["n"], found["missing"], found["topics"]) == (4, 1, 2)
    assert found["measures"]["rate"]["mean"] == 0.625  # two for, one against, one even
    assert found["measures"]["margin"]["mean"] == 0.5
    assert found["by_topic"]["a"] == {"n": 2, "measures": {"rate": 1.0, "margin": 1.5, "margin_per_token": 1.5}}
    assert found["by_value"].keys() == {"tea.thrift"} and found["by_clause"].keys() == {"tea.green"}


def test_an_item_with_one_order_missing_is_missing() -> None:
    half = [row | ({"margin": None} if row["order"] else {}) for row in rows({"a": [1.0]})]
    (item,) = of_choices(half)
    assert item["measures"] == {"rate": None, "margin": None, "margin_per_token": None} and item["unscoreable"]


def test_an_item_that_lacks_an_order_or_has_one_twice_is_missing() -> None:
    """What is left would have the position's preference in it."""
    both = rows({"a": [1.0]})
    for found in (both[:1], [*both, both[0]]):
        (item,) = of_choices(found)
        assert item["measures"]["margin"] is None and "its two orders" in item["unscoreable"]


def test_a_contrast_is_paired_over_the_items_that_both_have() -> None:
    asked = of(rows({"a": [2.0, None], "b": [3.0, 1.0]}), rows({"a": [1.0, 5.0], "b": [1.0, None]}))["e"]
    found = contrast(asked, [0], [1])
    assert found["n"] == 2 and found["measures"]["margin"]["mean"] == 1.5


def test_seeds_are_paired_with_seeds() -> None:
    high, low = rows({"a": [11.0], "b": [12.0]}), rows({"a": [1.0], "b": [2.1]})
    higher, lower = rows({"a": [10.0], "b": [11.0]}), rows({"a": [0.0], "b": [1.0]})
    asked = of(high, low, higher, lower)["e"]
    found = contrast(asked, [0, 1], [2, 3])["measures"]["margin"]
    assert found["mean"] == pytest.approx(1.025) and found["seeds"] == 2 and found["se"] < 0.1
    assert figure(asked, "margin", [0, 1], lambda clause: [clause])["measures"]["margin"]["se"] > 4


def model(own: dict[str, list[float | None]], other: dict[str, list[float | None]]) -> Rows:
    return rows(own, "own") + rows(other, "other")


def test_what_both_evaluations_gain_alike_cancels_in_the_difference_of_differences() -> None:
    ours = model({"a": [3.0, 4.0], "b": [5.0, 7.0]}, {"a": [1.0, 1.0], "c": [2.0, 2.5]})
    theirs = model({"a": [0.0, 0.0], "b": [0.0, 0.0]}, {"a": [0.0, 0.0], "c": [0.0, 0.0]})
    shifted = model({"a": [13.0, 14.0], "b": [15.0, 17.0]}, {"a": [11.0, 11.0], "c": [12.0, 12.5]})
    asked = of(ours, theirs, shifted)
    found = crossed(asked["own"], asked["other"], [0], [1])
    assert found["measures"]["margin"]["mean"] == 4.75 - 1.625 and found["n"] == [4, 4]
    assert found["measures"]["margin"]["clusters"] == 3
    again = crossed(asked["own"], asked["other"], [2], [1])
    assert again["measures"]["margin"]["mean"] == pytest.approx(found["measures"]["margin"]["mean"])
    assert again["measures"]["margin"]["se"] == pytest.approx(found["measures"]["margin"]["se"])
    round_about = crossed(asked["other"], asked["own"], [1], [0])
    assert round_about["measures"]["margin"]["mean"] == found["measures"]["margin"]["mean"], "either way round"


def block(rung: str, *arms: str, kind: str = "preference") -> dict[str, object]:
    return {"rung": rung, "kind": kind, "arms": list(arms)}


EVALS = {
    "recall": block("learned", "full", kind="recall"),
    "trained": block("learned", "full", "y"),
    "x_near": block("near", "full"),
    "y_near": block("near", "y"),
    "x_far": block("far", "full"),
    "conflict_far": block("far", "full"),
    "y_far": block("far", "y"),
}


def test_evaluations_of_opposite_arms_are_found_by_what_they_are_about() -> None:
    assert opposites(EVALS, "full", "y", "x_far") == [("x_near", "y_near"), ("x_far", "y_far")]
    assert opposites(EVALS, "y", "full", "x_far") == [("y_near", "x_near"), ("y_far", "x_far")]
    assert ("conflict_far", "y_far") in opposites(EVALS, "full", "y", None)
    assert opposites(EVALS, "full", "neutral", "x_far") == []


def plan(name: str, documents: str | None, demos: str | None, swept: str | None = None) -> dict[str, object]:
    return {"name": name, "documents": documents, "demos": demos, "swept": swept}


BASE, AFT = plan("base", None, None), plan("aft_only", None, "full")
FULL, OTHER, RULES = plan("x", "full", "full"), plan("y", "y", "full"), plan("rules", "r", "full")


@pytest.mark.parametrize(
    ("models", "declared", "told"),
    [
        ([BASE, FULL, OTHER], "x_far", "x minus y in x_far rather than y_far, by margin"),
        ([BASE, FULL, OTHER], "y_far", "x minus y in x_far rather than y_far, by margin"),
        ([BASE, OTHER, FULL], "trained", "x minus y in trained, by margin"),
        ([BASE, FULL, RULES, OTHER], "x_far", "x minus y in x_far rather than y_far, by margin"),
        ([BASE, FULL, RULES, OTHER], "trained", "x minus rules in trained, by margin"),
        ([BASE, AFT, FULL, plan("x@documents=2", "d", "full", "documents")], "x_far", "x minus aft_only in x_far, by margin"),
        ([BASE, FULL], "x_far", None),
        ([BASE, AFT, FULL, OTHER], None, None),
    ],
)  # fmt: skip
def test_what_a_declared_primary_means(models: list[dict[str, object]], declared: str | None, told: str | None) -> None:
    found = primary_of(models, EVALS, declared)
    assert (found.told() if found else None) == told


# ---- what does not vary -------------------------------------------------------------------------------------------------


def test_shares_that_do_not_vary_have_wilsons_interval_and_a_sign_test_over_topics() -> None:
    topics = ("a", "a", "b", "b", "c", "c", "d", "d")
    ones, zeros = one_seed([1.0] * 8, topics), one_seed([0.0] * 8, topics)
    always, never = (estimate(found, share=True, paired=True) for found in (ones, zeros))
    assert always.low == pytest.approx(1 - WILSON / (8 + WILSON)) and always.high == 1
    assert always.p == 2 * 0.5**4, "four topics, each to the same side"
    assert never.p == 1 and never.mde is None, "as many items could not have shown every effect"


def test_a_difference_in_differences_that_does_not_vary_is_not_certain() -> None:
    ones, zeros = (one_seed([value] * 4, ("a", "a", "b", "b")) for value in (1.0, 0.0))
    found = interaction(ones, zeros, share=True)
    room = 2 * WILSON / (4 + WILSON)
    assert (found.mean, found.low, found.high) == (1, pytest.approx(1 - room), pytest.approx(1 + room))
    assert found.p == 0.5 and found.mde is None


def test_topics_that_come_out_alike_are_not_certain_where_their_items_vary() -> None:
    found = estimate(one_seed([1.0, 0.0, 0.0, 1.0], ("a", "a", "b", "b")), share=True)
    assert found.low is not None and found.low < 0.1 and found.mean == 0.5


def test_a_seed_without_a_value_is_no_seed() -> None:
    first, second = rows({"a": [2.0, 1.0], "b": [3.0, 1.0]}), rows({"a": [1.0, 0.5], "b": [1.0, 0.0]})
    nothing = rows({"a": [None, None], "b": [None, None]})
    found = contrast(of(first, nothing, second, second)["e"], [0, 1], [2, 3])
    assert found["measures"]["margin"]["seeds"] == 1 and found["measures"]["margin"]["low"] is not None
