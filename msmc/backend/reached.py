"""Whether a served model can be reached, before anything is trained for it."""

import json
from typing import NamedTuple

import openai

from msmc.backend.writers.openai import api_key
from msmc.diagnostics import Failed
from msmc.writer import OPENAI, Served

SECONDS = 5
"""In which a server says what models it has."""


class Reached(NamedTuple):
    good: bool
    told: str
    advice: str = ""


def reached(served: Served) -> Reached:
    """What comes of `GET /models`. No key is told, and nothing is asked that costs anything."""
    url, part = served.url, served.part
    try:
        key = api_key(served)
    except Failed as failed:
        return Reached(False, failed.problems[0].message, failed.problems[0].hint)
    client = openai.OpenAI(api_key=key or "none", base_url=url, timeout=SECONDS, max_retries=0)
    if url != OPENAI:  # the client takes them from the environment, and sends them with each request
        client.organization = client.project = None
    with client:
        try:
            answer = client.models.with_raw_response.list().content
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            name = served.key_name
            advice = f"look at the key in ${name}" if name else f"name the variable of its key: --set {part}.key=NAME"
            return Reached(False, f"{url} refuses the key of the {part} `{served.model}` ({error.status_code})", advice)
        except openai.APITimeoutError:
            return Reached(False, f"the {part}'s server {url} gave no answer within {SECONDS} s", "is it busy loading?")
        except openai.APIConnectionError:
            advice = f"is it running, and is {part}.base_url its address? Look: curl {url}/models"
            return Reached(False, f"the {part}'s server {url} cannot be reached", advice)
        except openai.APIStatusError as error:
            if error.status_code >= 500:
                return Reached(False, f"the {part}'s server {url} fails ({error.status_code})", "look at its log")
            return Reached(True, f"the {part}'s server {url} answers, and lists no models ({error.status_code})")
    models = _listed(answer)
    if models and served.model not in models:
        others = ", ".join(models[:5]) + (" and others" if len(models) > 5 else "")
        return Reached(True, f"the {part}'s server {url} answers; `{served.model}` is not among its models: {others}")
    return Reached(True, f"the {part} `{served.model}` at {url} answers")


def _listed(answer: bytes) -> list[str]:
    """Names that can be shown; none where it is no list of models."""
    try:
        told = json.loads(answer.decode("utf-8", "replace"))["data"]
        names = [str(model["id"]) for model in told]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return ["".join(letter if letter.isprintable() else "\ufffd" for letter in name)[:80] for name in names]
