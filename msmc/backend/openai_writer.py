"""The writer `openai`: planned rows to a served model, through the chat API that most servers speak."""

import asyncio
import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import httpx2
import openai

from msmc.backend.completions import reply_of
from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import CapReached, Meter, most_of
from msmc.diagnostics import Failed, fail
from msmc.writer import OPENAI, Served

SAID = 300
"""Characters of a server's own words that are told."""
PART = 8
"""Characters of a key that are part of it and no accident."""
Running = dict[asyncio.Task[Reply | None], Request]


class Http(openai.DefaultAsyncHttpxClient):
    """Gives up a request whose answer is not there in time, however it trickles; the client then tries again, as after a
    time-out of its own, which is for each read."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        try:
            async with asyncio.timeout(self._seconds):
                return await super().send(request, **how)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("", request=request) from error


class OpenAIWriter:
    """Sends requests, so many at a time as the target says. Replies are handed on as they arrive."""

    def __init__(self, served: Served, meter: Meter) -> None:
        self.served, self.meter = served, meter
        self._key = api_key(served)
        self._runner = asyncio.Runner()
        self._odd = Counter[str]()
        self._client = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=served.url,
            timeout=served.timeout,
            max_retries=served.retries,
            http_client=Http(served.timeout),
        )
        if served.url != OPENAI:  # the client takes them from the environment, and sends them with each request
            self._client.organization = self._client.project = None

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def send(self, requests: list[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        """Raises CapReached before a cap is passed, and Failed where the server gives no reply. In both cases, and when it is
        stopped, what has arrived is handed on first; a failure waits for what is on its way, because it may be paid for."""
        left, running = deque(requests), Running()
        failure: openai.OpenAIError | None = None
        try:
            while left or running:
                while left and not failure and len(running) < self.served.concurrency and self._admitted(left[0]):
                    request = left.popleft()
                    running[self._runner.get_loop().create_task(self._ask(request))] = request
                if not running:
                    break
                self._runner.run(_first(running))
                arrived, failure = self._collected(running, left, failure)
                yield arrived
        except KeyboardInterrupt:
            yield self._collected(running, left, failure)[0]
            raise
        finally:
            self._runner.run(_cancelled(running))
        if failure:
            raise self._failed(failure) from None
        if left:
            raise CapReached(most_of(left[0], self.served.max_tokens))

    def _admitted(self, request: Request) -> bool:
        return self.meter.admit(request, most_of(request, self.served.max_tokens))

    async def _ask(self, request: Request) -> Reply | None:
        messages: list[Any] = [message.model_dump() for message in request.prefix.messages]
        messages.append({"role": "user", "content": request.row.prompt})
        # OpenAI's newer models refuse `max_tokens`, other servers may know nothing else
        limit = "max_completion_tokens" if self.served.url == OPENAI else "max_tokens"
        sampling: dict[str, Any] = {limit: self.served.max_tokens, "seed": request.row.seed}
        if self.served.temperature is not None:
            sampling["temperature"] = self.served.temperature
        ask = self._client.chat.completions.with_raw_response.create
        answer = await ask(model=self.served.model, messages=messages, **sampling)
        return reply_of(answer.content, request)

    def _collected(
        self, running: Running, left: deque[Request], failure: openai.OpenAIError | None
    ) -> tuple[list[tuple[Request, Reply]], openai.OpenAIError | None]:
        """What is done of the running requests, and the first failure. Where an answer is no reply, its request is left again."""
        arrived = []
        for task in [task for task in running if task.done() and not task.cancelled()]:
            request, error = running.pop(task), task.exception()
            if isinstance(error, openai.OpenAIError):
                failure = failure or error
            elif error:
                raise error
            elif reply := task.result():
                arrived.append((request, reply))
                self.meter.arrived(request, reply)
            else:
                self.meter.lost(request)
                self._odd[request.key] += 1
                if self._odd[request.key] > self.served.retries:
                    failure = failure or openai.OpenAIError()
                else:
                    left.append(request)
        return arrived, failure

    def _failed(self, error: openai.OpenAIError) -> Failed:
        """A server that gives no replies.

        writer-failed: A served writer that cannot be reached, refuses a request, or answers with nothing.

        What a busy server answers (429, 5xx, a broken connection), and what is no reply of the chat API, is tried again
        `writer.retries` times before. Every reply that came is in the ledger, and the same command goes on from there.

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

    def _words(self, error: openai.OpenAIError) -> tuple[str, str]:
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
            case openai.APITimeoutError():
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


async def _first(running: Running) -> None:
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)


async def _cancelled(running: Running) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _said(error: openai.OpenAIError) -> str:
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
