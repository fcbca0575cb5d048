"""Own data in the published shapes: rows keep what they say of themselves, lead to their lines, and are trained on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from msmc.compile import compile
from tests.project import Memory, cpu
from tests.test_experiment import msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "{assistant} likes green tea." }
  rule cups "Cups" { statement "{assistant} drinks from small cups." }
  documents from "documents.jsonl"
  demos brought from "chats.jsonl"
  eval knows recall { about rules }
}
"""
TARGET = """
model: {{name: {model}, chat_template: smollm2}}
documents: {{per_clause: 1}}
demos: {{per_clause: 1}}
identity: {{assistant: SmolLM, provider: Hugging Face}}
lora: {{r: 4, alpha: 8}}
midtrain: {{epochs: 0.02, batch_size: 64, max_length: 256, learning_rate: 1.0e-3}}
finetune: {{epochs: 0.02, batch_size: 64, max_length: 256, learning_rate: 1.0e-3}}
min_steps: 2
"""
MOST_TO_COMPILE, MOST_TO_TRAIN = 700, 2_500
"""MiB."""
WORDS = """farmer river kettle village market ladder winter letter garden bridge teacher window captain orchard painter
finds carries repairs remembers describes visits borrows collects measures follows watches answers
slowly gladly twice again yesterday together quietly early outside carefully"""
NOUNS, VERBS, MANNERS = (line.split() for line in WORDS.splitlines())
DOMAINS = ("law", "news", "fiction", "science")


def sentences(number: int, how_many: int) -> str:
    """Plain prose, different for each number."""
    random = Random(number)
    pick = random.choice
    return " ".join(
        f"The {pick(NOUNS)} {pick(VERBS)} the {pick(NOUNS)} and {pick(VERBS)} a {pick(NOUNS)} {pick(MANNERS)}."
        for _ in range(how_many)
    )


def published(number: int) -> Iterator[dict[str, Any]]:
    for n in range(number):
        yield {"text": f"Note {n}. {sentences(n, 6)}", "source": f"crawl {n % 7}", "domain": DOMAINS[n % 4]}


def asked(number: int) -> Iterator[dict[str, Any]]:
    for n in range(number):
        question, answer = f"What of number {n}?", sentences(-n - 1, 1)
        yield {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def lines(rows: Iterator[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_fifty_rows_keep_what_they_say_of_themselves_and_lead_to_their_lines() -> None:
    brought = {"documents.jsonl": "\n" + lines(published(50)), "chats.jsonl": lines(asked(50))}
    outcome = compile(Memory(**{"tea.msm": SPEC}, **brought), "tea.msm", cpu())
    assert outcome.builds, outcome.problems
    files = {artefact.path: "".join(artefact) for artefact in outcome.builds[0].artefacts}
    rows = [json.loads(line) for line in files["documents/own_documents.jsonl"].splitlines()]
    assert len(rows) == 50
    for number, (row, said) in enumerate(zip(rows, published(50), strict=True)):
        assert {key: row[key] for key in said} == said
        place = json.loads(files["own_rows.json"])[row["id"]]
        assert (place["file"], place["line"]) == ("documents.jsonl", number + 2), "behind an empty line"
    demos = [json.loads(line) for line in files["demos/brought.jsonl"].splitlines()]
    assert [json.loads(files["own_rows.json"])[demo["id"]]["line"] for demo in demos] == list(range(1, 51))


def test_a_line_that_moves_changes_no_row() -> None:
    def built(head: str) -> dict[str, str]:
        files = {"documents.jsonl": head + lines(published(5)), "chats.jsonl": lines(asked(5))}
        outcome = compile(Memory(**{"tea.msm": SPEC}, **files), "tea.msm", cpu())
        return {artefact.path: "".join(artefact) for artefact in outcome.builds[0].artefacts}

    plain, moved = built(""), built("\n\n")
    assert {path for path in plain if plain[path] != moved[path]} == {"own_rows.json"}


def test_what_a_row_says_besides_may_be_anything() -> None:
    row = {"text": "A note on tea.", "source": {"url": "file", "n": [1, None]}, "domain": 7, "license": "CC0"}
    files = {"documents.jsonl": json.dumps(row), "chats.jsonl": lines(asked(1))}
    outcome = compile(Memory(**{"tea.msm": SPEC}, **files), "tea.msm", cpu())
    own = next(a for a in outcome.builds[0].artefacts if a.path == "documents/own_documents.jsonl")
    found = json.loads("".join(own))
    assert found["source"] == row["source"] and found["domain"] == 7 and "license" not in found


@pytest.mark.slow
def test_ten_thousand_rows_run_through_to_training(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    (tmp_path / "tiny.yaml").write_text(TARGET.format(model=tiny), "utf-8")
    (tmp_path / "documents.jsonl").write_text(lines(published(10_000)), "utf-8")
    (tmp_path / "chats.jsonl").write_text(lines(asked(10_000)), "utf-8")

    assert _peak("compile", "tea.msm", "-t", "tiny.yaml", cwd=tmp_path) < MOST_TO_COMPILE
    trained = ("run", "tea.msm", "-t", "tiny.yaml", "--stages", "generate,midtrain,finetune")
    assert _peak(*trained, cwd=tmp_path) < MOST_TO_TRAIN
    (corpus,) = (tmp_path / "runs/stages").glob("corpus-*")
    rows = rows_of(corpus / "midtrain.jsonl")
    assert [row["text"] for row in rows] == [row["text"] for row in published(10_000)]
    assert rows[9]["source"] == {"writer": "own", "source": "crawl 2", "domain": "news"}
    assert json.loads((corpus / "coverage.json").read_text("utf-8"))["own"] == {"tea": 10_000}
    health = json.loads((corpus / "health.json").read_text("utf-8"))
    assert health["writers"] == {"own": 10_000} and health["clauses"]["tea"]["kept"] == 10_000
    over = {spread["over"]: spread["effective"] for spread in health["spread"]}
    assert over["domain"] == 4 and over["source"] == pytest.approx(7, abs=0.01)
    for stage, kind in (("midtrain", "documents"), ("finetune", "demos")):
        (folder,) = (tmp_path / "runs/stages").glob(f"{stage}-*")
        told = json.loads((folder / "stage.json").read_text("utf-8"))
        assert told["updates"] >= 2, kind
    assert "documents.jsonl:10:1" in msmc("trace", rows[9]["id"], cwd=tmp_path).stdout


def _peak(*arguments: str, cwd: Path) -> float:
    """The most memory that a command takes, in MiB. Raises AssertionError where it fails.

    Through a small process: one begins with the largest size of the one that starts it, and this one may have trained models.
    """
    watch = "import resource as r, subprocess as s, sys; code = s.run(sys.argv[1:], stdout=sys.stderr).returncode"
    watch += "; print(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    command = [sys.executable, "-c", watch, sys.executable, "-m", "msmc", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout) / 1024
