"""OpenAI's batches: a file of requests is uploaded, and answers come back in files. A batch bears the digest of its intention."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import openai
from openai.types import Batch

from msmc.backend.ledger import Reply, Request
from msmc.backend.writers.batch_provider import NONE, Entry, Found, Outcome, State, lines_in
from msmc.backend.writers.completions import reply_in
from msmc.backend.writers.failures import Trouble, failed, trouble_of, words_in
from msmc.backend.writers.keys import api_key
from msmc.backend.writers.openai import CONNECTION, client_of, format_of, params
from msmc.backend.writers.submitted import Intent
from msmc.diagnostics import Failed
from msmc.writer import Served

SLOW = 600
"""Seconds for the provider to take a file."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
AGAIN = frozenset({408, 409, 429})
"""Below 500, what may be otherwise at the next try."""
FULL = "token_limit_exceeded"
"""What a batch says that can be submitted when others have ended."""
MARK = "msmc"
"""The key of a batch's metadata that has the digest of its intention."""


class FileBatches:
    """A `BatchProvider`. Raises Failed `no-key`."""

    errors = (openai.OpenAIError, httpx2.HTTPError)
    most_requests = 50_000
    most_bytes = 200_000_000

    def __init__(self, served: Served) -> None:
        self.served = served
        self.key = api_key(served)
        self._client = client_of(served, self.key, served.timeout)
        self._uploaded: tuple[Intent, str] | None = None
        """The last file, for a further try at its batch."""

    async def close(self) -> None:
        await self._client.close()

    def line(self, request: Request) -> bytes:
        body = params(request, self.served) | (format_of(request.schema) if request.schema else {})
        head = {"custom_id": request.key, "method": "POST", "url": "/v1/chat/completions"}
        return json.dumps(head | {"body": body}, ensure_ascii=False).encode() + b"\n"

    def reply(self, answer: Any, request: Request) -> Reply | None:
        return reply_in(answer, request)

    async def newest(self) -> str | None:
        """A batch is found by its digest alone."""
        return None

    async def submit(self, file: Path, intent: Intent) -> str:
        if self._uploaded is None or self._uploaded[0] != intent:
            with file.open("rb") as stream:
                named = (_name(intent), stream)
                uploaded = await self._client.files.create(file=named, purpose="batch", timeout=SLOW)
            self._uploaded = intent, uploaded.id
        batch = await self._client.batches.create(
            input_file_id=self._uploaded[1],
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={MARK: intent.digest},
            timeout=SLOW,
        )
        return batch.id

    async def find(self, intent: Intent, known: set[str], holds: Callable[[str], bool]) -> Found:
        async for batch in self._client.batches.list(limit=100):
            if batch.id not in known and (batch.metadata or {}).get(MARK) == intent.digest:
                return Found(batch.id)
        return Found()

    async def forget(self, intent: Intent) -> None:
        async for file in self._client.files.list(purpose="batch"):
            if file.filename == _name(intent):
                await self._delete(file.id)

    async def state(self, batch_id: str) -> State:
        batch = await self._client.batches.retrieve(batch_id)
        counts = batch.request_counts
        done = counts.completed + counts.failed if counts else 0
        if batch.status == "failed":
            return State(True, 0, 0, _said(batch))
        return State(batch.status in ENDED, done, counts.total if counts else 0)

    async def entries(self, batch_id: str) -> AsyncGenerator[Entry, None]:
        batch = await self._client.batches.retrieve(batch_id)
        canceled = batch.status == "cancelled"
        for file in (batch.output_file_id, batch.error_file_id):
            if file:
                async with self._client.files.with_streaming_response.content(file) as answer:
                    async for line in lines_in(answer.iter_bytes()):
                        yield _entry(line)
        if canceled:
            yield Entry("", Outcome.CANCELED)

    async def clean(self, batch_id: str) -> None:
        batch = await self._client.batches.retrieve(batch_id)
        for file in (batch.input_file_id, batch.output_file_id, batch.error_file_id):
            if file:
                await self._delete(file)

    async def _delete(self, file: str) -> None:
        with suppress(openai.NotFoundError):  # it was deleted before a kill
            await self._client.files.delete(file)

    def trouble(self, error: Exception) -> Trouble:
        return trouble_of(error, *CONNECTION)

    def failure(self, trouble: Trouble) -> Failed:
        return failed(trouble, self.served, self.key)


def _name(intent: Intent) -> str:
    return f"msmc-{intent.digest[:32]}.jsonl"


def _said(batch: Batch) -> str:
    """Why none of the requests was taken; nothing where it can be submitted again."""
    errors = (batch.errors and batch.errors.data) or []
    if any(error.code == FULL for error in errors):
        return ""
    return next((error.message for error in errors if error.message), "the batch failed")


def _entry(line: bytes) -> Entry:
    """What is no result is of no request, and leaves one without an answer."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return NONE
    match told:
        case {"custom_id": str(key), "response": {"status_code": 200, "body": body}}:
            return Entry(key, Outcome.ANSWERED, body)
        case {"custom_id": str(key), "response": {"status_code": int(status), "body": body}}:
            refused = status < 500 and status not in AGAIN
            return Entry(key, Outcome.REFUSED if refused else Outcome.AGAIN, words_in(body))
        case {"custom_id": str(key)}:
            return Entry(key, Outcome.AGAIN)  # `batch_expired`, `batch_cancelled`
    return NONE
