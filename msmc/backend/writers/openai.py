"""The writer `openai`: planned rows to a served model, through the chat API that most servers speak."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx2
import openai

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import Meter
from msmc.backend.writers.completions import reply_of
from msmc.backend.writers.failures import failed, trouble_of
from msmc.backend.writers.keys import api_key
from msmc.backend.writers.limit import Limit
from msmc.backend.writers.pool import Pool
from msmc.diagnostics import Failed
from msmc.writer import OPENAI, Served

CONNECTION = (openai.APITimeoutError, openai.APIConnectionError)
PLAIN: Mapping[str, Any] = MappingProxyType({})


def openai_writer(served: Served, meter: Meter) -> Pool:
    """Raises Failed `no-key`."""
    return Pool(
        OpenAI(served),
        Limit(served.concurrency),
        meter,
        max_tokens=served.max_tokens,
        timeout=served.timeout,
        retries=served.retries,
    )


class OpenAI:
    """A server of the chat API, asked once for each request: the pool has the time-outs and the retries."""

    errors = (openai.OpenAIError,)

    def __init__(self, served: Served) -> None:
        self.served = served
        self._key = api_key(served)
        self._structured = True
        self._client = client_of(served, self._key)

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, request: Request) -> Reply | None:
        if request.schema is None or not self._structured:
            return await self._asked(request)
        try:
            return await self._asked(request, format_of(request.schema))
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            reply = await self._asked(request)  # which tells whether it was the schema
            self._structured = False
            return reply

    async def _asked(self, request: Request, how: Mapping[str, Any] = PLAIN) -> Reply | None:
        ask = self._client.chat.completions.with_raw_response.create
        answer = await ask(**params(request, self.served), **how)
        return reply_of(answer.content, request)

    def failure(self, error: Exception) -> Failed:
        return failed(trouble_of(error, *CONNECTION), self.served, self._key)


def client_of(served: Served, key: str | None, timeout: float | None = None) -> openai.AsyncOpenAI:
    """Retries and time-outs of whole requests are the caller's affair. `timeout`: seconds for each part of one."""
    most = httpx2.Limits(max_connections=served.concurrency, max_keepalive_connections=served.concurrency)
    client = openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=served.url,
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(limits=most, timeout=None),
    )
    if served.url != OPENAI:  # the client takes them from the environment, and sends them with each request
        client.organization = client.project = None
    return client


def params(request: Request, served: Served) -> dict[str, Any]:
    """The body of a request, without a schema."""
    messages = [message.model_dump() for message in request.prefix.messages]
    messages.append({"role": "user", "content": request.row.prompt})
    # OpenAI's newer models refuse `max_tokens`, other servers may know nothing else
    limit = "max_completion_tokens" if served.url == OPENAI else "max_tokens"
    told = {"model": served.model, "messages": messages, limit: served.max_tokens, "seed": request.row.seed}
    return told if served.temperature is None else told | {"temperature": served.temperature}


def format_of(schema: str) -> dict[str, Any]:
    """The keys of a request that hold its reply to a JSON schema."""
    named = {"name": "reply", "schema": json.loads(schema), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
