"""How much a server takes: how many requests at a time, and when it says to come again."""

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

STEPS = 16
"""Rises from nothing to the most."""
LONGEST = 300.0
"""Seconds to wait at a server's word."""


@dataclass
class Limit:
    """Requests at a time. A busy server halves it, a run of replies raises it again."""

    most: int
    now: int = field(init=False)
    round: int = field(init=False, default=0)
    """Goes up when it falls. What was sent in an earlier round says nothing of this one's limit."""
    _run: int = field(init=False, default=0)
    """Replies since it changed."""

    def __post_init__(self) -> None:
        self.now = self.most

    def answered(self) -> None:
        self._run += 1
        if self.now < self.most and self._run >= self.now:
            self.now, self._run = min(self.most, self.now + max(1, self.most // STEPS)), 0

    def busy(self, round: int) -> None:
        """To a request that was sent in this round. Many are on their way when a server has enough, and halve it once."""
        if round == self.round:
            self.now, self._run, self.round = max(1, self.now // 2), 0, self.round + 1


def seconds_told(headers: Mapping[str, str]) -> float | None:
    """What a server says of when to come again: in seconds, thousandths of them, or by a date; None where it says nothing."""
    told = headers.get("retry-after-ms")
    scale = 1.0 if told is None else 0.001
    told = headers.get("retry-after") if told is None else told
    if told is None:
        return None
    try:
        seconds = float(told) * scale
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST) if seconds == seconds else None
