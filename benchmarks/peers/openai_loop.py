"""PORT NUMBER CONCURRENCY: the `openai` client in a loop, with requests as in `work/asked.py`; nothing is kept."""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai

sys.path.insert(0, str(Path(__file__).parents[1]))
from prose import sentences

port, number, concurrency = map(int, sys.argv[1:])


def asked() -> Iterator[dict[str, object]]:
    draw = random.Random(0)
    prefixes = [{"role": "system", "content": sentences(draw, 550)} for _ in range(20)]
    for n in range(number):
        messages = [prefixes[n % 20], {"role": "user", "content": f"{n}. {sentences(draw, 60)}"}]
        yield {"model": "instant", "messages": messages, "max_tokens": 512, "seed": n, "temperature": 1.0}


async def works(client: openai.AsyncOpenAI, left: Iterator[dict[str, object]]) -> int:
    return sum([bool((await client.chat.completions.create(**one)).choices[0].message.content) for one in left])


async def loop() -> int:
    left = asked()
    async with openai.AsyncOpenAI(api_key="none", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0) as client:
        return sum(await asyncio.gather(*(works(client, left) for _ in range(concurrency))))


started = time.perf_counter()
assert asyncio.run(loop()) == number
print(json.dumps({"figure": number / (time.perf_counter() - started), "cpu": number / time.process_time()}))
