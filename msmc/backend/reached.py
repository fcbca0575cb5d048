"""Whether a served model can be reached, before anything is trained for it."""

import json
from typing import Any, NamedTuple

import anthropic
import openai

from msmc.backend.writers.failures import APIS, Trouble, trouble_of
from msmc.backend.writers.keys import api_key
from msmc.diagnostics import Failed
from msmc.writer import ANTHROPIC, OPENAI, Anthropic, Remote

SECONDS = 5
"""In which a server says what models it has."""


class Reached(NamedTuple):
    good: bool
    told: str
    advice: str = ""


def reached(served: Remote) -> Reached:
    """What comes of asking which models there are. No key is told, and nothing is asked that costs anything."""
    url, part = served.url, served.part
    try:
        key = api_key(served)
    except Failed as failed:
        return Reached(False, failed.problems[0].message, failed.problems[0].hint)
    with _client(served, key) as client:
        try:
            answer = client.models.with_raw_response.list().http_response.content
        except (openai.APIError, anthropic.APIError) as error:
            sdk = anthropic if isinstance(error, anthropic.APIError) else openai
            return _not(trouble_of(error, sdk.APITimeoutError, sdk.APIConnectionError), served)
    models = _listed(answer)
    if models and served.model not in models:
        others = ", ".join(models[:5]) + (" and others" if len(models) > 5 else "")
        return Reached(True, f"the {part}'s server {url} answers; `{served.model}` is not among its models: {others}")
    return Reached(True, f"the {part} `{served.model}` at {url} answers")


def _client(served: Remote, key: str | None) -> Any:
    """Not asynchronous: one question."""
    how: dict[str, Any] = {"base_url": served.url, "timeout": SECONDS, "max_retries": 0}
    client: Any
    if isinstance(served, Anthropic):
        client = anthropic.Anthropic(api_key=key or "none", **how)
        if served.url != ANTHROPIC:  # the client takes them from the environment, and sends them with each request
            client._custom_headers = {}
        return client
    client = openai.OpenAI(api_key=key or "none", **how)
    if served.url != OPENAI:
        client.organization = client.project = None
    return client


def _not(trouble: Trouble, served: Remote) -> Reached:
    url, part = served.url, served.part
    match trouble:
        case Trouble(status=401 | 403 as status):
            name = served.key_name
            advice = f"look at the key in ${name}" if name else f"name the variable of its key: --set {part}.key=NAME"
            return Reached(False, f"{url} refuses the key of the {part} `{served.model}` ({status})", advice)
        case Trouble(timed_out=True):
            return Reached(False, f"the {part}'s server {url} gave no answer within {SECONDS} s", "is it busy loading?")
        case Trouble(status=int(status)) if status >= 500:
            return Reached(False, f"the {part}'s server {url} fails ({status})", "look at its log")
        case Trouble(status=int(status)):
            return Reached(True, f"the {part}'s server {url} answers, and lists no models ({status})")
    advice = f"is it running, and is {part}.base_url its address? Look: curl {url}{APIS[served.kind].models}"
    return Reached(False, f"the {part}'s server {url} cannot be reached", advice)


def _listed(answer: bytes) -> list[str]:
    """Names that can be shown; none where it is no list of models."""
    try:
        told = json.loads(answer.decode("utf-8", "replace"))["data"]
        names = [str(model["id"]) for model in told]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return ["".join(letter if letter.isprintable() else "\ufffd" for letter in name)[:80] for name in names]
