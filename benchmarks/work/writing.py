"""Ours in `writing_rate.py`: PORT NUMBER CONCURRENCY. Requests through the ledger and the pool, and out of the ledger again.

Its figure is replies a second; `first`: seconds from the arrival of the first reply to when another process could read it."""

import json
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from asked import Asked, served

from msmc.backend.ledger import Ledger, Reply, Request
from msmc.backend.meter import NO_CAPS, Meter
from msmc.backend.tokens import Tokens
from msmc.backend.writers.openai import openai_writer

port, number, concurrency = map(int, sys.argv[1:])
arrived, on_disk = list[float](), list[float]()


def told(_: int) -> None:
    """After each commit."""
    if not on_disk:
        on_disk.append(time.perf_counter())


with tempfile.TemporaryDirectory() as folder:
    pool = openai_writer(served(port, concurrency), Meter(NO_CAPS, None, Tokens(None)))
    asks = pool.provider.ask

    async def ask(request: Request) -> Reply | None:
        reply = await asks(request)
        if not arrived:
            arrived.append(time.perf_counter())
        return reply

    pool.provider.ask = ask  # type: ignore[method-assign]
    started = time.perf_counter()
    with closing(Ledger(Path(folder) / "ledger.sqlite")) as ledger, closing(pool):
        got = sum(1 for _ in ledger.replies(Asked(number), pool.send, told))
    seconds = time.perf_counter() - started
assert got == number
cpu = time.process_time()
print(json.dumps({"figure": number / seconds, "first": on_disk[0] - arrived[0], "cpu": number / cpu}))
