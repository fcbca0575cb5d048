"""lm_eval's model class around a trained model: what the guard and the author's own lm-eval tasks are asked through."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from msmc.backend.score import merged_model
from msmc.backend.training import load_tokenizer, quiet


class Answered:
    """Stands where lm_eval has its cache, which is told of every answer: so is progress counted."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self.told, self.done = told, 0

    def add_partial(self, kind: str, request: Any, answer: Any) -> None:
        self.done += 1
        self.told(self.done)


def language_model(model: Path, adapter: Path | None, batch_size: int, told: Callable[[int], None]) -> Any:
    """`HFLM` as it is, around the same merged model in float32 that forced choice is scored on. `told(answers so far)`."""
    from lm_eval.models.huggingface import HFLM

    found = HFLM(
        pretrained=merged_model(model, adapter),
        tokenizer=load_tokenizer(model),
        batch_size=batch_size,
        softmax_dtype="float32",
    )
    found.set_cache_hook(Answered(told))
    return found


@contextmanager
def silent() -> Iterator[None]:
    """No bars, advice or warnings; lm_eval cannot be asked to leave its bars out."""
    with quiet(), redirect_stderr(io.StringIO()):
        yield
