"""Intervals: right on what is known, missing is never zero."""

import random

from msmc.backend.comparison import opposites
from msmc.backend.statistics import contrast, crossed, estimate, figures, paired


def rows(margins: dict[str, list[float | None]], name: str = "e") -> list[dict[str, object]]:
    return [
        {
            "eval": name,
            "item": f"{topic}{i}",
            "topic": topic,
            "rung": "far",
            "order": order,
            "margin": m,
            "margin_per_token": m,
        }
        for topic, values in margins.items()
        for i, m in enumerate(values)
        for order in (0, 1)
    ]


def test_a_share_without_variation_has_an_interval() -> None:
    found = estimate([1.0] * 36, ["cheese"] * 36, share=True)
    assert found.mean == found.high == 1.0 and 0.85 < found.low < 0.95


def test_intervals_cover_the_truth_although_topics_differ() -> None:
    rng, hits = random.Random(0), 0
    for _ in range(300):
        topics = [t for t in "abcdefgh" for _ in range(10)]
        shift = {t: rng.gauss(0, 1) for t in "abcdefgh"}
        values = [shift[t] + rng.gauss(0, 1) for t in topics]
        found = estimate(values, topics)
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_missing_items_are_counted_and_left_out() -> None:
    (figure,) = figures(rows({"a": [1.0, None, 2.0], "b": [-1.0, 0.0]}))
    assert (figure["n"], figure["missing"]) == (4, 1)
    assert figure["rate"]["mean"] == 0.625  # two for, one against, one even
    assert figure["margin"]["mean"] == 0.5


def test_a_contrast_is_paired_over_the_items_that_both_have() -> None:
    both = paired(rows({"a": [2.0, None], "b": [3.0, 1.0]}), rows({"a": [1.0, 5.0], "b": [1.0, None]}))
    (found,) = contrast(both)
    assert found["n"] == 2 and found["margin"]["mean"] == 1.5


def model(own: dict[str, list[float]], other: dict[str, list[float]]) -> list[dict[str, object]]:
    return rows(own, "own") + rows(other, "other")


def test_what_both_evaluations_gain_alike_cancels_in_the_difference_of_differences() -> None:
    ours = model({"a": [3.0, 4.0], "b": [5.0, 7.0]}, {"a": [1.0, 1.0], "c": [2.0, 2.5]})
    theirs = model({"a": [0.0, 0.0], "b": [0.0, 0.0]}, {"a": [0.0, 0.0], "c": [0.0, 0.0]})
    found = crossed(paired(ours, theirs), "own", "other")
    assert found["margin"]["mean"] == 4.75 - 1.625 and found["n"] == [4, 4]
    shifted = model({"a": [13.0, 14.0], "b": [15.0, 17.0]}, {"a": [11.0, 11.0], "c": [12.0, 12.5]})
    again = crossed(paired(shifted, theirs), "own", "other")
    assert abs(again["margin"]["mean"] - found["margin"]["mean"]) < 1e-9
    assert crossed(paired(theirs, ours), "other", "own")["margin"]["mean"] == found["margin"]["mean"], (
        "either way round"
    )


def test_the_interval_of_a_difference_of_differences_covers_the_truth() -> None:
    rng, hits, found_it = random.Random(1), 0, 0
    for _ in range(200):
        shift = {t: rng.gauss(0, 0.7) for t in "abcdefghijklmn"}
        own, other = ({t: [shift[t] * k + rng.gauss(0, 1) for _ in range(6)] for t in shift} for k in (1, 0.3))
        zero = {t: [0.0] * 6 for t in shift}
        null = crossed(paired(model(own, other), model(zero, zero)), "own", "other")["margin"]
        hits += null["low"] <= 0 <= null["high"]
        planted = {t: [v + 1.0 for v in values] for t, values in own.items()}
        found_it += crossed(paired(model(planted, other), model(zero, zero)), "own", "other")["margin"]["low"] > 0
    assert 0.90 <= hits / 200 <= 0.99 and found_it / 200 > 0.9


def test_evaluations_of_opposite_arms_are_found_by_what_they_are_about() -> None:
    def block(rung: str, *arms: str, kind: str = "preference") -> dict[str, object]:
        return {"rung": rung, "kind": kind, "arms": list(arms)}

    evals = {
        "recall": block("learned", "x", kind="recall"),
        "trained": block("learned", "x", "y"),
        "x_near": block("near", "x"),
        "y_near": block("near", "y"),
        "x_far": block("far", "x"),
        "conflict_far": block("far", "x"),
        "y_far": block("far", "y"),
    }
    assert opposites(evals, "x", "y", "x_far") == [("x_near", "y_near"), ("x_far", "y_far")]
    assert opposites(evals, "y", "x", "x_far") == [("y_near", "x_near"), ("y_far", "x_far")]
    assert ("conflict_far", "y_far") in opposites(evals, "x", "y", None)
    assert opposites(evals, "x", "neutral", "x_far") == []
