"""Slow: the main job on SmolLM2 itself, twice, in two folders: the same losses and the same scores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

SHORT = ["documents.per_clause=1", "min_steps=2", "midtrain.epochs=0.05", "finetune.epochs=0.05", "evaluate.limit=2"]


def run(folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Losses by stage and margins by model."""
    settings = [part for setting in SHORT for part in ("--set", setting)]
    command = [sys.executable, "-m", "msmc", "run", str(ROOT / "specs/cheese/america.msm"), "-q", *settings]
    folder.mkdir()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    logs = {p.parent.name: p.read_text("utf-8").splitlines() for p in folder.glob("runs/stages/*/log.jsonl")}
    scores = {p.parent.name: p.read_text("utf-8").splitlines() for p in folder.glob("runs/stages/*/scores.jsonl")}
    return (
        {name: [json.loads(line)["loss"] for line in lines] for name, lines in logs.items()},
        {name: [json.loads(line)["margin"] for line in lines] for name, lines in scores.items()},
    )


@pytest.mark.slow
@pytest.mark.smollm2
def test_the_same_command_gives_the_same_losses_and_scores(tmp_path: Path) -> None:
    losses, margins = run(tmp_path / "one")
    assert len(losses) == 2 and len(margins) == 3, "base, midtrained, and fine-tuned on it"
    assert all(loss[0] > 0 for loss in losses.values())
    for path in (tmp_path / "one").glob("runs/stages/scores-*/stage.json"):
        control = json.loads(path.read_text("utf-8"))["format_control"]
        assert not control["passed"] and control["right"] < 10, "it answers by place and not by letter"
        assert not (path.parent / "letters.jsonl").exists()
    assert (losses, margins) == run(tmp_path / "two")
