"""The seams, on files alone: one rationale is edited, one arm dropped, the run killed; what follows is counted row by row."""

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from msmc.backend import ledger, template_writer
from msmc.backend.stages import Stages
from msmc.backend.tree import Arm, Tree, read_tree
from msmc.build import DocumentRow
from msmc.compile import compile
from msmc.diagnostics import Failed
from msmc.disk import ProjectSources
from msmc.project import store_tree
from tests.project import ROOT, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "{assistant} likes what warms." rationale "Cold hands write badly." }
  value calm "Calm" { statement "{assistant} likes what calms." }
  rule green "Green tea" { serves warmth statement "It likes green tea." rationale "Green tea warms the hands." }
  rule camomile "Camomile" { serves calm statement "It likes camomile." rationale "Camomile brings sleep." }
  rule cola "Cola" {
    serves warmth, calm
    statement "It does not like cola."
    rationale "Cola is drunk cold."
    subrule at_night "At night it warns of cola."
  }
  documents { about values, rules, rationales, subrules }
  ablation reasons "Do reasons matter?" {
    arm rules { drop value, rationale }
    arm broad { drop subrule }
  }
}
"""
PER_CLAUSE = 3


def build(folder: Path, source: str = SPEC) -> Tree:
    """The tree as a run would read it."""
    (folder / "tea.msm").write_text(source, "utf-8")
    outcome = compile(ProjectSources(folder), "tea.msm", cpu(f"documents.per_clause={PER_CLAUSE}"), "reasons")
    assert outcome.problems == ()
    return read_tree(store_tree(outcome, folder / "build", folder / "runs"))


def write(folder: Path, tree: Tree) -> dict[str, Path]:
    """Every arm's corpus; no model is needed for it."""
    stages = Stages(tree, folder / "runs", folder, ProjectSources(ROOT), print)
    for arm in tree.arms.values():
        stages.corpus(arm).do(lambda *_: None, print)
    return {name: stages.corpus(arm).folder for name, arm in tree.arms.items()}


def planned(arm: Arm) -> dict[str, DocumentRow]:
    return {row.id: row for row in arm.documents()}


def stale(old: Tree, new: Tree) -> dict[str, set[str]]:
    """By arm the rows of both whose input differs."""

    def inputs(arm: Arm) -> dict[str, str]:
        return {request.row.id: request.input for request in arm.requests("")}

    found = {}
    for name in old.arms.keys() & new.arms.keys():
        before, after = inputs(old.arms[name]), inputs(new.arms[name])
        assert before.keys() == after.keys(), "no wording changes which rows exist"
        found[name] = {row for row in before if before[row] != after[row]}
    return found


def requested(folder: Path) -> dict[str, str]:
    """Key to row of every request in the ledger."""
    with sqlite3.connect(folder / "runs/ledger.sqlite") as db:
        return dict(db.execute("select key, row from requests").fetchall())


def rows_of(arm: Arm, *nodes: str) -> set[str]:
    return {row_id for row_id, row in planned(arm).items() if row.about[-1] in nodes}


def test_an_edited_rationale_makes_its_own_rows_stale_and_asks_for_those_alone(tmp_path: Path) -> None:
    old = build(tmp_path)
    write(tmp_path, old)
    before = requested(tmp_path)
    new = build(tmp_path, SPEC.replace("Green tea warms the hands.", "Green tea keeps the hands warm."))
    full = rows_of(new.arms["full"], "tea.green")
    assert len(full) == 2 * PER_CLAUSE, "the rule and its rationale"
    # `rules` has no rationales; in the others the rule's closure shows the rationale in each of its documents
    assert stale(old, new) == {"full": full, "reasons.rules": set(), "reasons.broad": full}
    write(tmp_path, new)
    after = requested(tmp_path)
    # in `full` and `broad` the rule says the same, so their cells share one reply
    assert sorted(after[key] for key in after.keys() - before.keys()) == sorted(full)


def test_an_edited_value_reaches_the_rules_that_serve_it(tmp_path: Path) -> None:
    old = build(tmp_path)
    new = build(tmp_path, SPEC.replace("likes what calms", "likes whatever calms"))
    expected = rows_of(new.arms["full"], "tea.calm", "tea.camomile", "tea.cola")
    assert stale(old, new) == {
        "full": expected,
        "reasons.rules": set(),
        "reasons.broad": rows_of(new.arms["reasons.broad"], "tea.calm", "tea.camomile", "tea.cola"),
    }


def test_layout_comments_order_and_version_change_nothing(tmp_path: Path) -> None:
    old = build(tmp_path)
    write(tmp_path, old)
    before = requested(tmp_path)
    rules = SPEC.index("  rule green"), SPEC.index("  rule camomile"), SPEC.index("  rule cola")
    swapped = SPEC[: rules[0]] + SPEC[rules[1] : rules[2]] + "# moved\n" + SPEC[rules[0] : rules[1]] + SPEC[rules[2] :]
    new = build(tmp_path, swapped.replace("  assistant", '  version "2.0.0"\n\n  assistant'))
    assert not any(stale(old, new).values())
    assert write(tmp_path, new) == write(tmp_path, old) and requested(tmp_path) == before


