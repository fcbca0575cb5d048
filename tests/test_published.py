"""A comparison for other programs: JSON, CSV and LaTeX of `msmc report --format`."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from msmc.backend.published import as_csv, as_latex
from msmc.cli import main

pytest_plugins = ("tests.drawn_page",)


SPECIAL = "a&b%c_d#e$f{g}h~i^j\\k"
"""Everything that LaTeX takes for more than a letter."""


# ---- formats ----------------------------------------------------------------------------------------------------------------


def printed(folders: list[Path], form: str, *arguments: str) -> str:
    done = CliRunner().invoke(main, ["report", str(folders[0].parents[2]), "--format", form, *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_json_is_the_comparison_and_nothing_else(folders: list[Path], tmp_path: Path) -> None:
    told = json.loads(printed(folders, "json"))
    assert {"runs", "arms", "contrasts", "crossed", "headline"} <= told.keys()
    assert not list(tmp_path.iterdir()), "a page is written where it is asked for"
    printed(folders, "json", "-o", "page.html")
    assert (tmp_path / "page.html").stat().st_size > 100_000


def test_csv_has_a_row_for_every_figure_and_measure(folders: list[Path]) -> None:
    told, found = list(csv.DictReader(io.StringIO(printed(folders, "csv")))), json.loads(printed(folders, "json"))
    models = [figure for model in (*found["runs"], *found["arms"]) for figure in model["figures"]]
    differences = [entry for pair in found["contrasts"] for entry in pair["evals"]] + found["crossed"]
    groups = [entry for f in models for by in ("topic", "value", "clause", "form") for entry in f[f"by_{by}"].values()]
    of_judges = sum(row["of"] == "judge" for row in told)
    assert len(told) - of_judges == sum(len(figure["measures"]) for figure in models + differences + groups)
    near = [r for r in told if (r["of"], r["model"], r["eval"], r["measure"]) == ("arm", "near", "far_home", "margin")]
    (row,) = [r for r in near if not r["by"]]
    (arm,) = [arm for arm in found["arms"] if arm["name"] == "near"]
    (figure,) = [figure for figure in arm["figures"] if figure["eval"] == "far_home"]
    assert {key: float(row[key]) for key in ("mean", "low", "high")} == {
        key: figure["measures"]["margin"][key] for key in ("mean", "low", "high")
    }


def test_csv_corrects_and_declares_an_evaluations_own_measure_alone(folders: list[Path]) -> None:
    told = list(csv.DictReader(io.StringIO(printed(folders, "csv"))))
    assert [row["measure"] for row in told if row["primary"] == "True"] == ["margin"]
    corrected = [row for row in told if row["p_holm"]]
    assert corrected and all(float(row["p_holm"]) >= float(row["p"]) for row in corrected)
    assert {row["measure"] for row in corrected} == {"margin", "violation", "exact_match"} & {
        r["measure"] for r in told
    }


def test_csv_says_the_group_of_a_mean(folders: list[Path]) -> None:
    told, found = list(csv.DictReader(io.StringIO(printed(folders, "csv")))), json.loads(printed(folders, "json"))
    (arm,) = [arm for arm in found["arms"] if arm["name"] == "near"]
    (figure,) = [figure for figure in arm["figures"] if figure["eval"] == "knows"]
    for by in ("topic", "value", "clause", "form"):
        shown = {
            row["group"]: (int(row["n"]), float(row["mean"]))
            for row in told
            if (row["of"], row["model"], row["eval"], row["by"], row["measure"]) == ("arm", "near", "knows", by, "rate")
        }
        groups = {name: (e["n"], e["measures"]["rate"]) for name, e in figure[f"by_{by}"].items()}
        assert groups and shown == groups


def test_what_is_known_of_the_judge_stands_in_csv_and_json(folders: list[Path]) -> None:
    found = json.loads(printed(folders, "json"))
    assert [(told["run"], told["seed"]) for told in found["judges"]] == [(r["name"], r["seed"]) for r in found["runs"]]
    for told in found["judges"]:
        assert (told["judge"], told["eval"], told["missing"], told["unparsed"]) == ("scripted", "advice", 1, 3)
        assert told["gradings"] == 3 * (12 + 10) and told["agreement"]["alpha"] == 1
        wrong = {"right": 4, "wrong": 1, "unread": 0}
        assert told["planted"] == {"perfect": wrong, "violating": wrong}
        assert told["calibration"]["sensitivity"]["mean"] == told["calibration"]["specificity"]["mean"] == 0.8
    told_csv = [row for row in csv.DictReader(io.StringIO(printed(folders, "csv"))) if row["of"] == "judge"]
    assert len(told_csv) == 5 * len(folders) and {row["measure"] for row in told_csv} == {
        *("alpha", "rate", "calibrated_rate", "sensitivity", "specificity")
    }
    first = found["judges"][0]
    named = {"model": first["run"], "seed": str(first["seed"]), "measure": "calibrated_rate"}
    (row,) = [row for row in told_csv if named.items() <= row.items()]
    assert float(row["mean"]) == first["calibration"]["calibrated_rate"]["mean"] and row["missing"] == "1"


def named(comparison: dict[str, Any], name: str) -> dict[str, Any]:
    """The same comparison where a title, a model and an evaluation are called so."""
    arms = [arm | {"name": name} if arm["name"] == "near" else arm for arm in comparison["arms"]]
    for arm in arms:
        arm["figures"] = [f | {"eval": name} if f["eval"] == "far_home" else f for f in arm["figures"]]
    evals = {name if e == "far_home" else e: block for e, block in comparison["evals"].items()}
    nothing = {"contrasts": [], "crossed": [], "runs": []}
    return comparison | {"title": f"{name}\n\n{name}", "evals": evals, "arms": arms, "primary": name} | nothing


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r\n@"])
def test_a_spreadsheet_takes_no_name_for_a_formula(comparison: dict[str, Any], start: str) -> None:
    told = list(csv.DictReader(io.StringIO(as_csv(named(json.loads(json.dumps(comparison)), f"{start}HYPERLINK(1)")))))
    for column in ("model", "eval"):
        assert f"'{start.strip()}HYPERLINK(1)" in {row[column] for row in told}
    assert any(row["mean"].startswith("-") for row in told), "a number is a number"


def test_latex_escapes_every_name_and_title(comparison: dict[str, Any]) -> None:
    told = as_latex(named(json.loads(json.dumps(comparison)), SPECIAL))
    slack = re.sub(r"\\[&%_#$]", "", told)  # what is escaped by a backslash alone
    for command, character in (("textbackslash", "\\"), ("textasciitilde", "~"), ("textasciicircum", "^")):
        assert f"\\{command}" in told and character not in re.sub(r"\\[A-Za-z]+|\\[\\{}]", "", slack)
    assert not re.search(r"[%_#$]", re.sub(r"^%.*$|\\label\{.*\}", "", slack, flags=re.MULTILINE))
    (caption,) = [line for line in told.splitlines() if line.startswith(r"\caption") and "Far" in line]
    assert caption.count(r"a\&b\%c\_d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k") == 2
    for table in re.findall(r"\\midrule\n(.*?)\\bottomrule", told, re.DOTALL):
        assert len({line.count(" & ") for line in table.strip().splitlines()}) == 1
        assert r"a\&b\%c\_d\#e\$f\{g\}h" in table


def test_latex_has_the_three_rungs_escaped(folders: list[Path]) -> None:
    told = printed(folders, "latex")
    assert re.findall(r"\\label\{tab:study-(\w+)\}", told) == ["learned", "near", "far", "own"]
    assert told.count(r"\toprule") == told.count(r"\bottomrule") == 4
    body = re.sub(r"^%.*$|\\label\{.*\}", "", told, flags=re.MULTILINE)
    assert not re.search(r"(?<!\\)[_%$#]", body), "a bare one would break the table"
    assert r"aft\_only" in told and r"far\_home (primary)" in told
    for table in re.findall(r"\\midrule\n(.*?)\\bottomrule", told, re.DOTALL):
        assert len({line.count(" & ") for line in table.strip().splitlines()}) == 1
