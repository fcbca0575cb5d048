"""A training that was stopped goes on to the same losses and the same weights, byte for byte."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from msmc.backend.checkpoints import Checkpoints
from msmc.backend.finetune import finetune
from msmc.backend.midtrain import midtrain

Recipe = Callable[..., Path]
WRITTEN = ("log.jsonl", "stage.json", "adapter/adapter_model.safetensors")


class Killed(Exception):
    """Stands for a kill between the update and whatever comes after it."""


def until(last: int) -> Callable[[int, int, float], None]:
    def progress(step: int, steps: int, loss: float) -> None:
        if step == last:
            raise Killed

    return progress


def silent(step: int, steps: int, loss: float) -> None:
    pass


@pytest.mark.parametrize("stage", ["midtrain", "finetune"])
def test_a_killed_training_goes_on_to_the_same_bytes(
    stage: str, tiny: Path, recipe: Recipe, documents: Path, chats: Path, tmp_path: Path
) -> None:
    train, rows = (midtrain, documents) if stage == "midtrain" else (finetune, chats)
    # two epochs, and updates of two batches each: the order of rows and the half-done update must both come back
    batches = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    path = recipe(stage, max_length=64 if stage == "midtrain" else 128, num_train_epochs=2, **batches)
    whole = train(path, rows, tiny, None, tmp_path / "whole", 5, 1, silent)
    kept = Checkpoints(tmp_path / "checkpoints", minutes=0)
    for attempt, last in enumerate((4, 3, whole.updates - 1)):  # the second dies before it makes an update of its own
        with pytest.raises(Killed):
            train(
                path,
                rows,
                tiny,
                None,
                tmp_path / f"killed-{attempt}",
                5,
                1,
                until(max(last, (kept.step() or 0) + 1)),
                kept,
            )
    assert kept.step() == whole.updates - 2
    train(path, rows, tiny, None, tmp_path / "resumed", 5, 1, silent, kept)
    for name in WRITTEN:
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_half_written_checkpoint_is_never_read(tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path) -> None:
    path, kept = recipe("midtrain", max_length=64), Checkpoints(tmp_path / "checkpoints", minutes=0)
    with pytest.raises(Killed):
        midtrain(path, documents, tiny, None, tmp_path / "killed", 5, 1, until(4), kept)
    half = tmp_path / "checkpoints/checkpoint-9"
    shutil.copytree(tmp_path / "checkpoints/checkpoint-3", half)
    (half / "msmc.json").unlink()  # the mark is written last
    (half / "optimizer.pt").write_bytes(b"")
    assert kept.latest()[0].name == "checkpoint-3" and not half.exists()  # type: ignore[index]


def test_ctrl_c_finishes_the_update_and_keeps_it(tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path) -> None:
    def progress(step: int, steps: int, loss: float) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    path, kept = recipe("midtrain", max_length=64), Checkpoints(tmp_path / "checkpoints", minutes=60)
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell runs the tests in the background
    with pytest.raises(KeyboardInterrupt):
        midtrain(path, documents, tiny, None, tmp_path / "stopped", 5, 1, progress, kept)
    assert kept.step() in (3, 4)
    assert signal.getsignal(signal.SIGINT) is before
