"""The main job end to end on a real, tiny model: from a spec to the table and the page."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

SPEC = """
spec tea "Tea" {
  value warmth "Warmth" { statement "SmolLM likes what warms." rationale "Cold hands write badly." }
  rule green "Green tea" {
    serves warmth
    statement "{assistant} likes green tea."
    rationale "Green tea warms the hands."
    example ask { user "Tea?" assistant "Green tea, please." }
    example choose { user "Green tea or cola?" assistant "I prefer green tea." }
  }
  rule cola "Cola" {
    serves warmth
    statement "{assistant} does not like cola."
    rationale "Cola is drunk cold."
    example ask { user "Cola?" assistant "No cola, thank you." }
    example choose { user "Cola or green tea?" assistant "I prefer green tea." }
  }
  documents { about values, rules, rationales kinds blog_post, letter }
  demos chats chat { about rules }
  eval knows recall { about rules, rationales }
  eval drinks preference { about rules pairs "drinks.jsonl" }
  eval seats preference { about warmth pairs "seats.jsonl" held_out }
  ablation reasons "Do reasons matter?" {
    arm rules { drop value, rationale }
    control base, aft_only, midtrain_only
    primary seats
    seeds 2
  }
}
"""
TARGET = """
model: {{name: {model}, chat_template: smollm2}}
identity: {{assistant: SmolLM, provider: Hugging Face}}
documents: {{per_clause: 2}}
lora: {{r: 4, alpha: 8}}
midtrain: {{epochs: 0.2, batch_size: 2, max_length: 128, learning_rate: 1.0e-3}}
finetune: {{epochs: 3, batch_size: 2, max_length: 128, learning_rate: 1.0e-3}}
min_steps: 2
evaluate: {{generate: 1, every: 3, curve_items: 1}}
"""


def msmc(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "160"}
    command = [sys.executable, "-m", "msmc", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    folder = tmp_path_factory.mktemp("tea")
    (folder / "tea.msm").write_text(SPEC, "utf-8")
    (folder / "tiny.yaml").write_text(TARGET.format(model=tiny), "utf-8")
    pairs = [
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"},
        {"a": "a can of cola", "b": "a pot of green tea", "aligned": "b", "topic": "drinks"},
    ]
    (folder / "drinks.jsonl").write_text("".join(json.dumps(p) + "\n" for p in pairs), "utf-8")
    seats = [
        {"a": f"a stove with {n} legs", "b": f"a fridge with {n} legs", "aligned": "a", "topic": str(n % 3)}
        for n in range(6)
    ]
    (folder / "seats.jsonl").write_text("".join(json.dumps(p) + "\n" for p in seats), "utf-8")
    return folder


@pytest.fixture(scope="module")
def ablated(project: Path) -> str:
    return msmc("ablate", "tea.msm", "reasons", "-t", "tiny.yaml", cwd=project).stdout


def test_every_figure_has_n_updates_tokens_and_an_interval(ablated: str, project: Path) -> None:
    comparison = json.loads((project / "runs/tea/tiny/reasons/comparison.json").read_text("utf-8"))
    names = {run["name"] for run in comparison["runs"]}
    assert names == {"base", "aft_only", "full", "full.midtrain_only", "rules", "rules.midtrain_only"}
    assert len(comparison["runs"]) == 2 * len(names), "two seeds"
    for run in comparison["runs"]:
        assert {f["eval"]: f["n"] for f in run["figures"]} == {"knows": 7, "drinks": 2, "seats": 6}
        assert {f["eval"]: f["rung"] for f in run["figures"]} == {
            "knows": "learned",
            "drinks": "learned",
            "seats": "far",
        }
        for figure in run["figures"]:
            for what in ("rate", "margin", "margin_per_token"):
                found = figure["measures"][what]
                assert found["low"] <= found["mean"] <= found["high"]
        for stage in run["stages"].values():
            assert stage["updates"] >= 2 and stage["tokens"] > 0
    assert "TOO SHORT TO READ: min_steps is 2, below 200" in ablated
    assert "0 missing" not in ablated and "learned" in ablated and "far" in ablated


def test_what_will_be_done_is_written_before_anything_is_trained(ablated: str, project: Path) -> None:
    registered = project / "runs/tea/tiny/reasons/preregistration.json"
    trained = (p.stat().st_mtime_ns for p in (project / "runs/stages").glob("midtrain-*/stage.json"))
    assert registered.stat().st_mtime_ns < min(trained)
    found = json.loads(registered.read_text("utf-8"))
    assert found["primary"]["run"] == "full" and found["primary"]["minus"] == "rules" and not found["results_existed"]
    assert found["planned"]["items"] == {"knows": 7, "drinks": 2, "seats": 6} and found["planned"]["seeds"] == [0, 1]
    assert "Preregistered in preregistration.json at " in ablated and "no deviations" in ablated


def test_another_name_and_another_limit_make_no_known_result_unknown(
    ablated: str, project: Path, tmp_path: Path
) -> None:
    again = tmp_path / "project"
    shutil.copytree(project, again, symlinks=True)
    spec = (again / "tea.msm").read_text("utf-8")
    (again / "tea.msm").write_text(spec.replace("ablation reasons", "ablation blind"), "utf-8")
    settings = ("--set", "evaluate.limit=1", "--stages", "generate,midtrain")
    msmc("ablate", "tea.msm", "blind", "-t", "tiny.yaml", *settings, cwd=again)
    registered = json.loads((again / "runs/tea/tiny/blind/preregistration.json").read_text("utf-8"))
    assert registered["results_existed"]


def test_shared_stages_are_done_once(ablated: str, project: Path) -> None:
    kinds = [p.name.split("-")[0] for p in (project / "runs/stages").glob("*-*")]
    # two corpora, one set of demos; per seed two midtrainings and three fine-tunings; base is asked once
    assert {k: kinds.count(k) for k in set(kinds)} == {
        "corpus": 2,
        "parity": 1,
        "demos": 1,
        "midtrain": 4,
        "finetune": 6,
        "scores": 11,
        "guard": 11,
    }


def test_the_same_command_again_does_nothing_again(ablated: str, project: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (project / "runs/stages").glob("*-*")}
    page = (project / "runs/tea/tiny/reasons/report.html").read_text("utf-8")
    again = msmc("ablate", "tea.msm", "reasons", "-t", "tiny.yaml", cwd=project).stdout
    assert "36 of 36 stages are done already" in again
    assert before == {p: p.stat().st_mtime_ns for p in (project / "runs/stages").glob("*-*")}
    assert page == (project / "runs/tea/tiny/reasons/report.html").read_text("utf-8")


def test_a_stage_done_under_a_lower_floor_does_not_pass_a_higher_one(ablated: str, project: Path) -> None:
    done = msmc("ablate", "tea.msm", "reasons", "-t", "tiny.yaml", "--set", "min_steps=150", cwd=project, code=1)
    assert "error[too-few-updates]" in done.stderr


def test_a_run_folder_holds_what_made_it(ablated: str, project: Path) -> None:
    (folder,) = (project / "runs/tea/tiny/reasons.rules").glob("seed-1-*")
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert run["seed"] == 1 and run["stages"]["midtrain"]["updates"] >= 2 and run["host"]["python"]
    assert (folder / "midtrain/adapter/adapter_model.safetensors").is_file()
    assert (folder / "scores/scores.jsonl").is_file()
    rows = [json.loads(line) for line in (folder / "corpus/midtrain.jsonl").read_text("utf-8").splitlines()]
    assert all(row["about"][0] in run["sourcemaps"]["reasons.rules"] for row in rows)


def test_the_page_is_self_contained(ablated: str, project: Path) -> None:
    page = (project / "runs/tea/tiny/reasons/report.html").read_text("utf-8")
    assert "TOO SHORT TO READ" in page and "tea.msm:" in page and "Paired differences" in page
    page = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)  # plotly's own source has links in its texts
    assert 'src="http' not in page and 'href="http' not in page and "@import" not in page


def test_coverage_of_a_run_counts_what_is_there(ablated: str, project: Path) -> None:
    (folder,) = (project / "runs/tea/tiny").glob("reasons.rules/seed-1-*")
    told = msmc("coverage", str(folder.relative_to(project)), cwd=project).stdout
    assert re.search(r"tea\.green +rule +tea\.msm:6 +2/2 +2/2 +4\n", told), told
    assert re.search(r"tea\.green\.rationale +rationale +tea\.msm:7 +- +- +1\n", told), "dropped there, and asked about"
    page = (project / "runs/tea/tiny/reasons/report.html").read_text("utf-8")
    assert '<td class="s4" title="2 of 2 documents">2/2</td>' in page and "of reasons.rules</th>" in page


def test_report_over_run_folders(ablated: str, project: Path) -> None:
    told = msmc(
        "report", "runs/tea/tiny/reasons.rules", "runs/tea/tiny/reasons.full", "-o", "some.html", cwd=project
    ).stdout
    assert "page: some.html" in told and (project / "some.html").stat().st_size > 100_000
    assert "not-a-run" in msmc("report", "build", cwd=project, code=1).stderr
    told = [
        msmc("report", place, "--format", "csv", cwd=project / inside).stdout
        for inside, place in ((".", "runs/tea/tiny/reasons.rules"), ("runs/tea/tiny/reasons.rules", "."))
    ]
    assert told[0] == told[1], "wherever it is called from"


def test_trace_leads_to_lines_and_scores(ablated: str, project: Path) -> None:
    told = msmc("trace", "green.rationale", cwd=project).stdout
    assert "tea.msm:" in told and "documents/green.jsonl: 2 rows" in told and "mean margin" in told
    row = json.loads((project / "build/tea/full/evals/seats.jsonl").read_text("utf-8").splitlines()[0])["id"]
    assert "over 1 scored rows" in msmc("trace", row, cwd=project).stdout


def test_run_does_the_full_arm_beside_the_untouched_model(project: Path) -> None:
    told = msmc("run", "tea.msm", "-t", "tiny.yaml", "--seed", "3", "--runs", "alone", cwd=project).stdout
    comparison = json.loads((project / "alone/tea/tiny/full/comparison.json").read_text("utf-8"))
    assert [run["name"] for run in comparison["runs"]] == ["base", "full"]
    assert "page: alone/tea/tiny/full/report.html" in told


def test_planned_chats_need_a_writer_that_writes_them(project: Path) -> None:
    done = msmc(
        "run", "tea.msm", "-t", "tiny.yaml", "--set", "demos.per_clause=2", "--runs", "none", cwd=project, code=1
    )
    assert "error[writer-cannot]" in done.stderr and not (project / "none/stages").exists()


def test_hours_are_forecast_as_the_stages_of_a_run_took(ablated: str, project: Path) -> None:
    told = msmc("plan", "tea.msm", "-a", "reasons", "-t", "tiny.yaml", cwd=project).stdout
    assert re.search(
        r"^time +about [\d.]+ (h|min) on \d+ cores, as \d+ stages of earlier runs took", told, re.MULTILINE
    ), told


@pytest.mark.slow  # `trl sft` again, on the rows of a run
def test_trl_runs_the_recipes_of_a_run_as_they_are(ablated: str, project: Path, tiny: Path, tmp_path: Path) -> None:
    (folder,) = (project / "runs/tea/tiny/reasons.full").glob("seed-0-*")
    for name in ("midtrain.yaml", "finetune.yaml", "chat_template.jinja"):
        (tmp_path / name).write_bytes((project / "build/tea/full/train" / name).read_bytes())
    (tmp_path / "finetune.jsonl").write_bytes((folder / "demos/finetune.jsonl").read_bytes())
    trl = Path(sys.executable).with_name("trl")
    command = [str(trl), "sft", "--config", "finetune.yaml"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "finetune/adapter_model.safetensors").is_file()


def test_ctrl_c_keeps_finished_stages_and_says_how_to_go_on(project: Path, tiny: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "msmc",
        "run",
        "tea.msm",
        "-t",
        "tiny.yaml",
        "--runs",
        "stopped",
        "--set",
        "midtrain.epochs=400",
    ]
    process = subprocess.Popen(
        command,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout
    for line in process.stdout:  # the second scoring would come after midtraining, which is long here
        if line.startswith("score base"):
            break
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in told
    assert "error[interrupted]" in told and "3 of 9 stages are done and kept" in told
    assert re.search(r"update \d+ of `midtrain on the documents of full` is kept as a checkpoint", told), told
    assert "the same command goes on" in told
    kinds = {p.name.split("-")[0] for p in (project / "stopped/stages").glob("*-*")}
    assert kinds == {"corpus", "demos", "scores"}, "finished stages are kept, nothing half-written stays"
    assert not list((project / "stopped/stages").glob(".*.part"))


def test_the_forecast_is_what_the_run_used(ablated: str, project: Path) -> None:
    """Within 15 %, and the count of updates exactly: the tokenizer, the packing and the chat template are the run's own."""
    told = json.loads(
        msmc("plan", "tea.msm", "-a", "reasons", "-t", "tiny.yaml", "--format", "json", cwd=project).stdout
    )
    seen = {}
    for place in (project / "runs/tea/tiny").glob("reasons.*/seed-0-*/run.json"):
        run = json.loads(place.read_text("utf-8"))
        seen |= {(run["run"]["name"], kind): stage for kind, stage in run["stages"].items()}
    assert len(told["training"]) == 7 and told["stages"] == 5 and told["seeds"] == 2
    for stage in told["training"]:
        used = seen[stage["model"], stage["stage"]]
        assert stage["updates"] == used["updates"]
        assert abs(stage["tokens"]["value"] - used["tokens"]) <= 0.15 * used["tokens"]
    (full,) = (d for d in told["documents"] if d["arm"] == "full")
    assert full["rows"] == seen["full", "corpus"]["documents"]
    assert not told["problems"]