def test_a_dropped_arm_changes_no_other_and_asks_for_nothing(tmp_path: Path) -> None:
    old = build(tmp_path)
    corpora = write(tmp_path, old)
    before = requested(tmp_path)
    new = build(tmp_path, SPEC.replace("    arm broad { drop subrule }\n", ""))
    assert new.arms.keys() == {"full", "reasons.rules"}
    assert stale(old, new) == {"full": set(), "reasons.rules": set()}
    assert write(tmp_path, new) == {name: corpora[name] for name in new.arms}
    assert requested(tmp_path) == before


def test_paired_cells_are_those_of_the_clauses_that_both_arms_have(tmp_path: Path) -> None:
    arms = build(tmp_path).arms
    full, rules, broad = (planned(arms[name]) for name in ("full", "reasons.rules", "reasons.broad"))
    assert (len(full), len(rules), len(broad)) == (10 * PER_CLAUSE, 4 * PER_CLAUSE, 9 * PER_CLAUSE)

    def cells(*clauses: str) -> set[str]:
        return {row_id for row_id, row in full.items() if row.cell.clause in clauses}

    shared = ("tea.green", "tea.camomile", "tea.cola")
    assert full.keys() & rules.keys() == cells(*shared, "tea.cola.at_night")
    assert full.keys() - broad.keys() == cells("tea.cola.at_night")
    assert broad.keys() & rules.keys() == cells(*shared)
    for row_id in rules.keys() & full.keys():
        assert rules[row_id].seed == full[row_id].seed and rules[row_id].cell == full[row_id].cell


KILL = """
import os, signal, sys
from pathlib import Path
from msmc.backend import template_writer, writing
from tests.test_seams import SPEC, build, write
writing.TOGETHER, left, plain = 4, int(sys.argv[2]), template_writer.TemplateWriter.write

def write_or_die(self, row):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, row)

template_writer.TemplateWriter.write = write_or_die
write(Path(sys.argv[1]), build(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("after", [0, 5, 30])
def test_a_killed_run_asks_again_for_what_it_had_no_reply_to(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {name: (f / "midtrain.jsonl").read_bytes() for name, f in write(tmp_path, build(tmp_path)).items()}
    total = requested(tmp_path)

    place = tmp_path / "killed"
    place.mkdir()
    done = subprocess.run([sys.executable, "-c", KILL, str(place), str(after)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    with sqlite3.connect(place / "runs/ledger.sqlite") as db:
        replied = {key for (key,) in db.execute("select key from replies")}
    assert requested(place).keys() >= replied, "a request is recorded before it is sent"
    assert after - 4 < len(replied) <= after, "what was received is kept, batch by batch"

    sent = []
    plain = template_writer.TemplateWriter.write
    monkeypatch.setattr(ledger, "BATCH", 4)
    monkeypatch.setattr(
        template_writer.TemplateWriter, "write", lambda self, row: sent.append(row.id) or plain(self, row)
    )
    again = write(place, build(place))
    assert {name: (f / "midtrain.jsonl").read_bytes() for name, f in again.items()} == whole
    assert sorted(sent) == sorted(total[key] for key in total.keys() - replied), "no reply is asked for twice"
    assert requested(place) == total
    assert json.loads((again["full"] / "stage.json").read_text("utf-8"))["documents"] == 10 * PER_CLAUSE


@pytest.mark.parametrize("name", ["midtrain.jsonl", "quarantine.jsonl", "stage.json", "files.json"])
def test_a_stage_that_was_cut_or_lost_a_file_is_never_read_as_whole(name: str, tmp_path: Path) -> None:
    tree = build(tmp_path)
    folder = write(tmp_path, tree)["full"]
    job = Stages(tree, tmp_path / "runs", tmp_path, ProjectSources(ROOT), print).corpus(tree.full)
    job.require_whole()
    content = (folder / name).read_bytes()
    if content:
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(Failed, check=lambda failure: failure.name == "broken-file" and str(folder) in failure.hint):
            job.require_whole()
    (folder / name).unlink()
    with pytest.raises(Failed, check=lambda failure: failure.name == "broken-file" and str(folder) in failure.hint):
        job.require_whole()


def test_another_file_s_spec_of_the_same_name_does_not_take_its_place(tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "other.msm").write_text(SPEC, "utf-8")
    outcome = compile(ProjectSources(tmp_path), "other.msm", cpu(), None)
    with pytest.raises(Failed, check=lambda failure: "is the build of `tea.msm`" in failure.message):
        store_tree(outcome, tmp_path / "build", tmp_path / "runs")


def test_an_author_s_braces_in_a_title_are_no_leftover_of_the_writer(tmp_path: Path) -> None:
    tree = build(tmp_path, SPEC.replace('"Green tea" { serves', '"The \\{name} field" { serves'))
    assert "{name}" in tree.full.spec.rules[2].title
    write(tmp_path, tree)
