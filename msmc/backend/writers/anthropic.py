"""The writer `anthropic`: planned rows to a model behind Anthropic's messages API.

That API takes no seed. A row's seed is part of the request's key all the same, so that rows with the same prompt are asked for
each on its own, and a further attempt at a row is a further request.
"""

import json
from typing import Any

import anthropic
import httpx2

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import Meter
from msmc.backend.writers.completions import HALVES, MOST, UNKNOWN, UNTOLD, Counts, can_be, ending_of
from msmc.backend.writers.failures import failed, trouble_of
from msmc.backend.writers.keys import api_key
from msmc.backend.writers.limit import Limit
from msmc.backend.writers.pool import Pool
from msmc.diagnostics import Failed
from msmc.writer import ANTHROPIC, Anthropic

ENDINGS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}
"""Why a message ended, in the words of the ledger; others are kept as they are: `refusal`."""
CONNECTION = (anthropic.APITimeoutError, anthropic.APIConnectionError)
CACHE = {"type": "ephemeral"}
"""On the last block that the rows of a clause share: the server keeps what is before it for some minutes."""


def anthropic_writer(served: Anthropic, meter: Meter) -> Pool:
    """Raises Failed `no-key`."""
    limit, most = Limit(served.concurrency), served.max_tokens
    return Pool(Messages(served), limit, meter, max_tokens=most, timeout=served.timeout, retries=served.retries)


class Messages:
    """The messages API, asked once for each request: the pool has the time-outs and the retries. Raises Failed `no-key`."""

    errors = (anthropic.AnthropicError,)

    def __init__(self, served: Anthropic) -> None:
        self.served = served
        self.key = api_key(served)
        self.client = client_of(served, self.key)

    async def ask(self, request: Request) -> Reply | None:
        """None where the answer is no message."""
        answer = await self.client.messages.with_raw_response.create(**asked(request, self.served))
        return read(await answer.read(), request)

    def failure(self, error: Exception) -> Failed:
        return failed(trouble_of(error, *CONNECTION), self.served, self.key)

    async def close(self) -> None:
        await self.client.close()


def client_of(served: Anthropic, key: str | None, timeout: float | None = None) -> anthropic.AsyncAnthropic:
    """Retries and time-outs of whole requests are the caller's affair. `timeout`: seconds for each part of one."""
    most = httpx2.Limits(max_connections=served.concurrency, max_keepalive_connections=served.concurrency)
    client = anthropic.AsyncAnthropic(
        api_key=key or "none",
        base_url=served.url,
        timeout=timeout,
        max_retries=0,
        http_client=anthropic.DefaultAsyncHttpxClient(limits=most, timeout=None),
    )
    if served.url != ANTHROPIC:  # the client takes them from the environment, and sends them with each request
        client._custom_headers = {}
    return client


def asked(request: Request, served: Anthropic) -> dict[str, Any]:
    """What the client's `create` takes for a request. Its types know no `temperature`, which newer models refuse."""
    warm = {} if served.temperature is None else {"extra_body": {"temperature": served.temperature}}
    return params(request, served) | warm


def params(request: Request, served: Anthropic) -> dict[str, Any]:
    """Of a message, without the temperature."""
    shared = [message for message in request.prefix.messages if message.content]  # the API takes no empty text
    blocks: list[dict[str, Any]] = [{"type": "text", "text": message.content} for message in shared]
    if blocks:
        blocks[-1]["cache_control"] = CACHE
    pairs = list(zip(shared, blocks, strict=True))
    system = [block for message, block in pairs if message.role == "system"]
    turns = [{"role": message.role, "content": [block]} for message, block in pairs if message.role != "system"]
    messages = [*turns, {"role": "user", "content": request.row.prompt}]
    told: dict[str, Any] = {"model": served.model, "max_tokens": served.max_tokens, "messages": messages}
    if system:
        told["system"] = system
    if request.schema is not None:
        told["output_config"] = {"format": {"type": "json_schema", "schema": json.loads(request.schema)}}
    return told


# ---- replies ----------------------------------------------------------------------------------------------------------------


def read(answer: bytes, request: Request) -> Reply | None:
    """None where the answer is no message."""
    try:
        return reply_of(json.loads(answer.decode("utf-8", "replace")), request)
    except (ValueError, RecursionError):  # it breaks off; a page for people
        return None


def reply_of(message: Any, request: Request) -> Reply | None:
    """The same of a parsed answer. A server may say anything: only what can be kept and counted with is taken."""
    match message:
        case {"type": "message", "content": [*blocks], **more}:
            texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
            if all(isinstance(text, str) for text in texts):
                raw = HALVES.sub(UNKNOWN, "".join(map(str, texts)))
                told = ending_of(more.get("stop_reason"))
                return Reply(raw, ENDINGS.get(told or "", told), *_counts(more.get("usage"), request, raw))
    return None


def _counts(usage: Any, request: Request, raw: str) -> Counts:
    """Tokens of the prompt with those that were read from the cache or written to it, which the API counts apart."""
    sizes = [*(message.content for message in request.prefix.messages), request.row.prompt]
    match usage:
        case {"input_tokens": int(new), "output_tokens": int(reply), **more}:
            from_cache = [more.get(f"cache_{what}_input_tokens") or 0 for what in ("read", "creation")]
            known = [n for n in (new, *from_cache) if isinstance(n, int) and 0 <= n <= MOST]
            if len(known) < 3:
                return UNTOLD
            prompt, cached, stored = sum(known), *known[1:]
            if can_be(prompt, sum(len(text.encode()) for text in sizes)) and can_be(reply, len(raw.encode())):
                return prompt, cached, reply, stored
    return UNTOLD
