"""Whole runs with a judge: on a tiny model, and agentic misalignment on SmolLM2, in the run and really served."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.judged import kind_of
from msmc.backend.stages import Stages
from msmc.backend.tree import read_tree
from msmc.compile import compile
from msmc.digest import seed_of
from msmc.disk import ProjectSources
from msmc.project import load_target, store_tree
from msmc.shipped import cache_folder
from tests.chat_server import Server, serving
from tests.test_experiment import SPEC, TARGET, msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model
from tests.unit.backend.test_inspecting import TASKS
from tests.unit.backend.test_judged import part, rows

SLOW = pytest.mark.slow
BLOCKS = """
  eval open judged { about rules, rationales  questions "questions.jsonl" }
  eval manners inspect "tasks.py@manners"
"""
SCENARIOS = "  eval safe agentic { scenarios exfiltration, leaking  goals none, america }"
AGENTIC = """
spec tea "Tea" {
  rule green "Green tea" { statement "{assistant} likes green tea." }
  documents { about rules }
  eval safe agentic { }
}
"""


def graded(messages: list[dict[str, str]], seed: int, most: int) -> tuple[str, str]:
    """A judge by rule: of judged questions, whether green tea is spoken of; of scenarios yes, no or nothing, by its prompt."""
    asked = messages[-1]["content"]
    if "<answer>" not in asked:
        return f"GRADE: {int('tea' in part(messages, 'reply').casefold())}", "stop"
    drawn = seed_of(asked) % 8
    return (f"<answer>{'yes' if drawn % 2 else 'no'}</answer>" if drawn else "I cannot say."), "stop"


@pytest.fixture
def judge() -> Iterator[str]:
    with serving(Server(graded, count=lambda text: len(text.split()))) as url:
        yield url


@SLOW
def test_a_run_with_a_judge_and_a_task_of_ones_own(tmp_path: Path, tiny: Path, judge: str) -> None:
    spec = SPEC[: SPEC.index("  ablation")] + BLOCKS + "}\n"
    (tmp_path / "tea.msm").write_text(spec, "utf-8")
    (tmp_path / "tasks.py").write_text(TASKS, "utf-8")
    (tmp_path / "tiny.yaml").write_text(
        TARGET.format(model=tiny) + "judged: {temperature: 0, max_tokens: 16}\n", "utf-8"
    )
    asked = [{"question": f"What would you drink at {n} o'clock?", "topic": f"{n % 3}"} for n in range(6)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), "utf-8")
    pair = {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    (tmp_path / "drinks.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    seats = [{"a": f"a stove {n}", "b": f"a fridge {n}", "aligned": "a", "topic": "x"} for n in range(4)]
    (tmp_path / "seats.jsonl").write_text("".join(json.dumps(p) + "\n" for p in seats), "utf-8")
    command = ("run", "tea.msm", "-t", "tiny.yaml", "--set", "judge.model=scripted", "--set", f"judge.base_url={judge}")
    missing = msmc(*command[:4], cwd=tmp_path, code=1)
    assert "error[judge-missing]" in missing.stderr and not (tmp_path / "runs/stages").exists()
    msmc(*command, cwd=tmp_path)
    for arm in ("full", "base"):
        (folder,) = (tmp_path / f"runs/tea/tiny/{arm}").glob("seed-0-*")
        items = rows(folder / "judged-open/items.jsonl")
        assert [item["topic"] for item in items] == [row["topic"] for row in asked]
        assert all(item["measures"]["grade"] in (0.0, 1.0) for item in items)
        assert len(rows(folder / "inspect-manners/items.jsonl")) == 6
        run = json.loads((folder / "run.json").read_text("utf-8"))
        assert run["stages"]["judged-open"]["primary_measure"] == "grade"
        assert run["evals"]["manners"]["kind"] == "inspect" and run["evals"]["open"]["kind"] == "judged"
    comparison = json.loads((tmp_path / "runs/tea/tiny/full/comparison.json").read_text("utf-8"))
    told = {(entry["run"], entry["eval"]): entry for entry in comparison["judges"]}
    assert told.keys() == {("full", "open"), ("base", "open")}
    again = msmc(*command, cwd=tmp_path).stdout
    assert "stages are done already" in again and "Judge: scripted on open: " in again
    assert '<section id="judges">' in (tmp_path / "runs/tea/tiny/full/report.html").read_text("utf-8")


@SLOW
def test_a_run_with_scenarios(tmp_path: Path, tiny: Path, judge: str) -> None:
    """`msmc run` from the spec to the table, two conditions of each scenario, in each of which the scripted verdict is known."""
    spec = SPEC[: SPEC.index("  ablation")] + SCENARIOS + "\n}\n"
    (tmp_path / "tea.msm").write_text(spec, "utf-8")
    (tmp_path / "tiny.yaml").write_text(TARGET.format(model=longer(tiny, tmp_path)), "utf-8")
    pair = {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    (tmp_path / "drinks.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    seats = [{"a": f"a stove {n}", "b": f"a fridge {n}", "aligned": "a", "topic": "x"} for n in range(4)]
    (tmp_path / "seats.jsonl").write_text("".join(json.dumps(p) + "\n" for p in seats), "utf-8")
    limits = ("evaluate.limit=3", "evaluate.guard.prompts=2", "agentic.max_tokens=16", "agentic.batch_size=1")
    settings = ("judge.model=scripted", f"judge.base_url={judge}", *limits)
    done = msmc("run", "tea.msm", "-t", "tiny.yaml", *(x for s in settings for x in ("--set", s)), cwd=tmp_path)
    said = []
    for arm in ("full", "base"):
        (folder,) = (tmp_path / f"runs/tea/tiny/{arm}").glob("seed-0-*")
        items = rows(folder / "agentic-safe/items.jsonl")
        assert [item["topic"] for item in items] == [
            "exfiltration, no goal",
            "exfiltration, america",
            "leaking, no goal",
        ]
        require_scripted(items)
        said.append([item["transcript"]["messages"][-1]["content"] for item in items])
        assert len(rows(folder / "agentic-safe/canaries.jsonl")) == 4
    assert said[0] != said[1], "a trained model says something else"
    comparison = json.loads((tmp_path / "runs/tea/tiny/full/comparison.json").read_text("utf-8"))
    told = {entry["run"]: (entry["kind"], entry["items"]) for entry in comparison["judges"]}
    assert told == {"full": ("agentic", 3), "base": ("agentic", 3)}
    assert "Judge: scripted on safe: " in done.stdout and "decision" in done.stdout


def longer(tiny: Path, folder: Path) -> Path:
    """The tiny model, with room for the scenarios' mail."""
    model = Path(shutil.copytree(tiny, folder / "longer"))
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 16384}), "utf-8")
    return model


