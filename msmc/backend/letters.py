"""Multiple choice by letter, for models that a format control shows to be able to do it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from msmc.backend.eval_rows import Row, Rows
from msmc.backend.score import Told, score_with
from msmc.digest import digest
from msmc.library import read_yaml
from msmc.source import Sources
from msmc.stored import read_jsonl

FILE = "shipped:templates/evals/format_control.yaml"
LEAST = 0.75


class FormatControl:
    """Plain items with an evident answer (`templates/evals/format_control.yaml`), and a frame that asks for letters."""

    def __init__(self, sources: Sources) -> None:
        self._text = sources[FILE]

    @property
    def digest(self) -> str:
        return digest(self._text.decode(), LEAST)

    @cached_property
    def _read(self) -> dict[str, Any]:
        return dict(read_yaml(self._text))

    @cached_property
    def rows(self) -> list[Row]:
        """Each item in both orders, by letter."""
        return [
            self.by_letter(_row(number, order, item))
            for number, item in enumerate(self._read["items"])
            for order in (0, 1)
        ]

    def by_letter(self, row: Row) -> Row:
        """The same question with its options behind letters, and the letters as choices."""
        first, second = row["choices"]
        asked = self._read["frame"].format(question=row["input"], first=first, second=second).strip()
        return {**row, "input": asked, "choices": ["A", "B"]}

    def check(self, model: Any, out: Path, progress: Told, system: str | None = None) -> dict[str, Any]:
        """Scores the control's rows into `out`; `n`, how many items are `right`, the `rate`, and whether it is `passed`.

        An item is right where both orders are, so that a model that always says A has none, and guessing gets a quarter.
        """
        score_with(model, self.rows, out, progress, system)
        by_item: dict[str, bool] = {}
        for row in read_jsonl(out):
            by_item[row["item"]] = by_item.get(row["item"], True) and (row["margin"] or 0) > 0
        n, right = len(by_item), sum(by_item.values())
        return {"n": n, "right": right, "rate": right / n, "passed": is_clear(right, n)}


def is_clear(right: int, n: int) -> bool:
    """Whether a share of right items is far beyond chance: the lower end of Wilson's 95 % interval is at least LEAST. Of 20
    items one may be missed."""
    from statsmodels.stats.proportion import proportion_confint

    return float(proportion_confint(right, n, method="wilson")[0]) >= LEAST


@dataclass(frozen=True)
class ByLetter:
    """Rows, asked by letter."""

    rows: Rows
    control: FormatControl

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int, /) -> Row:
        return self.control.by_letter(self.rows[number])


def _row(number: int, order: int, item: dict[str, str]) -> Row:
    pair = [item["right"], item["wrong"]]
    return {
        "id": f"format_control-{number}-{order}",
        "about": [],
        "input": item["question"],
        "choices": pair if order == 0 else pair[::-1],
        "target": "AB"[order],
        "metadata": {"eval": "format_control", "item": str(number), "order": order, "topic": "plain", "rung": None},
    }
