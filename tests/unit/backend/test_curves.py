"""Learning curves: points at the right updates, and a training that goes on as if nobody had looked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.checkpoints import Checkpoints
from msmc.backend.curves import Curve
from msmc.backend.finetune import finetune
from msmc.backend.items import of_choices
from msmc.backend.midtrain import midtrain
from tests.unit.backend.test_checkpoints import Killed, silent, until
from tests.unit.backend.test_evaluate import ROWS, read
from tests.unit.backend.test_score import scored

Recipe = Callable[..., Path]
WRITTEN = ("log.jsonl", "stage.json", "adapter/adapter_model.safetensors")


@pytest.mark.parametrize("stage", ["midtrain", "finetune"])
def test_a_curve_changes_nothing_and_survives_a_kill(
    stage: str, tiny: Path, recipe: Recipe, documents: Path, chats: Path, tmp_path: Path
) -> None:
    train, rows = (midtrain, documents) if stage == "midtrain" else (finetune, chats)
    size = {"max_length": 64 if stage == "midtrain" else 128, "learning_rate": 1.0e-2}
    path = recipe(stage, lora_dropout=0.2, per_device_train_batch_size=2, **size)

    def run(name: str, every: int | None, progress: Any = silent, kept: Checkpoints | None = None) -> Any:
        curve = Curve(ROWS, every, 4) if every else None
        return train(path, rows, tiny, None, tmp_path / name, 5, 1, progress, kept, curve)

    plain, curved = run("plain", None), run("curved", 4)
    for name in WRITTEN:
        assert (tmp_path / "curved" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes(), name
    assert plain == curved and not (tmp_path / "plain/curves.jsonl").exists()

    points = read(tmp_path / "curved/curves.jsonl")
    due = [*range(0, curved.updates, 4), curved.updates]
    groups = [("pairs", None), ("knows", "question"), ("knows", "cloze")]
    assert [(p["update"], (p["eval"], p["form"])) for p in points] == [(u, g) for u in due for g in groups]
    assert [p["n"] for p in points[:3]] == [2, 1, 1] and {p["rung"] for p in points} == {"near"}
    log = read(tmp_path / "curved/log.jsonl")
    assert {p["update"]: p["tokens"] for p in points} == {0: 0} | {
        at["step"]: at["tokens"] for at in log if at["step"] in due
    }

    kept = Checkpoints(tmp_path / "checkpoints", minutes=0)
    for attempt, last in enumerate((2, 6)):  # before the first point, and behind points that are made again
        with pytest.raises(Killed):
            run(f"killed-{attempt}", 4, until(last), kept)
    run("resumed", 4, silent, kept)
    for name in (*WRITTEN, "curves.jsonl"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "curved" / name).read_bytes(), name


def test_the_points_at_both_ends_are_the_scores_before_and_after(
    tiny: Path, recipe: Recipe, chats: Path, tmp_path: Path
) -> None:
    path = recipe("finetune", learning_rate=1.0e-2, dtype="float32")
    finetune(path, chats, tiny, None, tmp_path / "ft", 0, 1, silent, None, Curve(ROWS, 1000, 4))
    points = [json.loads(line) for line in (tmp_path / "ft/curves.jsonl").read_text("utf-8").splitlines()]
    for update, adapter in ((0, None), (points[-1]["update"], tmp_path / "ft/adapter")):
        found = scored(tiny, tmp_path / f"{update}.jsonl", ROWS, adapter=adapter)
        items = [item["measures"] for item in of_choices(found) if item["eval"] == "pairs"]
        (point,) = (p for p in points if p["update"] == update and p["eval"] == "pairs")
        assert point["margin"] == pytest.approx(sum(item["margin"] for item in items) / 2, abs=1e-3)
        assert point["rate"] == sum(item["rate"] for item in items) / 2
    assert len({p["margin"] for p in points if p["eval"] == "pairs"}) == 2
