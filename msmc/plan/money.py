"""What writing costs: low, expected, worst; by a dated price, or unknown."""

from collections.abc import Iterable
from typing import NamedTuple

from msmc.plan.writing import Writing
from msmc.writer import Price


class Money(NamedTuple):
    low: float
    """Every prefix that was sent before is cached, and replies are short."""
    expected: float
    worst: float
    """Nothing is cached and all of it stored, every reply takes all that it may, every row that the gates may take is written
    again, and each row is tried as often as the target lets it."""


def money(writing: Iterable[Writing], price: Price) -> Money:
    low = expected = worst = 0.0
    for w in writing:
        prompt, reply = w.prompt, w.reply
        low += price.cost(max(0.0, prompt.value - prompt.error), w.cached * prompt.value, 0, w.shortest)
        expected += price.cost(prompt.value, w.expected_cached * prompt.value, 0, reply.value)
        most = w.attempts * (w.rows + w.reserve) / max(1, w.rows)
        worst += price.most((prompt.value + prompt.error) * most, w.longest * most)
    return Money(min(low, expected), expected, max(worst, expected))
