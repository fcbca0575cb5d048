"""`msmc coverage` of builds and runs, and the report's heat map: sources and what is told of them side by side."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from msmc.backend.heat_map import heat_map
from msmc.build import SCHEMA_VERSION
from msmc.cli import main

TEA = """spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It warms." }
  rule green "Green tea" {
    serves warmth
    statement "{assistant} likes green tea."
    rationale "It warms."
    subrule late "Not at night."
    example ask { user "Tea?" assistant "Green tea." }
  }
  rule cola "Cola" { serves warmth statement "{assistant} likes no cola." rationale "It is cold." }
  documents { about values, rules, green.rationale }
  documents from "own.jsonl"
  demos chats chat { about rules }
  eval knows recall { about rules }
  ablation w { arm bare { drop rationale } }
}
"""
OWN = "Green tea it is, says the note on the kettle, and whoever comes home late reads it there and puts the water on again."
BUILD = """\
full   build/tea/full
  clause               kind       place       documents   demos  asked
  tea.warmth           value      tea.msm:3           2       -      -
  tea.cola             rule       tea.msm:11          2       1      2
  tea.cola.rationale   rationale  tea.msm:11          -       -      -   nothing is made of it
  tea.green            rule       tea.msm:6           3       2      2
  tea.green.rationale  rationale  tea.msm:7           2       -      -
  tea.green.late       subrule    tea.msm:8           -       -      -   nothing is made of it

  values         1: documents 2, demos -, asked -
  rules          2: documents 5, demos 3, asked 4
  rationales     2: documents 2, demos -, asked -; 1 with nothing
  subrules       1: documents -, demos -, asked -; 1 with nothing
  asked: by so many items of the build's evaluations, of which evaluate.limit may leave some out; what is about two clauses
  counts for both

others:
  build/tea/w.bare: documents 7, demos 3, asked 4; 1 with nothing
