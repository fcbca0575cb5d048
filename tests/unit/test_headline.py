"""Headlines of every kind of primary, and of none: the three rungs are always told, and what is corrected says so."""

from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console

from msmc.backend.comparison import compare
from msmc.terminal import show
from tests.studies import SPEC, add_items, learned, pairs, run_folders, tree

GRADE, DECISION = [0.0, 1 / 3, 2 / 3, 1.0], [0.0, 1.0]
BLOCKS = """
  eval knows recall { about values, rules, rationales }
  eval nearby preference { about rules  pairs "nearby.jsonl"  rung near }
  eval open judged { about rules }
  eval safe agentic { scenarios exfiltration }
  eval mine inspect "tasks.py@mine"
  ablation graded { control aft_only  primary open  seeds 3 }
  ablation acted { control aft_only  primary safe  seeds 3 }
  ablation exploring { control aft_only  seeds 1 }
"""
WITH = SPEC[: SPEC.rindex("}")] + BLOCKS + "}\n"


def told(folder: Path, ablation: str, better: float = 0.6) -> dict[str, Any]:
    """`full` has better grades than `aft_only`, and decides as it does."""
    files = {"tasks.py": "def mine():\n    ...\n", "nearby.jsonl": pairs("nearby")}
    of = tree(folder, ablation, spec=WITH, **files)
    folders = run_folders(folder, of, learned())
    for number, place in enumerate(folders):
        name, random = of.runs[number % len(of.runs)].name, Random(number)
        grades = [
            random.choice(GRADE[2:] if name == "full" and random.random() < better else GRADE[:2]) for _ in range(30)
        ]
        add_items(place, "open", "judged", {"grade": grades})
        decisions: list[float | None] = [random.choice(DECISION) for _ in range(30)]
        add_items(place, "safe", "agentic", {"decision": decisions, "action": decisions})
        add_items(place, "mine", "inspect", {"polite": decisions})
    return compare(folders)


def test_a_judged_primary_has_a_headline_and_three_rungs(tmp_path: Path) -> None:
    found = told(tmp_path, "graded", better=1.0)
    first, *rungs = found["headline"]
    assert first.startswith("Headline: on open, full minus aft_only is +0.")
    assert " in grade (paired by item and seed, n 30, seeds 0, 1, 2, p <0.001" in first and first.endswith(": higher.")
    assert [line.partition(":")[0] for line in rungs] == ["Learned", "Near", "Far"]
    near, far = rungs[1:]
    assert near.startswith("Near: full minus aft_only, nearby ") and "after Holm, MDE" in near and "open" not in near
    assert all(f"{name} " in far for name in ("warm", "cheap", "safe")) and "mine" not in far, "it is on no rung"
    (grade,) = (f["measures"]["grade"] for f in found["arms"][0]["figures"] if f["eval"] == "open")
    assert 0 <= grade["low"] < grade["mean"] < grade["high"] <= 1
    assert found["evals"]["mine"]["rung"] is None


def test_all_but_recall_and_the_primary_are_corrected_together(tmp_path: Path) -> None:
    found = told(tmp_path, "acted")
    (contrast,) = found["contrasts"]
    entries = {entry["eval"]: entry for entry in contrast["evals"]}
    assert {name for name, entry in entries.items() if entry["p_holm"] is None} == {"knows", "safe"}
    assert entries.keys() == {"drinks", "warm", "cheap", "nearby", "open", "mine", "knows", "safe"}
    smallest = min((e["p"][found["evals"][n]["measure"]], n) for n, e in entries.items() if n not in ("knows", "safe"))
    assert entries[smallest[1]]["p_holm"] == pytest.approx(min(1, 6 * smallest[0]), abs=1e-5)
    assert found["headline"][0].startswith("Headline: on safe, full minus aft_only is ")
    assert " in decision (" in found["headline"][0]
    console = Console(width=200, file=StringIO())
    show(found, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    differences = text[text.index("paired differences") :]
    assert differences.count(" uncorrected ") == 1 and differences.count(" primary ") >= 1
    assert "other: on no rung" in text


def test_without_a_primary_the_differences_are_counted_by_rung(tmp_path: Path) -> None:
    found = told(tmp_path, "exploring", better=1.0)
    *_, line = found["headline"]
    assert line.startswith("No primary was declared: 1 of 7 differences stand at 5 % after Holm's correction (learned ")
    assert line.endswith(", on no rung 0 of 1).") and "near 1 of 2" in line


def test_a_rung_that_nothing_was_asked_on_is_told(tmp_path: Path) -> None:
    spec = SPEC.replace("primary warm  seeds", "primary drinks  seeds")
    found = compare(run_folders(tmp_path, tree(tmp_path, "plain", 1, spec=spec), learned()))
    assert found["headline"][0].startswith("Headline: on drinks, full minus rules is ")
    assert found["headline"][2] == "Near: not asked."
    assert found["headline"][3].startswith("Far: full minus rules, cheap ") and "; warm " in found["headline"][3]


def test_what_is_not_crossed_is_told_beside_what_is(tmp_path: Path) -> None:
    both = '  eval both preference { about warmth, lib.thrift  pairs "both.jsonl"  held_out }\n  ablation crossed '
    of = tree(tmp_path, "crossed", spec=SPEC.replace("  ablation crossed ", both), **{"both.jsonl": pairs("both")})
    far = compare(run_folders(tmp_path, of, learned()))["headline"][-1]
    assert far.startswith("Far: warm minus cheap, both ") and "after Holm" in far and far.count("MDE") == 1
