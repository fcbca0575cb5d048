"""What was trained is held, or the other rungs say nothing."""

from typing import Any

import pytest

from msmc.backend.learned import learned, least_learned, not_learned

EVALS = {"drinks": {"rung": "learned", "kind": "preference"}, "teas": {"rung": "far", "kind": "preference"}}


def model(name: str, *, demos: str | None = "all", seed: int = 0, **rates: float) -> dict[str, Any]:
    figures = [{"eval": key, "n": 12, "measures": {"rate": {"mean": rate}}} for key, rate in rates.items()]
    return {"name": name, "seed": seed, "demos": demos, "figures": figures}


def test_a_fine_tuned_model_that_misses_trained_items_is_named_with_the_interval_of_the_verdict() -> None:
    models = [
        model("warm", drinks=1.0, teas=0.0),
        model("cheap", seed=1, drinks=0.5),
        model("base", demos=None, drinks=0.0),
    ]
    assert not_learned(models, EVALS) == ["cheap (seed 1): drinks 0.50 [0.25 0.75], n 12"]
    assert least_learned(models, EVALS) == "cheap (seed 1): drinks 0.50 [0.25 0.75], n 12"


def test_where_no_trained_item_was_asked_none_is_the_least() -> None:
    assert least_learned([model("warm", teas=0.0)], EVALS) is None


@pytest.mark.parametrize(("n", "rate", "held"), [(2, 1.0, False), (3, 1.0, False), (4, 1.0, True), (16, 0.9375, True),
                                                 (16, 0.5, False), (36, 0.7, True)])  # fmt: skip
def test_what_was_trained_is_held_where_wilsons_interval_over_items_lies_above_one_half(
    n: int, rate: float, held: bool
) -> None:
    assert learned({"n": n, "measures": {"rate": {"mean": rate}}}) == held
