"""The writer `openai`: planned rows to a served model, through the chat API that most servers speak."""

import json
import os
import re
from typing import Any

import httpx2
import openai

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import Meter
from msmc.backend.writers.completions import reply_of
from msmc.backend.writers.limit import Limit
from msmc.backend.writers.pool import Pool
from msmc.diagnostics import Failed, fail
from msmc.writer import OPENAI, Served

SAID = 300
"""Characters of a server's own words that are told."""
PART = 8
"""Characters of a key that are part of it and no accident."""


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
        most = httpx2.Limits(max_connections=served.concurrency, max_keepalive_connections=served.concurrency)
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=served.url,
            timeout=None,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(limits=most, timeout=None),
        )
        if served.url != OPENAI:  # the client takes them from the environment, and sends them with each request
            self._client.organization = self._client.project = None

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, request: Request) -> Reply | None:
        if request.schema is None or not self._structured:
            return await self._asked(request)
        schema = {"name": "reply", "schema": json.loads(request.schema), "strict": True}
        try:
            return await self._asked(request, response_format={"type": "json_schema", "json_schema": schema})
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            reply = await self._asked(request)  # which tells whether it was the schema
            self._structured = False
            return reply

    async def _asked(self, request: Request, **how: Any) -> Reply | None:
        messages: list[Any] = [message.model_dump() for message in request.prefix.messages]
        messages.append({"role": "user", "content": request.row.prompt})
        # OpenAI's newer models refuse `max_tokens`, other servers may know nothing else
        limit = "max_completion_tokens" if self.served.url == OPENAI else "max_tokens"
        how |= {limit: self.served.max_tokens, "seed": request.row.seed}
        if self.served.temperature is not None:
            how["temperature"] = self.served.temperature
        ask = self._client.chat.completions.with_raw_response.create
        answer = await ask(model=self.served.model, messages=messages, **how)
        return reply_of(answer.content, request)

    def failure(self, error: Exception) -> Failed:
        """A server that gives no replies.

        writer-failed: A served writer that cannot be reached, refuses a request, or answers with nothing.

        What a busy server answers (429, 5xx, a broken connection), and what is no reply of the chat API, is tried again
        `writer.retries` times before. A request that gets no reply while others do is kept as `failed` and stops nothing. Every
        reply that came is in the ledger, and the same command goes on from there.

        Bad:
            writer: {kind: openai, model: gpt-4o-mimi}

        Good:
            writer: {kind: openai, model: gpt-4o-mini}
        """
        told = _said(error)
        if self._key:
            told = _without(self._key, f"${self.served.key_name}", told)
        told = told[:SAID]
        message, hint = self._words(error)
        return fail("writer-failed", message, hint, f"the server says: {told}" if told else "")

    def _words(self, error: Exception) -> tuple[str, str]:
        """What happened, and the next step."""
        served, name, part = self.served, self.served.key_name, self.served.part
        again = "; every reply that came is kept, and the same command goes on"
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                hint = f"look at the key in ${name}" if name else f"name the variable of its key: --set {part}.key=NAME"
                return f"{served.url} refuses the key of the {part} `{served.model}` ({error.status_code})", hint
            case openai.NotFoundError():
                hint = f"look at {part}.model, and at {part}.base_url, which mostly ends in /v1"
                return f"{served.url} has no model `{served.model}`, or no chat API (404)", hint
            case openai.RateLimitError():
                message = f"{served.url} takes no more requests (429), after {served.retries} retries"
                return message, f"wait, look at the account's limits, or lower {part}.concurrency{again}"
            case TimeoutError() | openai.APITimeoutError():
                return f"{served.url} gave no reply within {served.timeout:g} s", f"raise {part}.timeout{again}"
            case openai.APIConnectionError():
                hint = f"is it running, and is {part}.base_url its address? Look: curl {served.url}/models"
                return f"the {part}'s server {served.url} cannot be reached", hint
            case openai.APIStatusError() if error.status_code < 500:
                hint = f"look at {part}.temperature, {part}.max_tokens and how long a prompt the model takes"
                return f"{served.url} refuses a request to `{served.model}` ({error.status_code})", hint
            case openai.APIStatusError():
                return f"{served.url} fails ({error.status_code}), after {served.retries} retries", f"wait{again}"
        return (
            f"{served.url} sends what is no reply of the chat API",
            f"look at {part}.base_url, which mostly ends in /v1{again}",
        )


def api_key(served: Served) -> str | None:
    """From the environment; None where the server asks for none.

    no-key: A served writer whose key is not in the environment.

    Keys stand in no file of a project. A target names the variable that has it; a server of one's own needs none.

    Bad:
        $ env -u OPENAI_API_KEY msmc run tea.msm --set writer.kind=openai --set writer.model=gpt-4o-mini

    Good:
        $ OPENAI_API_KEY=… msmc run tea.msm --set writer.kind=openai --set writer.model=gpt-4o-mini
    """
    name = served.key_name
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        hint = f"export {name}=…, or name the variable that has it: --set {served.part}.key=NAME"
        raise fail("no-key", f"the {served.part} `{served.model}` needs a key, and ${name} is not set", hint)
    return key


def _said(error: Exception) -> str:
    """The server's own words, in one line."""
    if isinstance(error, openai.AuthenticationError) or not isinstance(error, openai.APIStatusError):
        return ""  # a refused key may be part of what it says
    body = error.body
    told = body.get("message") if isinstance(body, dict) else None
    line = " ".join(str(told).split()) if told else ""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)


def _without(key: str, name: str, told: str) -> str:
    """Without the key, or a part of it where a server cut it or masked the rest."""
    told = told.replace(key, name)
    parts = {key[start : start + PART] for start in range(len(key) - PART + 1)}
    hidden = {
        n for start in range(len(told)) if told[start : start + PART] in parts for n in range(start, start + PART)
    }
    return re.sub("\0+", name, "".join("\0" if n in hidden else letter for n, letter in enumerate(told)))
