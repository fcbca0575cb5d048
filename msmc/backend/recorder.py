"""What is noted of a training while it goes on: its log, and the points of its learning curve."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msmc.diagnostics import fail

Row = dict[str, Any]
Progress = Callable[[int, int, float], None]  # update, updates in all, loss of this update
Points = Callable[[int, int, bool], list[Row]]  # update, tokens so far, whether it is the last update


@dataclass
class Counts:
    """Kept with each checkpoint, so that what came after it is made again: the log's lines, one an update, supervised tokens, and
    points of the curve."""

    lines: list[Row]
    supervised: int
    curves: list[Row] = field(default_factory=list)


def recorder(counts: Counts, progress: Progress, points: Points | None) -> Any:
    """A callback that counts each update, tells `progress`, and stops at a loss that is no number.

    loss-not-finite: Training whose loss is no number any more.

    What follows would be noise, and is not trained. Mostly the learning rate is too high.

    Bad:
        $ msmc run tea.msm --set midtrain.learning_rate=10

    Good:
        $ msmc run tea.msm --set midtrain.learning_rate=1e-4
    """
    from transformers import TrainerCallback

    before = counts.lines[-1]["tokens"] if counts.lines else 0  # TRL counts from zero again after a checkpoint

    class Recorder(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if points and not counts.lines:
                counts.curves += points(0, 0, False)

        def on_log(self, args: Any, state: Any, control: Any, logs: Row | None = None, **_: Any) -> None:
            if not logs or "loss" not in logs:  # the trainer's closing summary
                return
            step, loss = state.global_step, logs["loss"]
            if not math.isfinite(loss):
                raise fail("loss-not-finite", f"the loss became {loss} at update {step}", "lower `learning_rate`")
            tokens = before + int(logs["num_tokens"])
            counts.lines.append({"step": step, "loss": loss, "learning_rate": logs["learning_rate"], "tokens": tokens})
            if points:  # before a checkpoint of this update is written, which is to have them
                counts.curves += points(step, tokens, step == state.max_steps)
            progress(step, state.max_steps, loss)

    return Recorder()
