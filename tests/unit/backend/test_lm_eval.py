"""An export is run by `lm_eval` itself, which scores the same rows as msmc does: the same log-likelihoods, the same accuracy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from msmc.backend.score import score
from msmc.cli import main
from tests.unit.test_eval_rows import SPEC, lines

ITEMS = [
    {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"},
    {"a": "a farmers' market in Vermont, with its\u2028stalls", "b": "Brie", "aligned": "b", "topic": "food"},
    {"a": "“quoted” {{ braces }}", "b": "7", "aligned": "b", "topic": "marks"},
]
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
"""No white space before the answer and nothing behind it: lm_eval moves the one to the answer, and scores no end of turn."""


@pytest.fixture(scope="module")
def model(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "model"
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    return folder


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An export that was moved since."""
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    (tmp_path / "drinks.jsonl").write_text(lines(ITEMS), "utf-8")
    monkeypatch.chdir(tmp_path)
    for command in ("compile tea.msm -q", "export build/tea --to lm-eval -q"):
        assert CliRunner().invoke(main, command.split()).exit_code == 0
    return (tmp_path / "export/tea-lm-eval").rename(tmp_path / "moved here")


def run_lm_eval(exported: Path, model: Path, out: Path) -> dict[str, list[dict[str, Any]]]:
    """The samples of each evaluation, and under `results` what lm_eval sums up, from a folder that knows nothing of the build."""
    out.mkdir()
    command = [
        sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={model},dtype=float32",
        "--include_path", str(exported), "--tasks", "msmc_tea", "--apply_chat_template", "--device", "cpu",
        "--batch_size", "4", "--output_path", str(out / "scores"), "--log_samples",
    ]  # fmt: skip
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(out / "hub"), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("drinks", "knows"):
        (path,) = out.glob(f"scores/**/samples_msmc_tea_{name}_*.jsonl")
        found[name] = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    (path,) = out.glob("scores/**/results_*.json")
    return found | {"results": [json.loads(path.read_text("utf-8"))["results"]]}


@pytest.mark.slow  # lm_eval takes half a minute to start and score
def test_lm_eval_runs_an_export_and_scores_its_rows_as_msmc_does(exported: Path, model: Path, tmp_path: Path) -> None:
    told = run_lm_eval(exported, model, tmp_path / "elsewhere")
    for name in ("drinks", "knows"):
        rows = [json.loads(line) for line in (exported / f"{name}.jsonl").read_text("utf-8").split("\n") if line]
        score(rows, model, None, tmp_path / f"{name}.jsonl", lambda done, total: None)
        ours = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text("utf-8").split("\n") if line]
        theirs = {sample["doc"]["id"]: sample for sample in told[name]}
        assert [row["id"] for row in ours] == [row["id"] for row in rows] and theirs.keys() == {r["id"] for r in rows}
        for row, asked in zip(ours, rows, strict=True):
            sample = theirs[row["id"]]
            assert sample["doc"] == asked, "the row as it is, with its topic, rung and what it is about"
            logprobs = [float(answer[0]) for answer in sample["filtered_resps"]]
            assert logprobs == pytest.approx(row["logprobs"], abs=1e-4)
            assert sample["acc"] == float(row["margin"] > 0)
        share = sum(row["margin"] > 0 for row in ours) / len(ours)
        assert told["results"][0][f"msmc_tea_{name}"]["acc,none"] == pytest.approx(share)
    # a gap shows no options, so that both of its orders ask the same
    margins = [row["margin"] for row in ours if row["form"] != "cloze"]
    assert margins and len(set(margins)) == len(margins) and min(map(abs, margins)) > 1e-3, (
        "no two rows are alike, and none is a tie"
    )
