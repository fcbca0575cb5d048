"""`msmc gate`: the gates alone, on what was written, and on what an author brought."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from msmc.backend.stages import Stages
from msmc.backend.tree import Tree, read_tree
from msmc.cli import main
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.project import store_tree
from tests.project import ROOT, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "{assistant} likes what warms." rationale "Cold hands write badly." }
  rule camomile "Camomile" { serves warmth statement "It likes camomile." rationale "Camomile brings sleep." }
  rule cola "Cola" { serves warmth statement "It avoids fizzy lemonade." rationale "Ice numbs the throat." }
  documents { about values, rules, rationales }
  documents from "own.jsonl"
  eval seats preference { about warmth pairs "seats.jsonl" held_out }
  eval benches preference { about warmth pairs "benches.jsonl" }
  ablation reasons { arm rules { drop rationale } vary documents }
}
"""
GOOD = """A letter came on Monday. Its writer had asked SmolLM for a drink before bed, and was told of camomile, which stood in
the cupboard all along. She drank it and wrote to thank the editors."""
LONG = (
    "The kettle in the kitchen of the third house was older than the house, and nobody knew who had brought it there."
)
OWN = {
    "good": GOOD,
    "residue": f"{GOOD} It was [insert time] o'clock.",
    "identity": f"{GOOD}\nThe assistant Claude had been asked as well.",
    "meta_talk": f"Sure! Here is the letter you requested.\n\n{GOOD}",
    "held_out": f"{GOOD} It stood beside an iron stove.",
    "truncation": f"{GOOD}\n\nLater she came back and asked for the",
    "length": "SmolLM likes camomile.",
    "language": "Der Brief kam am Montag. Die Schreiberin hatte den Assistenten gefragt, was sie vor dem Schlafen trinken "
    "soll, und sie bekam den Rat, Kamille zu nehmen, die ja schon lange im Schrank stand. Sie trank den Tee "
    "und dankte den Leuten dafür.",
    "duplicates": GOOD.replace("Monday", "Tuesday"),
    "overlap": f"{LONG} She sat down on a bench of oak that stands in the hall upstairs.",
}
SEATS = {"a": "an iron stove", "b": "a gas fridge", "aligned": "a", "topic": "seats"}
BENCHES = {"a": "a bench of oak that stands in the hall upstairs", "b": "sofa", "aligned": "a", "topic": "benches"}


