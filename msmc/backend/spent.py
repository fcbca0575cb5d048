"""What writing a corpus took: replies that were asked for, their tokens, money and seconds. It is no part of what a corpus is."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmc.backend.adapter import write_json
from msmc.backend.meter import Meter, Usage
from msmc.diagnostics import Failed
from msmc.stored import read_json

TIMING = "timing.json"


@dataclass(frozen=True)
class Spending:
    """From here on: what a meter and those beside it count, on a clock."""

    meter: Meter
    before: tuple[Usage, ...]
    started: float

    @classmethod
    def begin(cls, meter: Meter) -> "Spending":
        return cls(meter, tuple(each.used for each in meter.every), time.monotonic())

    def write(self, folder: Path, earlier: Path | None) -> None:
        """Into a stage's folder; `earlier`: that of the corpus it is made of, which cost something too. What other commands paid
        for is in the ledger, and is none of it."""
        price = self.meter.price
        new = [(each.price, each.used - before) for each, before in zip(self.meter.every, self.before, strict=True)]
        used = sum((usage for _, usage in new), Usage())
        found = {
            "replies": used.replies,
            "prompt_tokens": used.prompt,
            "cached_tokens": used.cached,
            "reply_tokens": used.reply,
            "counted": used.counted,
            "cost": sum((usage.cost(of) for of, usage in new if of), 0.0),
            "seconds": time.monotonic() - self.started,
        }
        told = read_spent(earlier) if earlier else {}
        sums = {key: round(value + told.get(key, 0), 6) for key, value in found.items()}
        write_json(folder / TIMING, sums | {"currency": price.currency if price else None})


def read_spent(folder: Path) -> dict[str, Any]:
    """What `Spending.write` wrote; nothing where it is gone, which is no more than a figure that is lost."""
    try:
        return read_json(folder / TIMING)
    except Failed:
        return {}
