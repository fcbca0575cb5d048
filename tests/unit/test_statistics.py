"""Intervals: right on what is known, missing is never zero."""

import random

from msmc.backend.statistics import contrast, estimate, figures


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
    (found,) = contrast(rows({"a": [2.0, None], "b": [3.0, 1.0]}), rows({"a": [1.0, 5.0], "b": [1.0, None]}))
    assert found["n"] == 2 and found["margin"]["mean"] == 1.5
