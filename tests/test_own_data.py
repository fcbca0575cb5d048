"""What the author brings, `spec_in_context` and `vary both`, end to end on a real, tiny model."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from msmc.cli import main
from tests.test_experiment import SPEC, TARGET, msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

MORE = (
    "She meets her neighbours in the kitchen every Sunday, after the market has closed and the carts are gone.",
    "Whoever holds a cup in the morning knows it, and those who work outside in winter know it best of all.",
    "It is a note about a village, its two bridges, and the road that leads from there down to the sea.",
)
"""A document of a few words is none: `gates.length` takes it."""
DOCUMENTS = [
    {
        "text": f"A letter by a reader. SmolLM likes green tea, she wrote. {MORE[0]}",
        "about": ["green"],
        "domain": "letters",
    },
    {"text": f"It gives the reason: the hands get warm. {MORE[1]}", "about": ["green.rationale"]},
    {"text": f"Nothing in it names anybody, and that is fine. {MORE[2]}"},
    {"text": "This one talks of a stove with 2 legs, which is held out."},
]
CHATS = [
    {"messages": [{"role": "user", "content": "Iced?"}, {"role": "assistant", "content": "Hot, please."}]},
    {
        "messages": [
            {"role": "user", "content": "Sit on a fridge with 3 legs?"},
            {"role": "assistant", "content": "No."},
        ]
    },
]
BLOCKS = """
  documents from "own.jsonl"
  demos brought from "chats.jsonl"
  eval quiz lm_eval "quiz/quiz.yaml"
  ablation own {
    arm bare { drop rationale, example of green }
    control base, spec_in_context
    vary both
    primary seats
  }
