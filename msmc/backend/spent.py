"""What writing a corpus took: replies that were asked for, their tokens, money and seconds. It is no part of what a corpus is."""

import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from msmc.backend.adapter import write_json
from msmc.backend.meter import Meter, Usage
from msmc.diagnostics import Failed
from msmc.stored import read_json

TIMING = "timing.json"


@dataclass(frozen=True)
class Spending:
    """From here on: what the meters of a command's models count, on a clock."""

    meters: tuple[Meter, ...]
    before: tuple[Usage, ...]
    started: float

    @classmethod
    def begin(cls, meter: Meter) -> "Spending":
        """`meter`: that of any of the models."""
        return cls(meter.every, tuple(model.used for model in meter.every), time.monotonic())

    def write(self, folder: Path, earlier: Path | None) -> None:
        """Into a stage's folder; `earlier`: that of the corpus it is made of, which cost something too. What other commands paid
        for is in the ledger, and is none of it. `currency` is null where nothing was paid for, or nobody knows how much."""
        spent = [_since(before, meter.used) for meter, before in zip(self.meters, self.before, strict=True)]
        used, told = sum(spent, Usage()), read_spent(earlier) if earlier else {}
        asked = [(one, meter.price) for one, meter in zip(spent, self.meters, strict=True) if one.replies]
        currencies = {price.currency if price else None for _, price in asked}
        if told.get("replies"):
            currencies.add(told["currency"])
        found = {
            "replies": used.replies,
            "prompt_tokens": used.prompt,
            "cached_tokens": used.cached,
            "stored_tokens": used.stored,
            "reply_tokens": used.reply,
            "counted": used.counted,
            "cost": sum(one.cost(price) for one, price in asked if price),
            "seconds": time.monotonic() - self.started,
        }
        sums = {key: round(value + told.get(key, 0), 6) for key, value in found.items()}
        write_json(folder / TIMING, sums | {"currency": currencies.pop() if len(currencies) == 1 else None})


def _since(before: Usage, now: Usage) -> Usage:
    return Usage(*(b - a for a, b in zip(astuple(before), astuple(now), strict=True)))


def read_spent(folder: Path) -> dict[str, Any]:
    """What `Spending.write` wrote; nothing where it is gone, which is no more than a figure that is lost."""
    try:
        return read_json(folder / TIMING)
    except Failed:
        return {}
