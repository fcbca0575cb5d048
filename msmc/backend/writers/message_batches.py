"""Anthropic's message batches, which have no name of ours: one without an id is known by the requests in its results."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anthropic
import httpx2
from anthropic.types.messages import MessageBatch

from msmc.backend.ledger import Reply, Request
from msmc.backend.writers.anthropic import CONNECTION, client_of, params, reply_of
from msmc.backend.writers.batch_provider import NONE, Entry, Found, Outcome, State, lines_in
from msmc.backend.writers.failures import Trouble, failed, trouble_of
from msmc.backend.writers.keys import api_key
from msmc.backend.writers.submitted import Intent
from msmc.diagnostics import Failed
from msmc.writer import Anthropic

SLOW = 600
"""Seconds for the provider to look through what it was given."""
CHUNK = 2**20
"""Bytes that are read and sent at a time."""
OUTCOMES = {"expired": Outcome.AGAIN, "canceled": Outcome.CANCELED}
REFUSALS = frozenset({"invalid_request_error", "request_too_large", "not_found_error"})
"""Kinds of errors that come again at each try; others are the provider's own."""


class MessageBatches:
    """A `BatchProvider`. Raises Failed `no-key`."""

    errors = (anthropic.AnthropicError, httpx2.HTTPError)
    most_requests = 100_000
    most_bytes = 250_000_000  # 256 MB, with what stands around the requests

    def __init__(self, served: Anthropic) -> None:
        self.served = served
        self.key = api_key(served)
        self._client = client_of(served, self.key, served.timeout)
        self._batches = self._client.messages.batches

    async def close(self) -> None:
        await self._client.close()

    def line(self, request: Request) -> bytes:
        warm = {} if self.served.temperature is None else {"temperature": self.served.temperature}
        told = {"custom_id": request.key, "params": params(request, self.served) | warm}
        return json.dumps(told, ensure_ascii=False).encode() + b"\n"

    def reply(self, answer: Any, request: Request) -> Reply | None:
        return reply_of(answer, request)

    async def newest(self) -> str | None:
        async for batch in self._batches.list(limit=1):
            return batch.id
        return None

    async def submit(self, file: Path, intent: Intent) -> str:
        """The client's own `create` would hold all requests in memory."""
        size = len(START) + file.stat().st_size - 1 + len(END)  # the last line's end is not sent, each other is a comma
        batch = await self._client.post(
            "/v1/messages/batches",
            cast_to=MessageBatch,
            content=_body(file),
            options={"timeout": SLOW, "headers": {"Content-Length": str(size), "Content-Type": "application/json"}},
        )
        return batch.id

    async def find(self, intent: Intent, known: set[str], holds: Callable[[str], bool]) -> Found:
        """A batch tells its requests when it has ended, and how many they are before."""
        later = False
        async for batch in self._batches.list(limit=100):
            if batch.id == intent.newest:
                break
            if batch.id in known or _total(batch) != intent.number:
                continue
            if batch.processing_status != "ended":
                later = True
            elif holds(await self._first_key(batch.id)):
                return Found(batch.id)
        return Found(later=later)

    async def _first_key(self, batch_id: str) -> str:
        entries = self.entries(batch_id)
        try:
            return (await anext(entries)).key
        except StopAsyncIteration:
            return ""
        finally:
            await entries.aclose()

    async def forget(self, intent: Intent) -> None:
        """Nothing is uploaded before a batch is made."""

    async def state(self, batch_id: str) -> State:
        batch = await self._batches.retrieve(batch_id)
        total = _total(batch)
        return State(batch.processing_status == "ended", total - batch.request_counts.processing, total)

    async def entries(self, batch_id: str) -> AsyncGenerator[Entry, None]:
        results = await self._batches.results(batch_id)
        try:
            async for line in lines_in(results.http_response.aiter_bytes()):
                yield _entry(line)
        finally:
            await results.close()

    async def clean(self, batch_id: str) -> None:
        """Nothing was uploaded; a batch's results go after 29 days."""

    def trouble(self, error: Exception) -> Trouble:
        return trouble_of(error, *CONNECTION)

    def failure(self, trouble: Trouble) -> Failed:
        return failed(trouble, self.served, self.key)


START, END = b'{"requests":[', b"]}"


async def _body(file: Path) -> AsyncIterator[bytes]:
    yield START
    left = file.stat().st_size - 1
    with file.open("rb") as stream:
        while left and (some := stream.read(min(left, CHUNK))):
            left -= len(some)
            yield some.replace(b"\n", b",")  # JSON has none inside
    yield END


def _total(batch: MessageBatch) -> int:
    counts = batch.request_counts
    return counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired


def _entry(line: bytes) -> Entry:
    """What is no result is of no request, and leaves one without an answer."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return NONE
    match told:
        case {"custom_id": str(key), "result": {"type": "succeeded", "message": message}}:
            return Entry(key, Outcome.ANSWERED, message)
        case {"custom_id": str(key), "result": {"type": "errored", "error": {"error": {"type": kind, **more}}}}:
            refused = kind in REFUSALS
            return Entry(key, Outcome.REFUSED if refused else Outcome.AGAIN, str(more.get("message", kind)))
        case {"custom_id": str(key), "result": {"type": str(kind)}}:
            return Entry(key, OUTCOMES.get(kind, Outcome.AGAIN))
    return NONE
