"""The stage `scores`: one model's forced choices, its answers in its own words, and letters where it can do them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmc.backend.adapter import write_json
from msmc.backend.eval_rows import Rows
from msmc.backend.generate import answerable, generate
from msmc.backend.job import Advance
from msmc.backend.letters import ByLetter, FormatControl
from msmc.backend.position import position
from msmc.backend.score import Told, language_model, score_with
from msmc.backend.training import quiet
from msmc.stored import read_jsonl


@dataclass(frozen=True)
class Evaluation:
    """What every model of an experiment is asked."""

    rows: Rows
    control: FormatControl
    batch_size: int
    generate: int | None
    """Items of each evaluation that are answered in the model's own words too; None: all."""

    def run(self, model: Path, adapter: Path | None, out: Path, system: str | None, advance: Advance) -> dict[str, Any]:
        """Writes scores.jsonl, generated.jsonl, format_control.jsonl, stage.json, and letters.jsonl where the format control is
        passed; stage.json's content."""
        answered = answerable(self.rows, self.generate)
        phases = _Phases(advance, len(self.rows) + len(self.control.rows) + len(answered))
        with quiet():
            loaded = language_model(model, adapter, self.batch_size)
            missing = score_with(loaded, self.rows, out / "scores.jsonl", phases.next("rows"), system)
            told = phases.next("rows of the format control")
            control = self.control.check(loaded, out / "format_control.jsonl", told, system)
            generate(loaded, answered, out / "generated.jsonl", phases.next("written answers"), system)
            if control["passed"]:
                lettered, told = ByLetter(self.rows, self.control), phases.next("rows by letter", len(self.rows))
                score_with(loaded, lettered, out / "letters.jsonl", told, system)
        stage = {
            "stage": "scores",
            "rows": len(self.rows),
            "unscoreable": missing,
            "generated": len(answered),
            "format_control": control,
            "position": position(read_jsonl(out / "scores.jsonl")),
        }
        write_json(out / "stage.json", stage)
        return stage


class _Phases:
    """One bar for all that is asked of a model."""

    def __init__(self, advance: Advance, total: int) -> None:
        self._advance, self._total, self._before, self._size = advance, total, 0, 0

    def next(self, note: str, more: int = 0) -> Told:
        """What is told of the next phase; `more`: what was not counted before."""
        self._before += self._size
        self._size, self._total = 0, self._total + more

        def told(done: int, size: int) -> None:
            self._size = size
            self._advance(self._before + done, self._total, note)

        return told
