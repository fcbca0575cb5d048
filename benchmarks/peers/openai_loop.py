"""The peer of `writing_rate.py`: PORT NUMBER CONCURRENCY. The `openai` client in a loop, so many requests at a time, nothing kept
but the texts' lengths."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "work"))
from asked import Asked, served

from msmc.backend.ledger import Request
from msmc.backend.writers.openai import client_of, params

port, number, concurrency = map(int, sys.argv[1:])
how = served(port, concurrency)


async def loop() -> int:
    client, left, got = client_of(how, None), iter(Asked(number)), 0

    async def works(requests: Iterator[Request]) -> None:
        nonlocal got
        for request in requests:
            reply = await client.chat.completions.create(**params(request, how))
            got += bool(reply.choices[0].message.content)

    await asyncio.gather(*(works(left) for _ in range(concurrency)))
    await client.close()
    return got


started = time.perf_counter()
assert asyncio.run(loop()) == number
seconds = time.perf_counter() - started
print(json.dumps({"figure": number / seconds, "cpu": number / time.process_time()}))
