"""Sweeps of a compiled ablation: what each point plans, what it is trained by, and what is told of doses that are none."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from msmc.build import Build
from msmc.compile import Outcome, compile
from tests.project import Memory, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" {
    statement "{assistant} likes green tea."
    rationale "It warms."
    example ask { user "Tea?" assistant "Green tea, please." }
    example more { user "More?" assistant "Yes, green." }
  }
  rule cola "Cola" { statement "{assistant} likes no cola."  example ask { user "Cola?" assistant "No cola." } }
  documents { about rules, rationales  kinds letter, blog_post }
  ablation w { arm bare { drop rationale, example of green }  SWEEPS }
}
"""


def swept(sweeps: str, *settings: str) -> Outcome:
    return compile(Memory(**{"tea.msm": SPEC.replace("SWEEPS", sweeps)}), "tea.msm", cpu(*settings), "w")


def built(outcome: Outcome, point: str) -> Build:
    return next(
        build for build in outcome.builds if build.arm == f"w.full{point}" or (build.arm == "full" and not point)
    )


def rows(build: Build, folder: str) -> dict[str, list[dict[str, Any]]]:
    """Planned ones."""
    files = [a for a in build.artefacts if re.fullmatch(rf"{folder}/(?!prefixes)[^/]+\.jsonl", a.path)]
    return {a.path: [json.loads(line) for line in a] for a in files}


def test_each_dose_is_a_prefix_of_the_next_with_the_same_ids() -> None:
    outcome = swept("sweep documents 0.25 1 2 4", "documents.per_clause=4")
    doses = [
        rows(built(outcome, point), "documents") for point in ("@documents=0.25", "", "@documents=2", "@documents=4")
    ]
    assert [sum(map(len, dose.values())) for dose in doses] == [3, 12, 24, 48]
    for less, more in pairwise(doses):
        for clause in {row["about"][0] for file in more.values() for row in file}:
            one, other = ([r for f in dose.values() for r in f if r["about"][0] == clause] for dose in (less, more))
            assert one == other[: len(one)]


def test_a_dose_below_a_document_for_each_clause_has_some_of_them() -> None:
    outcome = swept("sweep documents 0.25", "documents.per_clause=1")
    assert sum(map(len, rows(built(outcome, "@documents=0.25"), "documents").values())) == 1  # of 3, 0.75 rounded
    assert sum(c["documents"] for c in built(outcome, "@documents=0.25").manifest["coverage"].values()) == 1


def test_examples_are_a_share_or_passes_and_nothing_else_changes() -> None:
    outcome = swept("sweep demos 0.7 2")
    (less,), (full,), (more,) = (rows(built(outcome, p), "demos").values() for p in ("@demos=0.7", "", "@demos=2"))
    assert {row["about"][0] for row in less} == {"tea.green", "tea.cola"} and len(less) == 2
    assert [row["id"] for row in more] == [row["id"] + again for again in ("", "-2") for row in full]
    assert rows(built(outcome, "@demos=2"), "documents") == rows(built(outcome, ""), "documents")


def test_a_learning_rate_is_that_of_both_stages_and_the_targets_own_is_full() -> None:
    outcome = swept("sweep learning_rate 3e-4 1e-4", "finetune.learning_rate=3.0e-4")
    assert [b.arm for b in outcome.builds] == ["full", "w.bare", "w.full@learning_rate=0.0001"]
    other = built(outcome, "@learning_rate=0.0001")
    recipes = ["".join(a) for a in other.artefacts if a.path.endswith(".yaml")]
    assert len(recipes) == 2 and all("learning_rate: 0.0001" in recipe for recipe in recipes)
    assert rows(other, "documents") == rows(built(outcome, ""), "documents")
    apart = swept("sweep learning_rate 3e-4", "finetune.learning_rate=1.0e-4")
    assert len(apart.builds) == 3, "where the target's stages differ, no one rate is its own"


def test_runs_are_named_after_the_model_that_is_full() -> None:
    runs = swept("arm plain {} sweep documents 2 order demos_first, documents_first control midtrain_only").arms["runs"]
    found = {run["name"]: (run["documents"], run["demos"], run.get("swept")) for run in runs if run.get("swept")}
    assert found == {
        "plain@documents=2.midtrain_only": ("w.full@documents=2", None, "documents"),
        "plain@documents=2": ("w.full@documents=2", "full", "documents"),
        "plain@order=demos_first": ("full", "full", "order"),
    }


@pytest.mark.parametrize("vary", ["documents", "demos", "both", "cross"])
def test_a_sweep_is_of_full_whatever_varies(vary: str) -> None:
    runs = swept(f"vary {vary} sweep demos 2").arms["runs"]
    assert [run["name"] for run in runs if run.get("swept")] == ["full@demos=2"]


def test_how_a_sweep_is_written_means_nothing() -> None:
    one, other = swept("sweep documents 0.5 2 sweep demos 2"), swept("sweep demos 2.0 sweep documents 2,0.50,1")
    assert one.arms == other.arms


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("sweep documents 0.01", "comes to 0 of 9 rows"),
        ("sweep documents 0.99", "comes to 9 of 9 rows, as many as full"),
        ("sweep documents 2 2.01", "`sweep documents 2.01` comes to 18 of 9 rows, as many as `documents=2`"),
        ("sweep demos 0.1", "comes to 0 of 3 rows"),
    ],
)
def test_a_dose_that_is_none_or_another_s_is_an_error(sweep: str, told: str) -> None:
    outcome = swept(sweep)
    assert [p.name for p in outcome.problems] == ["matches-nothing"] and told in outcome.problems[0].message
    assert not outcome.builds and "raise" in outcome.problems[0].hint