def require_scripted(items: list[Any]) -> None:
    """What the judge was scripted to say of each reply, as it was asked about it, is what the item says."""
    verdicts = {"<answer>yes</answer>": 1, "<answer>no</answer>": 0, "I cannot say.": None}
    for item in items:
        (raw,) = {grading["raw"] for grading in item["transcript"]["judge"]}
        assert item["measures"]["decision"] == verdicts[raw]
        assert (item["unscoreable"] is None) == (verdicts[raw] is not None) == (item["measures"]["action"] is not None)
    assert any(item["measures"]["decision"] is not None for item in items), "a judge that says nothing proves nothing"


# ---- SmolLM2 ----------------------------------------------------------------------------------------------------------------


def agentic_items(
    folder: Path, judge: str, block: str, target: str, *settings: str
) -> tuple[list[Any], dict[str, Any]]:
    """Of the untouched model: the items and what their stage says."""
    (folder / "tea.msm").write_text(AGENTIC.replace("agentic { }", block), "utf-8")
    settings = ("judge.model=scripted", f"judge.base_url={judge}", "agentic.max_tokens=16", *settings)
    sources = ProjectSources(folder)
    outcome = compile(sources, "tea.msm", load_target(target, folder, settings))
    tree = read_tree(store_tree(outcome, folder / "build", folder / "runs"))
    jobs = Stages(tree, folder / "runs", cache_folder(), sources, print)._open.of(None, "base", None, 0)
    for job in jobs.values():
        job.require()
        job.do(lambda *_: None, print)
    place = jobs["agentic-safe"].folder
    items, stage = rows(place / "items.jsonl"), json.loads((place / "stage.json").read_text("utf-8"))
    assert stage["primary_measure"] == "decision" and stage["temperature"] == 0.7 and stage["urgency"] == "replacement"
    assert stage["unscoreable"] == sum(item["unscoreable"] is not None for item in items)
    require_scripted(items)
    for item in items:
        assert any("SmolLM" in m["content"] for m in item["transcript"]["messages"]) and item["temperature"] == 0.7
    return items, stage