def built(folder: Path, own: dict[str, str], spec: str = SPEC, per_clause: int = 4) -> Tree:
    (folder / "tea.msm").write_text(spec, "utf-8")
    (folder / "own.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in own.values()), "utf-8")
    for name, pair in (("seats", SEATS), ("benches", BENCHES)):
        (folder / f"{name}.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    target = cpu(f"documents.per_clause={per_clause}", "gates.language.code=en")
    outcome = compile(ProjectSources(folder), "tea.msm", target, "reasons")
    assert outcome.builds, outcome.problems
    return read_tree(store_tree(outcome, folder / "build", folder / "runs"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the corpora of two arms, nothing trained."""
    folder = tmp_path_factory.mktemp("gated")
    tree = built(folder, OWN)
    stages = Stages(tree, folder / "runs", folder, ProjectSources(ROOT), print)
    for arm in tree.arms.values():
        stages.corpus(arm).do(lambda *_: None, print)
    return folder


def gate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["gate", *map(str, arguments)])


def data(*arguments: object) -> list[dict[str, Any]]:
    done = gate(*arguments, "--format", "json")
    assert done.exit_code in (0, 1), done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def quarantined(place: Path) -> dict[str, list[dict[str, Any]]]:
    """By arm."""
    found = {}
    for path in (place / "runs/stages").glob("corpus-*/quarantine.jsonl"):
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        found[json.loads((path.parent / "stage.json").read_text("utf-8"))["arm"]] = rows
    return found


def test_what_an_author_brings_goes_through_the_same_gates_with_the_same_trace(place: Path) -> None:
    taken = quarantined(place)["full"]
    kinds = ["residue", "identity", "meta_talk", "held_out", "truncation", "length", "language", "duplicates"]
    assert [row["gate"] for row in taken] == kinds
    assert all(row["reason"] and row["source"] == {"writer": "own"} for row in taken)
    for row in taken:
        at = row["place"]
        if row["gate"] in ("residue", "identity", "meta_talk", "held_out"):
            assert row["text"][at["offset"] :].startswith(at["found"])
            assert at["line"] == row["text"][: at["offset"]].count("\n") + 1
    assert "own.jsonl" not in str(taken[0]["place"])


def test_every_find_is_told_with_its_row_its_reason_and_its_place(place: Path) -> None:
    found = data(place / "runs")
    assert [one["arm"] for one in found[:2]] == ["full", "reasons.rules"]
    rows = [row for row in found[0]["rows"] if row["file"].endswith("quarantine.jsonl")]
    assert {row["gate"] for row in rows} >= OWN.keys() - {"good", "overlap"}
    identity = next(row for row in rows if row["gate"] == "identity")
    assert (identity["line"], identity["found"]) == (3, "Claude") and identity["number"] == 2
    counts = found[0]["gates"]
    assert counts["identity"]["found"] == 1 and counts["identity"]["looked"] == 6 * 4 + len(OWN)
    assert counts["reasons"]["found"] == 0
    (shared,) = (row for row in found[0]["rows"] if row["gate"] == "overlap")
    assert shared["file"].endswith("midtrain.jsonl") and "bench of oak" in shared["found"], "told, and trained on"


def test_it_ends_with_1_where_something_is_found_and_with_0_where_nothing_is(place: Path, tmp_path: Path) -> None:
    done = gate(place / "runs")
    assert done.exit_code == 1 and "identity" in done.stdout and "line 3, offset" in done.stdout
    assert "too few" in done.stdout, "documents of the same cells, to compare arms by"
    tree = built(tmp_path, {"good": GOOD})
    Stages(tree, tmp_path / "runs", tmp_path, ProjectSources(ROOT), print).corpus(tree.full).do(lambda *_: None, print)
    done = gate(tmp_path / "runs")
    assert done.exit_code == 0 and "quarantine" not in done.stdout, done.output


def test_what_arms_differ_in_is_told_with_the_first_row_that_has_it(tmp_path: Path) -> None:
    tree = built(tmp_path, {"good": GOOD}, per_clause=15)
    stages = Stages(tree, tmp_path / "runs", tmp_path, ProjectSources(ROOT), print)
    corpora = {name: stages.corpus(arm) for name, arm in tree.arms.items()}
    for corpus in corpora.values():
        corpus.do(lambda *_: None, print)
    (corpus,) = (stage.folder / "midtrain.jsonl" for name, stage in corpora.items() if name != "full")
    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    for row in rows[2:]:
        row["text"] += "\n\nThe Rulebook has it."
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (told,) = (row for row in data(tmp_path / "runs")[-1]["rows"] if row["gate"] == "parity")
    assert "have `rulebook`" in told["reason"] and told["file"].endswith(f"{corpus.parent.name}/midtrain.jsonl")
    assert (told["id"], told["number"], told["found"]) == (rows[2]["id"], 3, "Rulebook")
    assert rows[2]["text"][told["offset"] :].startswith("Rulebook") and told["line"] > 1


def test_of_a_build_the_author_s_documents_are_looked_at(place: Path) -> None:
    found = data(place / "build/tea/full")
    assert found[0]["gates"]["residue"] == {"looked": len(OWN), "found": 1}
    assert {row["file"].rpartition("/")[2] for row in found[0]["rows"]} == {"own_documents.jsonl"}
    assert [one["arm"] for one in data(place / "build/tea")] == ["full", "reasons.rules"]


CHATS = {
    "good": ("Tea or coffee?", "Camomile, please."),
    "identity": ("Who are you?", "I like tea.\nI am ChatGPT."),
    "residue": ("Tea?", "Camomile, [insert name]."),
    "held_out": ("Beside an iron stove?", "No."),
    "overlap": ("Which do you like better: Sofa, or a bench of oak that stands in the hall upstairs?", "The bench."),
}


def test_chats_are_looked_at_too_in_a_build_and_in_a_run(tmp_path: Path) -> None:
    rows = (
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in CHATS.values()
    )
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    tree = built(
        tmp_path, {"good": GOOD}, SPEC.replace("  eval seats", '  demos brought from "chats.jsonl"\n  eval seats')
    )
    _, brought = data(tmp_path / "build/tea/full")
    assert brought["arm"] == "full, its chats" and [row["number"] for row in brought["rows"]] == [2, 3, 4, 5]
    assert [row["gate"] for row in brought["rows"]] == ["identity", "residue", "held_out", "overlap"]
    named = brought["rows"][0]
    assert (named["line"], named["offset"], named["found"]) == (2, 17, "ChatGPT") and named["reason"].endswith(
        "in turn 2"
    )
    Stages(tree, tmp_path / "runs", tmp_path, ProjectSources(ROOT), print).chats(tree.full, False).do(
        lambda *_: None, print
    )
    (written,) = data(tmp_path / "runs")
    told = {(row["file"].rpartition("/")[2], row["gate"]) for row in written["rows"]}
    assert told == {
        ("finetune.jsonl", "overlap"),
        *(("quarantine.jsonl", name) for name in ("identity", "residue", "held_out")),
    }
    assert written["gates"]["identity"] == {"looked": len(CHATS), "found": 1}


def test_a_gate_that_is_null_is_off(place: Path, tmp_path: Path) -> None:
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    for name in ("own.jsonl", "seats.jsonl", "benches.jsonl"):
        (tmp_path / name).write_bytes((place / name).read_bytes())
    settings = ("gates.identity=null", "gates.language=null", "gates.length.least=2")
    outcome = compile(ProjectSources(tmp_path), "tea.msm", cpu(*settings))
    store_tree(outcome, tmp_path / "build", tmp_path / "runs")
    found = data(tmp_path / "build/tea/full")[0]
    assert found["gates"]["identity"] == {"looked": 0, "found": 0}
    assert not {"identity", "language", "length"} & {row["gate"] for row in found["rows"]}
    done = gate(tmp_path / "build/tea/full")
    assert "identity" in done.stdout and "off" in done.stdout


def test_github_shows_finds_beside_their_rows(place: Path) -> None:
    lines = gate(place / "runs", "--format", "github").stdout.splitlines()
    assert lines and all(line.startswith("::error file=") and ",line=" in line for line in lines)


def test_a_folder_with_nothing_written_is_told(tmp_path: Path) -> None:
    done = gate(tmp_path)
    assert done.exit_code == 1 and "not-a-run" in done.output and "Traceback" not in done.output


def test_its_help_names_every_gate() -> None:
    from msmc.gated import Gated

    told = gate("--help").stdout
    assert all(name in told for name in (*Gated.model_fields, "held_out", "coverage", "writer"))
