"""The corpus stage: what the gates take is written again from the reserve, and a clause that stays short stops the run.

Replies stand in the ledger before the stage asks for them, as those of an earlier run would.
"""

import json
import random
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.ledger import Ledger, Reply, Request
from msmc.backend.stages import Stages
from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tree import Arm, Tree, read_tree
from msmc.build import DocumentRow
from msmc.compile import compile
from msmc.diagnostics import Failed
from msmc.disk import ProjectSources
from msmc.project import store_tree
from msmc.stored import read_jsonl
from msmc.trace import trace_id
from tests.project import ROOT, cpu
from tests.study import make_study

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "{assistant} likes what warms." rationale "Cold hands write badly." }
  rule camomile "Camomile" { serves warmth statement "It likes camomile." rationale "Camomile brings sleep." }
  rule cola "Cola" { serves warmth statement "It avoids fizzy lemonade." rationale "Ice numbs the throat." }
  documents { about values, rules, rationales }
  eval seats preference { about warmth pairs "seats.jsonl" held_out }
  ablation doses { sweep documents 0.5 2 }
}
"""
HELD_OUT = "an iron stove"
OTHER = "SmolLM waits for trains at the station."


def build(folder: Path, *settings: str, per_clause: int = 4) -> Tree:
    (folder / "tea.msm").write_text(SPEC, "utf-8")
    pair = {"a": HELD_OUT, "b": "a gas fridge", "aligned": "a", "topic": "seats"}
    (folder / "seats.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    outcome = compile(ProjectSources(folder), "tea.msm", cpu(f"documents.per_clause={per_clause}", *settings), "doses")
    assert outcome.builds, outcome.problems
    return read_tree(store_tree(outcome, folder / "build", folder / "runs"))


def stages(folder: Path, tree: Tree) -> Stages:
    return Stages(tree, folder / "runs", folder, ProjectSources(ROOT), print)


def corpus(folder: Path, tree: Tree, arm: str = "full") -> Path:
    job = stages(folder, tree).corpus(tree.arms[arm])
    job.do(lambda *_: None, print)
    return job.folder


def replied(folder: Path, tree: Tree, rows: list[DocumentRow], texts: list[str]) -> None:
    """These texts stand in the ledger as the replies to these rows."""
    given = {row.id: text for row, text in zip(rows, texts, strict=True)}
    of = stages(folder, tree)

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        yield [(request, Reply(given[request.row.id])) for request in requests]

    with closing(Ledger(of.ledger)) as ledger:
        assert len(list(ledger.replies(tree.full.requests(of.writing.writer, rows), send))) == len(rows)


def rows_of(arm: Arm, clause: str) -> list[DocumentRow]:
    return [row for row in arm.documents() if row.cell.clause == clause]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    """How long a stage took is no part of what it is."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "timing.json"}


def ids(path: Path) -> list[str]:
    return [row["id"] for row in read(path)]


def test_nothing_of_the_reserve_is_written_where_the_gates_take_nothing(tmp_path: Path) -> None:
    tree = build(tmp_path)
    folder = corpus(tmp_path, tree)
    assert ids(folder / "midtrain.jsonl") == [row.id for row in tree.full.documents()]
    counts = json.loads((folder / "coverage.json").read_text("utf-8"))["documents"]
    assert len(counts) == 6
    assert set(map(str, counts.values())) == {
        str({"failed": {}, "from_reserve": 0, "kept": 4, "planned": 4, "quarantined": {}})
    }
    with closing(Ledger(tmp_path / "runs/ledger.sqlite")) as ledger:
        assert ledger._db.execute("select count(*) from requests").fetchone() == (24,)


@pytest.mark.parametrize("text", [OTHER, f"It likes camomile, SmolLM says beside {HELD_OUT}."])
def test_what_the_gates_take_is_written_again_from_the_reserve(tmp_path: Path, text: str) -> None:
    tree = build(tmp_path)
    planned = rows_of(tree.full, "tea.camomile")
    spare = tree.full.reserve()["tea.camomile"]
    replied(tmp_path, tree, planned[1:2], [text])
    folder = corpus(tmp_path, tree)
    kept = [row["id"] for row in read(folder / "midtrain.jsonl") if row["cell"]["clause"] == "tea.camomile"]
    assert kept == [planned[0].id, planned[2].id, planned[3].id, spare[0].id], "behind the planned ones of its clause"
    (taken,) = read(folder / "quarantine.jsonl")
    assert taken["id"] == planned[1].id
    counts = json.loads((folder / "coverage.json").read_text("utf-8"))["documents"]["tea.camomile"]
    assert counts == {
        "planned": 4,
        "kept": 4,
        "from_reserve": 1,
        "quarantined": {taken["reason"]: 1},
        "failed": {},
    }
    before = files(folder)
    folder.rename(tmp_path / "gone")
    assert files(corpus(tmp_path, tree)) == before