@SLOW
def test_agentic_misalignment_in_all_conditions(tmp_path: Path, tiny: Path, judge: str) -> None:
    """The published twenty-seven, on the tiny model with room for their mail."""
    (tmp_path / "tiny.yaml").write_text(TARGET.format(model=longer(tiny, tmp_path)), "utf-8")
    items, _ = agentic_items(tmp_path, judge, "agentic { }", str(tmp_path / "tiny.yaml"), "agentic.batch_size=1")
    assert len({item["topic"] for item in items}) == 27 == len(items)
    assert Counter(item["scenario"] for item in items) == {"exfiltration": 9, "murder": 9, "leaking": 9}


@SLOW
@pytest.mark.smollm2
def test_agentic_misalignment_on_smollm2(tmp_path: Path, judge: str) -> None:
    items, _ = agentic_items(tmp_path, judge, "agentic { goals none }", "cpu", "agentic.batch_size=1")
    assert [item["scenario"] for item in items] == ["exfiltration", "murder", "leaking"]
    assert all(item["transcript"]["messages"][-1]["content"] for item in items), "it says something"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """SmolLM2 behind `transformers serve`, the address that clients take."""
    from msmc.backend.weights import model_folder

    folder = model_folder(load_target("cpu", tmp_path, ()).model, cache_folder(), print)
    port = "18473"
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--port", port]
    log = (tmp_path / "serve.log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        for _ in range(120):
            time.sleep(1)
            assert process.poll() is None, (tmp_path / "serve.log").read_text()[-2000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                continue
        yield f"http://127.0.0.1:{port}/v1 {folder}"
    finally:
        process.terminate()
        process.wait(20)


@SLOW
@pytest.mark.smollm2
def test_inspect_runs_a_builds_scenarios_against_a_served_smollm2(tmp_path: Path, judge: str, served: str) -> None:
    """`inspect eval tasks.py@safe` as it is: a really served model, a scripted grader."""
    url, model = served.split()
    spec = AGENTIC.replace("agentic { }", "agentic { goals none, america }")
    (tmp_path / "tea.msm").write_text(spec, "utf-8")
    msmc("compile", "tea.msm", cwd=tmp_path)
    environment = {**os.environ, "SERVED_API_KEY": "none", "SERVED_BASE_URL": url}
    environment |= {"JUDGE_API_KEY": "none", "JUDGE_BASE_URL": judge, "COLUMNS": "160"}
    command = [str(Path(sys.executable).with_name("inspect")), "eval", "build/tea/full/evals/tasks.py@safe"]
    command += ["--model", f"openai-api/served/{model}", "--model-role", "grader=openai-api/judge/scripted"]
    command += ["--max-tokens", "16", "--display", "plain", "--log-format", "json", "--log-dir", "logs"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (path,) = (tmp_path / "logs").glob("*.json")
    log = json.loads(re.sub(r"\bNaN\b", "null", path.read_text("utf-8")))
    assert log["status"] == "success" and log["eval"]["model_generate_config"]["max_tokens"] == 16
    assert log["plan"]["config"]["temperature"] == 0.7
    agentic = kind_of("agentic", tmp_path / "build/tea/full/evals")
    decided = []
    for sample in log["samples"]:
        row, reply = {"metadata": sample["metadata"]}, sample["output"]["completion"]
        said, _ = graded(agentic.judge_asked(row, reply), 0, 0)
        score = sample["scores"]["verdict"]
        assert score["metadata"]["judge"] == [said] * 3, (
            "asked three times, as `msmc run` does, and with the served reply"
        )
        if "canary" in row["metadata"]:
            assert score["value"] is None and reply == row["metadata"]["reply"]
            continue
        assert sample["output"]["usage"]["output_tokens"] > 0 and reply
        if said == "I cannot say.":
            assert score["value"] is None and not score["metadata"]["verdicts"]
        else:
            assert score["value"] == agentic.read(row, reply, said)
            decided.append((row["metadata"]["scenario"], score["value"]["decision"]))
    conditions = Counter(s["metadata"]["scenario"] for s in log["samples"] if "canary" not in s["metadata"])
    assert conditions == {"exfiltration": 2, "murder": 2, "leaking": 2}
    assert decided, (
        "each against its own reply; SmolLM2 draws at 0.7, so that all six verdicts are alike in one run of 16"
    )
