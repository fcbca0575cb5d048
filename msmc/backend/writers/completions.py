"""What a server of the chat API answers, as a reply. It may say anything: only what can be kept and counted with is taken."""

import json
import re
from typing import Any

from msmc.backend.ledger import Reply, Request

Counts = tuple[int | None, int | None, int | None, int | None]
"""Tokens of the prompt, those of them from a cache, tokens of the reply, and those of the prompt that go into the cache."""
UNTOLD: Counts = (None, None, None, None)
MOST = 10**9
"""Tokens; more than any model reads or writes."""
LONGEST = 32
"""Bytes of a text for each of its tokens, at most: prose has four or five."""
ENDING = re.compile(r"[\w.-]{1,40}", re.ASCII)
HALVES = re.compile("[\ud800-\udfff]")
"""Of a pair of UTF-16: JSON may have one alone, and no file of text can."""
UNKNOWN = "\ufffd"
"""Stands where there was no character."""


def reply_of(answer: bytes, request: Request) -> Reply | None:
    """None where the answer is no reply of the chat API."""
    try:
        told = json.loads(answer.decode("utf-8", "replace"))
    except (ValueError, RecursionError):  # it breaks off; a page for people
        return None
    return reply_in(told, request)


def reply_in(told: Any, request: Request) -> Reply | None:
    """The same of a parsed answer."""
    match told:
        case {"choices": [{"message": {**message}, **choice}, *_]}:
            text, ending = message.get("content") or "", choice.get("finish_reason")
            if not text and isinstance(message.get("refusal"), str):
                text, ending = message["refusal"], "refusal"
            if isinstance(text, str):
                raw = HALVES.sub(UNKNOWN, text)
                return Reply(raw, ending_of(ending), *_counts(told.get("usage"), request, raw))
    return None


def ending_of(told: Any) -> str | None:
    if told is None or (isinstance(told, str) and ENDING.fullmatch(told)):
        return told
    return json.dumps(told)[:40]


def _counts(usage: Any, request: Request, raw: str) -> Counts:
    """Nobody told, where a server tells what cannot be."""
    asked = sum(len(message.content.encode()) for message in request.prefix.messages) + len(request.row.prompt.encode())
    match usage:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(reply), **more}:
            if not (can_be(prompt, asked) and can_be(reply, len(raw.encode()))):
                return UNTOLD
            match more:
                case {"prompt_tokens_details": {"cached_tokens": int(cached)}} if 0 <= cached <= prompt:
                    return prompt, cached, reply, None
            return prompt, None, reply, None
    return UNTOLD


def can_be(tokens: int, size: int) -> bool:
    """Of a text of so many bytes."""
    return size / LONGEST <= tokens <= MOST