"""
COVERED: list[dict[str, Any]] = [
    {
        "clause": "tea.green", "kind": "rule", "place": "tea.msm:6", "documents": 1200, "written": 1200, "demos": 2, "chats": 1,
        "items": 4, "reserve": 1, "quarantined": {"does not show its clause": 1},
    },
    {
        "clause": "tea.green.rationale", "kind": "rationale", "place": "tea.msm:7", "documents": 4, "written": 3, "demos": 0,
        "chats": 0, "items": 0, "reserve": 0, "quarantined": {},
    },
    {
        "clause": "tea.old", "kind": "value", "place": "tea.msm:9", "documents": 0, "written": 0, "demos": 0, "chats": 0,
        "items": 1, "reserve": 0, "quarantined": {},
    },
]  # fmt: skip
RUN = """\
full, seed 0   runs/tea/tiny/w.full/seed-0-abc
  clause               kind       place      documents   demos  asked
  tea.green            rule       tea.msm:6 1,200/1,200     1/2      4   1 of the reserve; 1 quarantined: does not show its clause
  tea.green.rationale  rationale  tea.msm:7        3/4       -      -
  tea.old              value      tea.msm:9          -       -      1

  values         1: documents -, demos -, asked 1
  rules          1: documents 1,200/1,200, demos 1/2, asked 4
  rationales     1: documents 3/4, demos -, asked -
  asked: by so many items of the build's evaluations, of which evaluate.limit may leave some out; what is about two clauses
  counts for both
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tea.msm").write_text(TEA, "utf-8")
    (tmp_path / "own.jsonl").write_text(json.dumps({"text": OWN, "about": ["green"]}) + "\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    settings = "--set documents.per_clause=2 --set demos.per_clause=1"
    assert msmc(f"compile tea.msm -a w -q {settings}").exit_code == 0
    return tmp_path


def msmc(arguments: str) -> Result:
    return CliRunner().invoke(main, arguments.split(" "))


def run(folder: Path, **data: Any) -> Path:
    folder.mkdir(parents=True)
    whole = {"schema_version": SCHEMA_VERSION, "run": {"name": "full"}, "seed": 0, "coverage": COVERED, **data}
    (folder / "run.json").write_text(json.dumps(whole), "utf-8")
    return folder


def test_a_build_clause_by_clause_and_its_other_arms_in_a_line(project: Path) -> None:
    done = msmc("coverage build/tea")
    assert (done.exit_code, done.stdout) == (0, BUILD)
    assert msmc("coverage build/tea/full").stdout == BUILD.split("\nothers:")[0]
    assert "tea.green.rationale" not in msmc("coverage build/tea/w.bare").stdout


def test_a_run_has_what_is_there_of_what_was_planned(project: Path) -> None:
    folder = run(project / "runs/tea/tiny/w.full/seed-0-abc").relative_to(project)
    assert msmc(f"coverage {folder}").stdout == RUN == msmc("coverage runs").stdout
    run(project / "runs/tea/tiny/w.full/seed-1-abc", seed=1)
    others = "others:\n  runs/tea/tiny/w.full/seed-1-abc: documents 1,203/1,204, demos 1/2, asked 5\n"
    assert msmc("coverage runs").stdout == f"{RUN}\n{others}"


def test_a_folder_of_runs_details_one_that_was_trained_on_documents(project: Path) -> None:
    untrained = [{**row, "documents": None, "written": None, "demos": None, "chats": None} for row in COVERED]
    for arm, coverage in (("base", untrained), ("w.bare", COVERED[:1]), ("w.full", COVERED)):
        name = arm.removeprefix("w.")
        run(project / f"runs/tea/tiny/{arm}/seed-0-abc", run={"name": name}, coverage=coverage)
    assert [table["name"] for table in json.loads(msmc("coverage runs --format json").stdout)] == [
        "full, seed 0", "bare, seed 0", "base, seed 0",
    ]  # fmt: skip
    assert msmc("coverage runs").stdout.startswith(RUN)


def test_before_a_model_is_measured_the_corpora_are_told(project: Path) -> None:
    assert msmc("ablate tea.msm w --stages generate -q --set documents.per_clause=2").exit_code == 0
    told = msmc("coverage runs").stdout
    full, others = told.split("others:\n")
    folder = next(
        path.parent for path in project.glob("runs/stages/corpus-*/stage.json") if '"full"' in path.read_text()
    )
    assert full.startswith(f"full, its corpus   {folder.relative_to(project)}\n")
    assert "  tea.green            rule       tea.msm:6         3/3       1      2\n" in full
    assert others.count("documents 7/7") == 1 and "(w.bare, its corpus): documents" in others
    assert msmc(f"coverage {folder.relative_to(project)}").stdout == full.removesuffix("\n")
    shutil.copytree(project / "runs/builds", project / "unwritten/builds")
    assert "such as unwritten/builds/tea-" in msmc("coverage unwritten").stderr
    shutil.rmtree(project / "runs/builds")
    done = msmc("coverage runs")
    assert done.exit_code == 1 and "is gone" in done.stderr and "the same `msmc run`" in done.stderr


def test_the_same_as_data(project: Path) -> None:
    full, bare = json.loads(msmc("coverage build/tea --format json").stdout)
    assert (full["name"], full["folder"], full["run"]) == ("full", "build/tea/full", False)
    assert [len(arm["clauses"]) for arm in (full, bare)] == [6, 4]
    assert full["clauses"][3] == {
        "clause": "tea.green", "kind": "rule", "place": "tea.msm:6", "documents": 3, "written": None, "demos": 2,
        "chats": None, "items": 2, "reserve": 1, "quarantined": {},
    }  # fmt: skip
    folder = run(project / "runs/tea/tiny/w.full/seed-0-abc")
    assert json.loads(msmc(f"coverage {folder} --format json").stdout)[0]["clauses"] == COVERED


COUNTS = {"documents": 1, "demos": 1, "evals": 2}
HARMS: list[tuple[str, dict[str, Any]]] = [
    ("build/tea/full/manifest.json", {"coverage": 5}),
    ("build/tea/full/manifest.json", {"coverage": {"tea.green": 5}}),
    *(("build/tea/full/manifest.json", {"coverage": {"tea.warmth": {**COUNTS, key: "x"}}}) for key in COUNTS),
    ("build/tea/full/manifest.json", {"reserve": [1]}),
    ("build/tea/full/manifest.json", {"reserve": {"tea.green": "x"}}),
    ("build/tea/full/manifest.json", {"arm": 5}),
    ("build/tea/full/sourcemap.json", {"tea.green": "x"}),
    ("seed-0/run.json", {"coverage": 5}),
    ("seed-0/run.json", {"coverage": [5]}),
    ("seed-0/run.json", {"coverage": [{**COVERED[0], "written": "x"}]}),
    ("seed-0/run.json", {"coverage": [{**COVERED[0], "kind": "x"}]}),
    ("seed-0/run.json", {"coverage": [{**COVERED[0], "quarantined": [1]}]}),
    ("seed-0/run.json", {"run": "x"}),
]


@pytest.mark.parametrize(("file", "harm"), HARMS, ids=str)
def test_what_was_changed_is_told_as_such(project: Path, file: str, harm: dict[str, Any]) -> None:
    path = project / file
    run(project / "seed-0")
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | harm), "utf-8")
    done = msmc(f"coverage {path.relative_to(project).parent}")
    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "error[broken-file]"), done.stderr
    assert "is not what was written" in done.stderr


def test_the_heat_map_has_a_column_for_each_corpus_and_each_set_of_demos() -> None:
    def made(arm: str, corpus: str, coverage: list[dict[str, Any]]) -> dict[str, Any]:
        stages = {"corpus": {"folder": corpus}, "demos": {"folder": "demos-1"}}
        run, builds = {"documents": arm, "demos": "full"}, {arm: {"neutral": arm.endswith("neutral_documents")}}
        return {"run": run, "stages": stages, "coverage": coverage, "builds": builds}

    base = {"run": {"documents": None, "demos": None}, "stages": {}, "coverage": COVERED, "builds": {}}
    neutral = made("w.neutral_documents", "corpus-3", [{**COVERED[0], "clause": "neutral.dates"}])
    seeds = [made("full", "corpus-1", COVERED)] * 2
    found = heat_map([base, neutral, *seeds, made("w.bare", "corpus-2", COVERED[:1])])
    assert found["columns"] == [
        {"what": "documents", "arm": "full"}, {"what": "documents", "arm": "w.bare"}, {"what": "demos", "arm": "full"},
    ]  # fmt: skip
    told = {row["clause"].clause: [(cell["text"], cell["shade"]) for cell in row["cells"]] for row in found["rows"]}
    assert told == {
        "tea.green": [("1200/1200", 4), ("1200/1200", 4), ("1/2", 2), ("4", 4)],
        "tea.green.rationale": [("3/4", 3), ("–", 0), ("–", 0), ("–", 0)],
        "tea.old": [("–", 0), ("–", 0), ("–", 0), ("1", 1)],
    }
