"""The peer in `vllm_writing.py`: a bare loop of the async client, so many requests at a time, that keeps no reply."""

import asyncio
import json
import sys
import time
import urllib.request
from pathlib import Path

import openai


async def loop(bodies: list[dict], url: str, concurrency: int, unshared: bool) -> dict[str, float]:
    """`unshared`: the server finds nothing in its cache that it did not put there for the same request."""
    client, room = openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0), asyncio.Semaphore(concurrency)

    async def ask(number: int, body: dict) -> openai.types.CompletionUsage:
        async with room:
            salt = {"cache_salt": str(number)} if unshared else {}
            return (await client.chat.completions.create(**body, extra_body=salt)).usage

    started = time.perf_counter()
    used = await asyncio.gather(*(ask(number, body) for number, body in enumerate(bodies)))
    seconds = time.perf_counter() - started
    await client.close()
    said, asked = (sum(getattr(one, f"{part}_tokens") for one in used) for part in ("completion", "prompt"))
    return {"figure": said / seconds, "prompts": asked}


if __name__ == "__main__":
    emptied = urllib.request.Request(f"{sys.argv[2].removesuffix('/v1')}/reset_prefix_cache", method="POST")
    urllib.request.urlopen(emptied).close()
    bodies = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    print(json.dumps(asyncio.run(loop(bodies, sys.argv[2], int(sys.argv[3]), sys.argv[4:] == ["unshared"]))))
