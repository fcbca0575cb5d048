"""Requests in batches, for tests; `python -m tests.batch_run KIND URL LEDGER NUMBER` sends so many, and may be killed."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from msmc.backend.ledger import Ledger, Reply, Request
from msmc.backend.meter import NO_CAPS, Caps, Meter
from msmc.backend.senders import provider_of
from msmc.backend.tokens import Tokens
from msmc.backend.writers.batches import Batches, Pauses
from msmc.writer import FREE, Anthropic, Remote, Served
from tests.unit.backend.test_ledger import request

QUICK = Pauses(first=0.02, growth=1.1, most=0.1, settle=0.1)


def served(kind: str, url: str, **keys: Any) -> Remote:
    how = {"kind": kind, "model": "m", "batch": True, "max_tokens": 50, "retries": 2, **keys}
    return Anthropic(base_url=url, **how) if kind == "anthropic" else Served(base_url=f"{url}/v1", **how)


def requests(number: int) -> list[Request]:
    return [request(n, prompt=f"Write {n}.") for n in range(number)]


class Told:
    def __init__(self) -> None:
        self.lines = list[tuple[int, int, int]]()

    def __call__(self, *line: int) -> None:
        self.lines.append(line)  # type: ignore[arg-type]


def sender(model: Remote, ledger: Path, caps: Caps = NO_CAPS, told: Told | None = None, **limits: int) -> Batches:
    provider: Any = provider_of(model)
    for limit, value in limits.items():
        setattr(provider, limit, value)
    return Batches(provider, model, ledger, Meter(caps, FREE, Tokens()), told or Told(), QUICK)


def replies(one: Batches, ledger: Path, asked: list[Request]) -> dict[str, Reply]:
    def send(some: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        return one.send(some)

    with closing(Ledger(ledger)) as kept, closing(one):
        return {request.row.id: reply for request, reply in kept.replies(asked, send)}


if __name__ == "__main__":
    kind, url, place, number = sys.argv[1:]
    replies(sender(served(kind, url), Path(place)), Path(place), requests(int(number)))
