"""What a provider answers in place of a reply, in words for the user: the same words for all providers, and no key in any."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import httpx2

from msmc.backend.writers.limit import seconds_told
from msmc.diagnostics import Failed, fail
from msmc.writer import Remote

SAID = 300
"""Characters of a server's own words that are told."""
PART = 8
"""Characters of a key that are part of it and no accident."""


class Api(NamedTuple):
    """What a provider's interface is called, what stands at the end of its address, and where its models are listed."""

    name: str
    ending: str
    models: str


APIS = {
    "openai": Api("chat API", ", which mostly ends in /v1", "/models"),
    "anthropic": Api("messages API", ", which mostly ends before /v1", "/v1/models"),
}


class Trouble(NamedTuple):
    """What a provider's client raised, as far as all have it. With nothing given, an answer that is no reply."""

    status: int | None = None
    timed_out: bool = False
    unreachable: bool = False
    said: str = ""
    """The server's own words."""
    wait: float | None = None
    """Seconds after which the server wants to be asked again."""

    @property
    def passes(self) -> bool:
        """Whether the same may go well later."""
        return self.unsure or self.status == 429

    @property
    def unsure(self) -> bool:
        """Whether the server may have done what it was asked."""
        return self.timed_out or self.unreachable or (self.status or 0) in (408, 409) or (self.status or 0) >= 500


def failed(trouble: Trouble, served: Remote, key: str | None) -> Failed:
    """A server that gives no replies.

    writer-failed: A served writer that cannot be reached, refuses a request, or answers with nothing.

    What a busy server answers (429, 5xx, a broken connection), and what is no reply of its API, is tried again
    `writer.retries` times before. A request that gets no reply while others do is kept as `failed` and stops nothing. Every
    reply that came is in the ledger, and the same command goes on from there.

    Bad:
        writer: {kind: openai, model: gpt-4o-mimi}

    Good:
        writer: {kind: openai, model: gpt-4o-mini}
    """
    told = "" if trouble.status == 401 else " ".join(trouble.said.split())  # a refused key may be part of what it says
    told = "".join(letter if letter.isprintable() else "\ufffd" for letter in told)
    if key:
        told = without(key, f"${served.key_name}", told)
    told = told[:SAID]
    message, hint = _words(trouble, served)
    return fail("writer-failed", message, hint, f"the server says: {told}" if told else "")


def _words(trouble: Trouble, served: Remote) -> tuple[str, str]:
    """What happened, and the next step."""
    part, api = served.part, APIS[served.kind]
    again = "; every reply that came is kept, and the same command goes on"
    match trouble:
        case Trouble(status=401 | 403 as status):
            name = served.key_name
            hint = f"look at the key in ${name}" if name else f"name the variable of its key: --set {part}.key=NAME"
            return f"{served.url} refuses the key of the {part} `{served.model}` ({status})", hint
        case Trouble(status=404):
            hint = f"look at {part}.model, and at {part}.base_url{api.ending}"
            return f"{served.url} has no model `{served.model}`, or no {api.name} (404)", hint
        case Trouble(status=429):
            message = f"{served.url} takes no more requests (429), after {served.retries} retries"
            return message, f"wait, look at the account's limits, or lower {part}.concurrency{again}"
        case Trouble(timed_out=True):
            return f"{served.url} gave no reply within {served.timeout:g} s", f"raise {part}.timeout{again}"
        case Trouble(unreachable=True):
            hint = f"is it running, and is {part}.base_url its address? Look: curl {served.url}{api.models}"
            return f"the {part}'s server {served.url} cannot be reached", hint
        case Trouble(status=int(status)) if status < 500:
            hint = f"look at {part}.temperature, {part}.max_tokens and how long a prompt the model takes"
            return f"{served.url} refuses a request to `{served.model}` ({status})", hint
        case Trouble(status=int(status)):
            return f"{served.url} fails ({status}), after {served.retries} retries", f"wait{again}"
    return f"{served.url} sends what is no reply of the {api.name}", f"look at {part}.base_url{api.ending}{again}"


def trouble_of(error: Exception, timed_out: type[Exception], unreachable: type[Exception]) -> Trouble:
    """What a client raised. The classes: of its errors those of a time-out and of a connection. Amid an answer it lets those of
    the HTTP client below it through."""
    status = getattr(error, "status_code", None)
    if isinstance(error, (TimeoutError, httpx2.TimeoutException, timed_out)):
        return Trouble(timed_out=True)
    if isinstance(error, (httpx2.HTTPError, unreachable)):
        return Trouble(unreachable=True)
    if not isinstance(status, int) or status < 400:
        return Trouble()
    headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
    return Trouble(status, said=words_in(getattr(error, "body", None)), wait=seconds_told(headers))


def words_in(body: object) -> str:
    """A server's own words in the body of an error, which all providers write alike."""
    match body:
        case {"error": {"message": str(said)}} | {"error": {"error": {"message": str(said)}}} | {"message": str(said)}:
            return said
    return ""


def without(key: str, name: str, told: str) -> str:
    """Without the key, or a part of it where a server cut it or masked the rest."""
    told = told.replace(key, name)
    parts = {key[start : start + PART] for start in range(len(key) - PART + 1)}
    hidden = {
        n for start in range(len(told)) if told[start : start + PART] in parts for n in range(start, start + PART)
    }
    return re.sub("\0+", name, "".join("\0" if n in hidden else letter for n, letter in enumerate(told)))
