"""A whole comparison: headlines that say what is known and no more."""

import functools
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from msmc.backend.comparison import compare
from msmc.backend.items import replies
from msmc.cli import main
from msmc.diagnostics import Failed
from tests.studies import Margin, add_items, learned, run_folders, tree

Told = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The comparison of an ablation whose models have these margins."""
    folder = tmp_path_factory.mktemp("study")
    planned = functools.cache(lambda ablation, seeds: tree(folder, ablation, seeds))

    def compared(ablation: str = "crossed", margin: Margin | None = None, seeds: int = 3) -> dict[str, Any]:
        return compare(run_folders(folder, planned(ablation, seeds), margin or learned()))

    return compared


def test_the_headline_of_a_crossed_design_is_pooled_over_seeds(told: Told) -> None:
    found = told(margin=learned(effect=1.0))
    first, second, *rungs = found["headline"]
    assert re.match(r"Headline: warm leans to warm rather than cheap by \+[12]\.\d\d \[", first)
    assert "difference in differences, n 12 and 12, seeds 0, 1, 2, p <0.001, MDE" in first
    assert first.endswith("each leans to its own value.")
    assert second == (
        "Learned: every fine-tuned model holds what it was trained on; least aft_only (seed 0): drinks 1.00 [0.76 1.00], n 12."
    )
    assert rungs == ["Near: not asked.", "Far: asked by the primary alone."]
    (cross,) = found["crossed"]
    assert cross["primary"] and cross["p_holm"] is None and [s["seed"] for s in cross["by_seed"]] == [0, 1, 2]
    assert cross["measures"]["margin"]["seeds"] == 3 and cross["measures"]["margin"]["clusters"] == 12


def test_a_null_says_what_it_would_have_found(told: Told) -> None:
    headline = told()["headline"][0]
    assert "MDE 0." in headline and headline.endswith("null at this resolution.")


def test_one_seed_is_of_two_models(told: Told) -> None:
    found = told(margin=learned(effect=1.0), seeds=1)
    assert found["headline"][0].endswith("with one seed this holds for these two models, not for the recipe.")
    assert found["crossed"][0]["measures"]["margin"]["seeds"] == 1


def test_a_design_that_is_not_crossed_has_a_headline_too(told: Told) -> None:
    found = told("plain")
    assert found["headline"][0].startswith("Headline: on warm, full minus rules is ")
    assert {(c["run"], c["minus"]) for c in found["contrasts"]} == {
        ("full", "rules"),
        ("full", "aft_only"),
        ("rules", "aft_only"),
    }


def test_all_but_the_primary_are_corrected_together(told: Told) -> None:
    found = told("plain", seeds=1)
    entries = [(c["run"], c["minus"], e) for c in found["contrasts"] for e in c["evals"]]
    assert len(entries) == 9
    for run, minus, entry in entries:
        primary = (run, minus, entry["eval"]) == ("full", "rules", "warm")
        assert entry["primary"] == primary and (entry["p_holm"] is None) == primary
        assert primary or entry["p_holm"] >= entry["p"]["margin"]
    smallest = min(e["p"]["margin"] for _, _, e in entries if not e["primary"])
    assert min(e["p_holm"] for _, _, e in entries if not e["primary"]) == pytest.approx(min(1, 8 * smallest), abs=1e-5)


def test_an_arm_that_has_not_learned_has_no_headline_and_is_no_null(told: Told) -> None:
    found = told(margin=learned(fails="cheap"))
    (line,) = found["headline"]
    assert line.startswith(
        "Headline withheld: what is not shown to have learned says nothing about generalisation, not even a null"
    )
    assert "cheap (seed 0): drinks 0.00 [0.00 0.24], n 12" in line and len(found["not_learned"]) == 3


def test_an_arm_without_a_score_of_what_it_was_trained_on_is_no_null(told: Told) -> None:
    found = told(margin=learned(missing="drinks"))
    assert "cheap (seed 0): drinks has no item with a score" in found["not_learned"]
    assert found["headline"][0].startswith("Headline withheld")


def test_figures_of_an_arm_are_over_its_seeds(told: Told) -> None:
    found = told()
    (arm,) = (arm for arm in found["arms"] if arm["name"] == "warm")
    figures = {figure["eval"]: figure for figure in arm["figures"]}
    assert arm["seeds"] == [0, 1, 2] and figures["warm"]["n"] == 12 and figures["warm"]["topics"] == 6
    assert figures["drinks"]["by_value"].keys() == {"tea.warmth"}, "what the rule is there for"
    seeds = [f for run in found["runs"] if run["name"] == "warm" for f in run["figures"] if f["eval"] == "warm"]
    mean = sum(figure["measures"]["margin"]["mean"] for figure in seeds) / 3
    assert figures["warm"]["measures"]["margin"]["mean"] == pytest.approx(mean, abs=1e-5)


# ---- an evaluation that has a stage of its own -----------------------------------------------------------------------


def test_items_of_another_stage_stand_in_the_same_figures(tmp_path: Path) -> None:
    folders = run_folders(tmp_path, tree(tmp_path, "crossed", 1), learned())
    for folder in folders:
        stage = folder / "judged-open"
        stage.mkdir()
        rows = [
            {"id": f"o{n}", "eval": "open", "item": str(n), "topic": f"t{n % 3}", "rung": "far", "about": ["tea.warmth"],
             "measures": {"grade": None if n == 4 else n / 10}, "unscoreable": "cut short" if n == 4 else None,
             "transcript": {"messages": []}}
            for n in range(9)
        ]  # fmt: skip
        (stage / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        run = json.loads((folder / "run.json").read_text("utf-8"))
        run["stages"]["judged-open"] = {"eval": "open", "kind": "judged", "rung": "far", "primary_measure": "grade"}
        (folder / "run.json").write_text(json.dumps(run), "utf-8")
    found = compare(folders)
    assert found["evals"]["open"] == {"kind": "judged", "rung": "far", "arms": [], "measure": "grade"}
    figure = next(f for f in found["runs"][0]["figures"] if f["eval"] == "open")
    assert (figure["n"], figure["missing"], figure["kind"]) == (8, 1, "judged")
    entry = next(e for c in found["contrasts"] for e in c["evals"] if e["eval"] == "open")
    assert entry["measures"]["grade"]["mean"] == 0 and entry["p_holm"] == 1, "it is of the family"


def test_written_answers_are_read_apart_from_the_margins(tmp_path: Path) -> None:
    (folder, *_) = run_folders(tmp_path, tree(tmp_path, "plain", 1), learned())
    scored = [
        {"id": "a", "margin": 2.0, "logprobs": [-1.0, -3.0]},
        {"id": "b", "margin": 2.0, "logprobs": [-3.0, -1.0]},
        {"id": "c", "margin": -2.0, "logprobs": [-1.0, -3.0]},
        {"id": "d", "margin": None, "logprobs": [None, -3.0]},
    ]
    written = [{"id": row["id"], "eval": "warm", "choice": choice} for row, choice in zip(scored, "AAA", strict=False)]
    written += [{"id": "d", "eval": "warm", "choice": None}, {"id": "d", "eval": "cheap", "choice": None}]
    for name, rows in (("scores", scored), ("generated", written)):
        (folder / "scores" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert replies(folder / "scores") == {
        "warm": {"n": 3, "rate": 0.333333, "unparsed": 1},
        "cheap": {"n": 0, "rate": None, "unparsed": 1},
    }


# ---- runs of several states -----------------------------------------------------------------------------------------------


def test_a_report_of_a_folder_is_of_what_was_asked_last_and_names_the_others(tmp_path: Path) -> None:
    before = run_folders(tmp_path, tree(tmp_path, "crossed", 1), learned())
    after = run_folders(tmp_path, tree(tmp_path, "plain", 1), learned())
    for when, folder in enumerate([*after, *before]):
        os.utime(folder / "run.json", ns=(when, when))
    told = CliRunner().invoke(main, ["report", str(tmp_path / "runs"), "--format", "json"])
    assert told.exit_code == 0 and f"note: {len(after)} runs of other ablations" in told.stderr
    found = json.loads(told.stdout)
    assert {run["folder"] for run in found["runs"]} == {f.relative_to(tmp_path / "runs").as_posix() for f in before}
    with pytest.raises(Failed, match="their figures cannot be compared"):
        compare(before + after)


def test_models_of_two_targets_and_two_of_one_seed_are_not_compared(tmp_path: Path) -> None:
    folders = run_folders(tmp_path, tree(tmp_path, "crossed", 1), learned())
    twice = shutil.copytree(folders[0], folders[0].with_name("seed-0-again"), symlinks=True)
    with pytest.raises(Failed, match="of one model and seed"):
        compare([*folders, twice])
    run = json.loads((twice / "run.json").read_text("utf-8"))
    run["target"]["model"]["name"] = "another"
    (twice / "run.json").write_text(json.dumps(run), "utf-8")
    with pytest.raises(Failed, match="different targets"):
        compare([*folders[1:], twice])


@pytest.mark.parametrize("gone", ["scores", "judged-open"])
def test_a_run_whose_rows_are_gone_is_told(tmp_path: Path, gone: str) -> None:
    """Else it would pass for one that was never asked."""
    folders = run_folders(tmp_path, tree(tmp_path, "crossed", 1), learned())
    for folder in folders:
        add_items(folder, "open", "judged", {"grade": [1.0, 0.0, 1.0]})
    compare(folders)
    next((folders[0] / gone).glob("*s.jsonl")).unlink()
    with pytest.raises(Failed, match="cannot be read"):
        compare(folders)
