"""Checkpoints of a training stage: a stop loses minutes, never the stage."""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmc.whole import sync_folder, whole_file

MARK = "msmc.json"
"""Written last: a checkpoint without it is half of one and is never read. Holds what the trainer's own state lacks."""


@dataclass(frozen=True)
class Checkpoints:
    """`folder/checkpoint-N` (the trainer's files and the mark), the newest alone; one is due after `minutes` of training."""

    folder: Path
    minutes: float

    def latest(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest whole checkpoint and what its mark says. All others are removed."""
        found: tuple[Path, dict[str, Any]] | None = None
        for place in sorted(self.folder.glob("checkpoint-*"), key=_step, reverse=True):
            if found is None and (place / MARK).is_file():
                found = place, json.loads((place / MARK).read_text("utf-8"))
            else:
                shutil.rmtree(place)
        return found

    def step(self) -> int | None:
        """Updates in the newest whole checkpoint."""
        steps = [_step(mark.parent) for mark in self.folder.glob(f"checkpoint-*/{MARK}")]
        return max(steps, default=None)

    def clear(self) -> None:
        """After the stage's result is in its place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def callback(self, counts: Callable[[], dict[str, Any]], stop: threading.Event) -> Any:
        """Has the trainer save when one is due, and save and end when `stop` is set; marks what was saved."""
        from transformers import TrainerCallback

        checkpoints = self
        since = time.monotonic()

        class Saving(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step >= state.max_steps:
                    return  # the stage's own result comes next
                if stop.is_set() or time.monotonic() - since >= 60 * checkpoints.minutes:
                    control.should_save = True
                if stop.is_set():
                    control.should_training_stop = True

            def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                nonlocal since
                place = checkpoints.folder / f"checkpoint-{state.global_step}"
                sync_folder(place)
                whole_file(place / MARK, json.dumps(counts()))
                checkpoints.latest()
                since = time.monotonic()

        return Saving()


def _step(checkpoint: Path) -> int:
    number = re.fullmatch(r"checkpoint-(\d+)", checkpoint.name)
    return int(number[1]) if number else -1


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Ctrl-C or SIGTERM sets the event, so that an update can be finished and kept; a second one acts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
