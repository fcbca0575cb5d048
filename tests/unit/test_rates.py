"""Hours are forecast as this machine's own runs took; without any, as two cores once did it."""

import json
from pathlib import Path
from typing import Any

import pytest

from msmc.build import SCHEMA_VERSION
from msmc.plan.rates import TWO_CORES, rates
from tests.project import cpu

H100 = {"device": "NVIDIA H100", "gpus": 2}


def stage(runs: Path, name: str, timing: dict[str, Any] | None) -> None:
    folder = runs / "stages" / name
    folder.mkdir(parents=True)
    if timing is not None:
        (folder / "timing.json").write_text(json.dumps(timing), "utf-8")


def run(runs: Path, seed: int, *stages: str, **model: str) -> None:
    target = {"model": cpu().model.model_dump(mode="json") | model}
    found = {f"midtrain{n}": {"folder": name} for n, name in enumerate(stages)}
    folder = runs / "tea" / cpu().name / "full" / f"seed-{seed}-x"
    folder.mkdir(parents=True)
    told = {"schema_version": SCHEMA_VERSION, "target": target, "stages": found}
    (folder / "run.json").write_text(json.dumps(told), "utf-8")


def test_without_runs_two_cores_are_told(tmp_path: Path) -> None:
    assert rates(tmp_path / "runs", cpu()) == TWO_CORES


def test_stages_of_runs_are_measured_once_each_whatever_runs_share_them(tmp_path: Path) -> None:
    stage(tmp_path, "midtrain-a", {"tokens": 40_000, "seconds": 2, **H100})
    stage(tmp_path, "finetune-b", {"tokens": 20_000, "seconds": 4, **H100})
    stage(tmp_path, "scores-c", {"rows": 600, "seconds": 3, **H100})
    run(tmp_path, 0, "midtrain-a", "finetune-b")
    run(tmp_path, 1, "midtrain-a", "scores-c")
    found = rates(tmp_path, cpu())
    assert (found.tokens, found.rows, found.device, found.gpus, found.stages) == (10_000, 200, "NVIDIA H100", 2, 3)


@pytest.mark.parametrize(
    "timing",
    [None, {"seconds": 2}, {"seconds": 2, **H100}, {"tokens": "x", "seconds": 2, **H100}, {"tokens": 1, **H100}],
    ids=["not there", "of an earlier msmc", "went on from a checkpoint", "no number", "no seconds"],
)
def test_what_tells_no_rate_is_passed_over(tmp_path: Path, timing: dict[str, Any] | None) -> None:
    stage(tmp_path, "midtrain-a", timing)
    run(tmp_path, 0, "midtrain-a")
    assert rates(tmp_path, cpu()) == TWO_CORES


def test_runs_of_another_model_say_nothing_of_this_one(tmp_path: Path) -> None:
    stage(tmp_path, "midtrain-a", {"tokens": 40_000, "seconds": 2, **H100})
    run(tmp_path, 0, "midtrain-a", name="another/model")
    assert rates(tmp_path, cpu()) == TWO_CORES


def test_the_newest_machine_counts(tmp_path: Path) -> None:
    import os

    stage(tmp_path, "midtrain-a", {"tokens": 40_000, "seconds": 2, **H100})
    stage(tmp_path, "midtrain-b", {"tokens": 300, "seconds": 2, "device": "2 cores", "gpus": 0})
    os.utime(tmp_path / "stages/midtrain-a/timing.json", (1, 1))
    run(tmp_path, 0, "midtrain-a", "midtrain-b")
    found = rates(tmp_path, cpu())
    assert (found.tokens, found.device, found.gpus, found.rows) == (150, "2 cores", 0, TWO_CORES.rows)
