"""The forecast of what an ablation's primary would find, and from whose rows it is known."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.comparison import compare
from msmc.backend.power import ORIGIN
from msmc.build import RunPlan
from msmc.plan.power import Detectable, detectable
from tests.studies import run_folders, tree


def forecast(folder: Path, ablation: str = "crossed", seeds: int = 3, *settings: str) -> Detectable:
    of = tree(folder, ablation, seeds, *settings)
    found = detectable(of.plan, of.full.target, folder / "runs")
    assert found
    return found


def test_the_line_says_contrast_design_and_effect(tmp_path: Path) -> None:
    told = forecast(tmp_path).told()
    assert told.startswith(
        "detect    warm minus cheap in warm rather than cheap, by margin: 12 + 12 items of 6 + 6 topics, 3 seeds; finds "
    )
    assert told.endswith(
        f"nats at best, {forecast(tmp_path).expected:.2f} expected (80 % power; variances as in {ORIGIN})"
    )


def test_one_seed_is_forecast_for_its_models_alone(tmp_path: Path) -> None:
    assert forecast(tmp_path, "plain", 1).told().endswith("; one seed: of two models, not of the recipe")


def test_a_limit_is_a_smaller_design(tmp_path: Path) -> None:
    small, whole = forecast(tmp_path, "plain", 3, "evaluate.limit=6"), forecast(tmp_path, "plain")
    assert (small.items, small.topics, whole.items) == ([6], [6], [12])
    assert small.low and small.expected and small.low < small.expected and small.expected > whole.expected


def compared(folder: Path, seeds: int, spread: float) -> None:
    """An earlier comparison of the same ablation."""
    rng, of = random.Random(0), tree(folder, "crossed", seeds)

    def margin(run: RunPlan, seed: int, row: dict[str, Any]) -> float:
        return 5.0 if row["metadata"]["eval"] == "drinks" else rng.gauss(0, spread)

    place = folder / "runs/tea/cpu/crossed"
    place.mkdir(parents=True)
    (place / "comparison.json").write_text(json.dumps(compare(run_folders(folder, of, margin))), "utf-8")


@pytest.mark.parametrize(("spread", "times"), [(0.2, 0.5), (5, 2)])
def test_rows_of_an_earlier_run_say_how_much_they_vary(tmp_path: Path, spread: float, times: float) -> None:
    shipped = forecast(tmp_path).expected
    compared(tmp_path, 3, spread)
    found = forecast(tmp_path)
    assert found.origin.endswith("runs/tea/cpu/crossed/comparison.json") and found.expected and shipped
    assert found.expected < times * shipped if times < 1 else found.expected > times * shipped
    assert found.data()["primary"]["own"] == "warm"


def test_one_earlier_seed_does_not_tell_how_seeds_vary(tmp_path: Path) -> None:
    compared(tmp_path, 1, 1.0)
    assert forecast(tmp_path).origin == ORIGIN


def test_what_a_judge_measures_is_not_known_before(tmp_path: Path) -> None:
    of = tree(tmp_path, "plain")
    of.plan["evals"]["warm"]["kind"] = "judged"
    found = detectable(of.plan, of.full.target, tmp_path / "runs")
    assert found and found.expected is None and found.told().endswith("nobody knows yet how `grade` varies")


def test_without_a_primary_there_is_nothing_to_forecast(tmp_path: Path) -> None:
    of = tree(tmp_path, "plain")
    assert detectable(of.plan | {"primary": None}, of.full.target, tmp_path / "runs") is None