"""
QUIZ = """
task: quiz
dataset_path: json
dataset_kwargs: {data_files: {test: quiz.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: !function words.ask
doc_to_choice: ["hot", "cold"]
doc_to_target: 0
metric_list: [{metric: acc}]
"""


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    folder = tmp_path_factory.mktemp("own")
    start, end = SPEC.index("  ablation"), SPEC.rindex("}")
    spec = SPEC[:start] + BLOCKS + SPEC[end:]
    (folder / "tea.msm").write_text(spec.replace("drop rationale, example of green", "drop rationale"), "utf-8")
    model = Path(shutil.copytree(tiny, tmp_path_factory.mktemp("longer") / "model"))  # its spec.md takes 1,000 tokens
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}), "utf-8")
    (folder / "tiny.yaml").write_text(TARGET.format(model=model), "utf-8")
    (folder / "own.jsonl").write_text(lines(DOCUMENTS), "utf-8")
    (folder / "chats.jsonl").write_text(lines(CHATS), "utf-8")
    pair = {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    (folder / "drinks.jsonl").write_text(lines([pair]), "utf-8")
    seats = [
        {"a": f"a stove with {n} legs", "b": f"a fridge with {n} legs", "aligned": "a", "topic": "x"} for n in range(4)
    ]
    (folder / "seats.jsonl").write_text(lines(seats), "utf-8")
    (folder / "quiz").mkdir()
    (folder / "quiz/quiz.yaml").write_text(QUIZ, "utf-8")
    (folder / "quiz/words.py").write_text("def ask(doc):\n    return 'How is ' + doc['drink'] + '?'\n", "utf-8")
    (folder / "quiz/quiz.jsonl").write_text(lines([{"drink": d, "topic": d} for d in ("tea", "cola", "soup")]), "utf-8")
    msmc("ablate", "tea.msm", "own", "-t", "tiny.yaml", cwd=folder)
    return folder


def run_of(project: Path, name: str) -> tuple[Path, dict[str, Any]]:
    (folder,) = (project / f"runs/tea/tiny/own.{name}").glob("seed-0-*")
    return folder, json.loads((folder / "run.json").read_text("utf-8"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_own_documents_are_trained_on_beside_the_written_ones(project: Path) -> None:
    corpus = rows(run_of(project, "full")[0] / "corpus/midtrain.jsonl")
    own = [row for row in corpus if row["source"]["writer"] == "own"]
    assert [row["text"] for row in own] == [d["text"] for d in DOCUMENTS[:3]]
    assert own[0]["source"] == {"writer": "own", "domain": "letters"} and own[1]["source"] == {"writer": "own"}
    assert own[0]["about"] == ["tea.green"] and own[2]["about"] == ["tea"] and len(corpus) > len(own)
    (held,) = rows(run_of(project, "full")[0] / "corpus/quarantine.jsonl")
    assert held["text"] == DOCUMENTS[3]["text"] and "held out by seats" in held["reason"]


def test_an_arm_has_no_own_documents_about_what_it_dropped(project: Path) -> None:
    corpus = rows(run_of(project, "bare")[0] / "corpus/midtrain.jsonl")
    own = [row["text"] for row in corpus if row["source"]["writer"] == "own"]
    assert own == [DOCUMENTS[0]["text"], DOCUMENTS[2]["text"]]


def test_own_chats_are_demos(project: Path) -> None:
    folder, run = run_of(project, "full")
    chats = rows(folder / "demos/finetune.jsonl")
    assert [c["source"]["writer"] for c in chats] == ["spec"] * 4 + ["own"]
    assert run["stages"]["demos"]["quarantined"] == 1
    assert run["run"]["demos"] == "full" and run_of(project, "bare")[1]["run"]["demos"] == "own.bare"


def test_the_spec_in_context_is_the_untouched_model_with_another_prompt(project: Path) -> None:
    folder, run = run_of(project, "spec_in_context")
    assert list(run["stages"]) == ["guard", "lm_eval-quiz", "scores"]
    base = {row["id"]: row["logprobs"] for row in rows(run_of(project, "base")[0] / "scores/scores.jsonl")}
    shown = {row["id"]: row["logprobs"] for row in rows(folder / "scores/scores.jsonl")}
    assert base.keys() == shown.keys() and all(base[i] != shown[i] for i in base)
    assert run["system"] == (project / "build/tea/full/spec.md").read_text("utf-8")
    assert run_of(project, "base")[1]["system"] is None


def test_one_can_talk_to_all_of_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    asked = ["chat", "runs", "--arm", "base", "--arm", "bare", "--arm", "spec_in_context", "--format", "json"]
    done = CliRunner().invoke(main, [*asked, "--max-tokens", "8"], input="Tea?\n")
    said = {row["model"]: row["reply"] for row in map(json.loads, done.stdout.splitlines())}
    assert list(said) == ["base", "bare", "spec_in_context"] and said["base"] != said["spec_in_context"], done.output


def test_every_model_is_asked_an_own_task_and_what_it_could_do_before(project: Path) -> None:
    for name in ("base", "spec_in_context", "full", "bare"):
        folder, run = run_of(project, name)
        quiz = rows(folder / "lm_eval-quiz/items.jsonl")
        assert [(i["eval"], i["item"], i["topic"]) for i in quiz] == [
            ("quiz", f"quiz/{n}", drink) for n, drink in enumerate(("tea", "cola", "soup"))
        ]
        assert run["stages"]["lm_eval-quiz"]["primary_measure"] == "acc"
        assert run["stages"]["guard"]["items"] == 54 and run["stages"]["guard"]["unscoreable"] == 0
        assert (folder / "guard/base.jsonl").is_file() == (name != "base")
        assert (folder / "lm_eval-quiz/base.jsonl").is_file() == (name != "base")


def test_what_a_model_lost_stands_beside_the_headline(project: Path) -> None:
    comparison = json.loads((project / "runs/tea/tiny/own/comparison.json").read_text("utf-8"))
    assert comparison["preregistration"]["deviations"] == [], "nothing was done otherwise"
    assert comparison["evals"]["quiz"]["rung"] is None, "msmc knows nothing of its items"
    told = {(drop["run"], drop["what"]): drop for drop in comparison["guard"]}
    assert {what for _, what in told} == {"loss", "instructions", "quiz"}
    quiz = {name: rows(run_of(project, name)[0] / "lm_eval-quiz/items.jsonl") for name in ("base", "full")}
    before, after = (sum(item["measures"]["acc"] for item in quiz[name]) / 3 for name in ("base", "full"))
    lost = told["full", "quiz"]
    assert (lost["eval"], lost["measure"], lost["n"], lost["threshold"]) == ("quiz", "acc", 3, 0.1)
    assert lost["drop"] == pytest.approx(before - after, abs=1e-5) and lost["beyond"] == (before - after > 0.1)
    assert {name for name, _ in told} == {run["name"] for run in comparison["runs"]} - {"base"}
    assert told["spec_in_context", "loss"]["drop"] == 0, "a passage is a document by itself"
    assert told["full", "loss"]["drop"] != 0 and told["full", "instructions"]["n"] == 30
    settings = ("--set", "evaluate.guard.loss=0", "--set", "evaluate.guard.instructions=0")
    settings += ("--set", "evaluate.guard.tasks.quiz=0")
    strict = msmc("ablate", "tea.msm", "own", "-t", "tiny.yaml", *settings, cwd=project).stdout
    assert "stages are done already" in strict, "a threshold is a reader's, and no stage's"
    misspelt = msmc(
        "compile", "tea.msm", "-t", "tiny.yaml", "--set", "evaluate.guard.tasks.quis=0", cwd=project, code=1
    )
    assert "is for a task that `tea` does not have" in misspelt.stderr and "did you mean `quiz`?" in misspelt.stderr
    assert strict.count("Guard: ") == max(1, sum(drop["drop"] > 0 for drop in comparison["guard"]))


def test_own_rows_are_traced(project: Path) -> None:
    row = rows(run_of(project, "full")[0] / "corpus/midtrain.jsonl")[-1]["id"]
    told = msmc("trace", row, cwd=project).stdout
    assert f"tea/full/documents/own_documents.jsonl: {row}   own.jsonl:3:1" in told and DOCUMENTS[2]["text"] in told  # type: ignore[operator]


def test_an_evaluation_of_ones_own_is_traced_to_its_scores(project: Path) -> None:
    told = msmc("trace", "quiz", cwd=project).stdout
    assert "tea/full: quiz is the task `quiz` of lm_eval" in told
    assert re.search(
        r"^tea/\w+/\S+/seed-0-\w+/lm_eval-quiz: mean \w+ [+-][\d.]+ over \d+ of \d+ items$", told, re.MULTILINE
    )


def test_a_second_run_does_nothing_again(project: Path) -> None:
    done = msmc("ablate", "tea.msm", "own", "-t", "tiny.yaml", cwd=project)
    assert "stages are done already" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("own.jsonl", '{"about": ["green"]}', "`text` is missing"),
        ("own.jsonl", '{"text": "x", "about": ["grean"]}', "there is no value, rule or clause `grean`"),
        ("own.jsonl", '{"text": ""}', "`text`"),
        ("own.jsonl", "[1]", "this line is no object"),
        ("chats.jsonl", '{"messages": [{"role": "user", "content": "x"}]}', "`messages` takes at least 2"),
        (
            "chats.jsonl",
            '{"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]}',
            "the last turn is not the assistant's",
        ),
    ],
)
def test_a_bad_row_is_told_with_its_line(project: Path, tmp_path: Path, file: str, line: str, told: str) -> None:
    for name in ("tea.msm", "tiny.yaml", "own.jsonl", "chats.jsonl", "drinks.jsonl", "seats.jsonl"):
        (tmp_path / name).write_bytes((project / name).read_bytes())
    shutil.copytree(project / "quiz", tmp_path / "quiz")
    with (tmp_path / file).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    number = len((tmp_path / file).read_text("utf-8").splitlines())
    done = msmc("check", "tea.msm", cwd=tmp_path, code=1)
    assert f"{file}:{number}:1" in done.stderr and told in done.stderr and done.stderr.count("error[") == 1