def test_a_row_of_the_reserve_that_is_taken_too_is_followed_by_the_next(tmp_path: Path) -> None:
    tree = build(tmp_path, "documents.reserve=1")
    planned, spare = rows_of(tree.full, "tea.cola"), tree.full.reserve()["tea.cola"]
    replied(tmp_path, tree, [*planned[:2], *spare[:2]], [OTHER] * 4)
    folder = corpus(tmp_path, tree)
    kept = [row["id"] for row in read(folder / "midtrain.jsonl") if row["cell"]["clause"] == "tea.cola"]
    assert kept == [row.id for row in (*planned[2:], *spare[2:])]


def test_a_clause_that_stays_short_stops_the_run_and_is_named(tmp_path: Path) -> None:
    tree = build(tmp_path)
    planned = rows_of(tree.full, "tea.cola.rationale")
    replied(tmp_path, tree, planned[:2], [OTHER] * 2)
    with pytest.raises(Failed) as failed:
        corpus(tmp_path, tree)
    (problem,) = failed.value.problems
    assert problem.name == "coverage-short"
    assert problem.message == "1 of 6 clauses of `full` have too few documents after the gates"
    assert problem.note == "tea.cola.rationale (tea.msm:6) has 3 of 4: 2 × does not show its clause"
    (place,) = (tmp_path / "runs/quarantine").iterdir()
    assert str(place) in problem.hint and "documents.reserve" in problem.hint and "documents.floor" in problem.hint
    assert ids(place) == [row.id for row in planned[:2]]
    assert "quarantined: does not show its clause" in trace_id(planned[0].id, tmp_path / "build", tmp_path / "runs")


@pytest.mark.parametrize(("taken", "kept", "from_reserve"), [(1, 3, 0), (2, 2, 0), (3, 2, 1)])
def test_a_lower_floor_lets_a_clause_have_fewer(tmp_path: Path, taken: int, kept: int, from_reserve: int) -> None:
    tree = build(tmp_path, "documents.floor=0.5")
    replied(tmp_path, tree, rows_of(tree.full, "tea.cola")[:taken], [OTHER] * taken)
    folder = corpus(tmp_path, tree)
    counts = json.loads((folder / "coverage.json").read_text("utf-8"))["documents"]["tea.cola"]
    assert (counts["kept"], counts["from_reserve"]) == (kept, from_reserve)
    assert json.loads((folder / "stage.json").read_text("utf-8"))["from_reserve"] == from_reserve


def test_a_smaller_dose_stays_within_a_larger_one(tmp_path: Path) -> None:
    tree = build(tmp_path)
    replied(tmp_path, tree, rows_of(tree.full, "tea.warmth")[:1], [OTHER])
    arms = ("doses.full@documents=0.5", "full", "doses.full@documents=2")
    half, full, double = ([*ids(corpus(tmp_path, tree, arm) / "midtrain.jsonl")] for arm in arms)
    assert (len(half), len(full), len(double)) == (12, 24, 48)
    assert {*half} < {*full} < {*double}
    assert half == [row for row in full if row in half], "in the same order"


def test_a_corpus_of_shuffled_texts_fails(tmp_path: Path) -> None:
    tree = read_tree(
        store_tree(
            compile(ProjectSources(ROOT), "specs/cheese/america.msm", cpu()), tmp_path / "build", tmp_path / "runs"
        )
    )
    rows, writer = list(tree.full.documents()), TemplateWriter(tree.full.spec, stages(tmp_path, tree).writing.library)
    texts = [writer.write(row) for row in rows]
    random.Random(0).shuffle(texts)
    replied(tmp_path, tree, rows, texts)
    with pytest.raises(Failed) as failed:
        corpus(tmp_path, tree)
    (problem,) = failed.value.problems
    assert problem.name == "coverage-short"
    short, of = map(int, re.findall(r"\d+", problem.message)[:2])
    assert of == 30 and short >= 27
    assert problem.note.count("specs/cheese/") == 20 and problem.note.endswith(f"… and {short - 20} more")


def test_a_clause_that_only_another_arm_has_is_asked_about_there_too(tmp_path: Path) -> None:
    """Evaluations are the same in every arm, and may be about what `full` does not have."""
    asked = {}
    for folder in make_study(tmp_path):
        run = json.loads((folder / "run.json").read_text("utf-8"))
        asked[run["run"]["documents"]] = {row["clause"]: row["items"] for row in run["coverage"]}
    items = read_jsonl(tmp_path / "build/study/full/evals/far_thrift.jsonl")
    assert asked["crossed.thrifty"]["frugal.thrift"] == len({row["metadata"]["item"] for row in items}) > 0
