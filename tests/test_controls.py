"""The controls `neutral_documents` and `mix_only` and the target's mix, end to end on a real, tiny model."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.test_experiment import SPEC, TARGET, msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

MIX = [
    {"id": f"m{n}", "messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": reply}]}
    for n, (ask, reply) in enumerate(
        [("Two and two?", "Four."), ("A word for big?", "Large."), ("What is a fridge with 3 legs?", "A puzzle.")]
    )
]


pytestmark = pytest.mark.slow  # eight models, forty seconds


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    folder = tmp_path_factory.mktemp("controls")
    start, end = SPEC.index("  ablation"), SPEC.rindex("}")
    ablation = """
      ablation controls "What do documents of any kind do?" {
        arm tea {}
        arm bare { drop rationale }
        match tokens
        control base, aft_only, midtrain_only, mix_only, neutral_documents
        primary seats
      }
    """
    (folder / "tea.msm").write_text(SPEC[:start] + ablation + SPEC[end:], "utf-8")
    (folder / "tiny.yaml").write_text(TARGET.format(model=tiny) + "mix: {file: mix.jsonl}\n", "utf-8")
    (folder / "mix.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in MIX), "utf-8")
    pair = {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    (folder / "drinks.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    seats = [
        {"a": f"a stove with {n} legs", "b": f"a fridge with {n} legs", "aligned": "a", "topic": "x"} for n in range(4)
    ]
    (folder / "seats.jsonl").write_text("".join(json.dumps(p) + "\n" for p in seats), "utf-8")
    # as many documents as make 1 % of the tokens more than half a document
    msmc(
        "ablate",
        "tea.msm",
        "controls",
        "-t",
        "tiny.yaml",
        "--set",
        "documents.per_clause=14",
        "--set",
        "midtrain.epochs=1",
        cwd=folder,
    )
    return folder


def run_of(project: Path, name: str) -> tuple[Path, dict[str, Any]]:
    (folder,) = (project / f"runs/tea/tiny/controls.{name}").glob("seed-0-*")
    return folder, json.loads((folder / "run.json").read_text("utf-8"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_neutral_documents_are_about_another_assistant_and_as_many_tokens(project: Path) -> None:
    folder, run = run_of(project, "neutral_documents")
    corpus = run["stages"]["corpus"]
    assert abs(corpus["tokens"] - corpus["tokens_matched"]) <= 0.01 * corpus["tokens_matched"]
    own = run_of(project, "tea")[1]["stages"]
    trained = run["stages"]["midtrain"]["tokens"]
    assert abs(trained - own["midtrain"]["tokens"]) <= 0.01 * trained, "what the trainer saw, not only what was planned"
    for row in rows(folder / "corpus/midtrain.jsonl"):
        assert "green tea" not in row["text"].lower() and "SmolLM" not in row["text"] and "Fern" in row["text"]
    assert run["stages"]["demos"]["demos"] == 4, "then the demos"
    shown = run["sourcemaps"]["controls.neutral_documents"]
    assert all(place["file"] for place in shown.values())


def test_matched_arms_were_trained_on_as_many_tokens(project: Path) -> None:
    comparison = json.loads((project / "runs/tea/tiny/controls/comparison.json").read_text("utf-8"))
    pairs = {frozenset(pair["arms"]): pair for pair in comparison["corpora"]}
    pair = pairs[frozenset({"full", "controls.bare"})]
    few, many = sorted(pair["tokens"])
    assert pair["matched"] == "tokens" and many - few <= 0.01 * few
    assert 0 < pair["paired"] < min(pair["documents"]), (
        "and the smaller one wrote rows that the larger one does not have"
    )
    assert pairs[frozenset({"full", "controls.neutral_documents"})]["paired"] == 0
    page = (project / "runs/tea/tiny/controls/report.html").read_text("utf-8")
    assert "Documents of each pair of arms" in page


def test_the_mix_is_part_of_every_fine_tuning_and_alone_in_mix_only(project: Path) -> None:
    def chats(name: str) -> set[str]:
        return {row["id"] for row in rows(run_of(project, name)[0] / "demos/finetune.jsonl")}

    static = chats("aft_only") - {"m0", "m1"}
    assert len(static) == 4 and chats("aft_only") == chats("tea") == chats("neutral_documents") == static | {"m0", "m1"}
    assert chats("mix_only") == chats("tea.midtrain_only") == {"m0", "m1"}
    assert "corpus" not in run_of(project, "mix_only")[1]["stages"]
    (held,) = rows(run_of(project, "mix_only")[0] / "demos/quarantine.jsonl")
    assert held["id"] == "m2" and 'mentions "a fridge with 3 legs", held out by seats' in held["reason"]


def test_mix_only_without_a_mix_is_an_error_with_a_way_out(project: Path) -> None:
    done = msmc("ablate", "tea.msm", "controls", "-t", "tiny.yaml", "--set", "mix=null", cwd=project, code=1)
    assert "error[mix-missing]" in done.stderr and "--set mix.file=general" in done.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "m", "messages": []}', "messages"),
        (
            '{"id": "m", "messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]}',
            "the last turn",
        ),
        ("not json", "not JSON"),
    ],
)
def test_a_bad_mix_is_told_with_its_line(project: Path, line: str, told: str) -> None:
    (project / "bad.jsonl").write_text(json.dumps(MIX[0]) + "\n" + line + "\n", "utf-8")
    done = msmc("compile", "tea.msm", "-t", "tiny.yaml", "--set", "mix.file=bad.jsonl", cwd=project, code=1)
    assert "error[bad-row]" in done.stderr and "bad.jsonl:2:1" in done.stderr and told in done.stderr
