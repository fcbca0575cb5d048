"""Anthropic's messages API on loopback, message batches too. Every request is held to the client's own types."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic.types
from anthropic.types import message_create_params
from anthropic.types.messages import batch_create_params
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from tests.stand_in import Batch, Moments, Refusal

Model = Callable[[list[dict[str, Any]], int], tuple[str, str]]
"""The system's blocks and the messages, and the most tokens, to the text and why it ended."""
for module in (anthropic.types, message_create_params, batch_create_params):
    for kind in vars(module).values():
        if is_typeddict(kind):  # pydantic would pass over what they do not know
            kind.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
MESSAGE = TypeAdapter[Any](message_create_params.MessageCreateParamsNonStreaming)
REQUEST = TypeAdapter[Any](batch_create_params.Request)


@dataclass
class MessageServer:
    model: Model
    count: Callable[[str], int]
    key: str | None = None
    looks: int = 1
    """At a batch, until it has ended."""
    becomes: Callable[[str, int], str] = lambda prompt, batch: "succeeded"
    """What becomes of a request by its prompt and the number of its batch: also an error's kind, `expired`, `canceled`."""
    takes_temperature: bool = True
    """Newer models refuse one, and the client's types know none."""
    moments: Moments = field(default_factory=Moments)
    requests: list[dict[str, Any]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=lambda: {"new": 0, "read": 0, "written": 0, "reply": 0})
    address: str = ""
    _heads: set[str] = field(default_factory=set)

    def obey(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        match method, path.strip("/").split("/")[1:]:
            case "POST", ["messages"]:
                asked = json.loads(body)
                self._check(MESSAGE, asked)
                self.requests.append(asked)
                return self._message(asked)
            case "POST", ["messages", "batches"]:
                return self._told(self._begun(json.loads(body)))
            case "GET", ["messages", "batches"]:
                return self._listed(query)
            case "GET", ["messages", "batches", batch_id]:
                self._looked_at(self._batch(batch_id))
                return self._told(self._batch(batch_id))
            case "GET", ["messages", "batches", batch_id, "results"]:
                return self._results(self._batch(batch_id))
        raise refusal(404, "not_found_error", path)

    def _check(self, kind: TypeAdapter[Any], asked: dict[str, Any]) -> None:
        params = dict(asked.get("params", asked))
        if self.takes_temperature:
            assert 0 <= params.pop("temperature", 1) <= 1
        try:
            # what is iterable is checked as it is gone through
            kind.dump_json(kind.validate_python(asked | {"params": params} if "params" in asked else params))
        except ValidationError as error:
            raise refusal(400, "invalid_request_error", str(error)) from None
        for block in [*params.get("system", []), *params["messages"]]:
            if not (block.get("text") or block.get("content")):
                raise refusal(400, "invalid_request_error", "text content blocks must be non-empty")

    def _message(self, asked: dict[str, Any]) -> dict[str, Any]:
        system, most = asked.get("system", []), asked["max_tokens"]
        text, ending = self.model([*system, *asked["messages"]], most)
        head = json.dumps(system)
        shared = sum(self.count(block["text"]) for block in system if "cache_control" in block)
        read = shared if head in self._heads else 0
        self._heads.add(head)
        new = sum(self.count(_text(message["content"])) + 5 for message in asked["messages"])
        used = {"new": new, "read": read, "written": shared - read, "reply": self.count(text)}
        self.used = {what: number + used[what] for what, number in self.used.items()}
        usage = {"input_tokens": new, "output_tokens": used["reply"]}
        usage |= {"cache_read_input_tokens": read, "cache_creation_input_tokens": used["written"]}
        told = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "usage": usage}
        return told | {
            "content": [{"type": "text", "text": text}] if text else [],
            "stop_reason": ending,
            "stop_sequence": None,
        }

    # ---- batches ------------------------------------------------------------------------------------------------------------

    def _begun(self, asked: dict[str, Any]) -> Batch:
        for request in asked["requests"]:
            self._check(REQUEST, request)
        ids = [request["custom_id"] for request in asked["requests"]]
        if len({*ids}) < len(ids) or not all(re.fullmatch(r"[\w-]{1,64}", each) for each in ids):
            raise refusal(400, "invalid_request_error", "custom_ids must be unique")
        self.batches.append(Batch(f"msgbatch_{len(self.batches)}", asked["requests"]))
        return self.batches[-1]

    def _batch(self, batch_id: str) -> Batch:
        return next(batch for batch in self.batches if batch.id == batch_id)

    def _listed(self, query: dict[str, str]) -> dict[str, Any]:
        newest = self.batches[::-1]
        if "after_id" in query:
            newest = newest[newest.index(self._batch(query["after_id"])) + 1 :]
        page = newest[: int(query.get("limit", 20))]
        for batch in page if query.get("limit") != "1" else ():  # who wants the newest alone asks for its name
            self._looked_at(batch)
        ids = {"first_id": page[0].id, "last_id": page[-1].id} if page else {"first_id": None, "last_id": None}
        return {"data": [self._told(batch) for batch in page], "has_more": len(page) < len(newest), **ids}

    def _looked_at(self, batch: Batch) -> None:
        batch.looks += 1
        batch.ended = batch.looks >= self.looks

    def _told(self, batch: Batch) -> dict[str, Any]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for request in batch.requests:
            became = self._becomes(request, batch)
            known = became if became in counts else "errored"
            counts[known if batch.ended else "processing"] += 1
        day = "2026-11-01T00:00:00Z"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if batch.ended else "in_progress",
            "request_counts": counts,
            "created_at": day,
            "expires_at": day,
            "ended_at": day if batch.ended else None,
            "results_url": f"{self.address}/v1/messages/batches/{batch.id}/results" if batch.ended else None,
        }

    def _becomes(self, request: dict[str, Any], batch: Batch) -> str:
        return self.becomes(_text(request["params"]["messages"][-1]["content"]), self.batches.index(batch))

    def _results(self, batch: Batch) -> Iterator[dict[str, Any]]:
        for request in batch.requests[::-1]:  # in no order that one may count on
            became = self._becomes(request, batch)
            result: dict[str, Any] = {"type": became}
            if became == "succeeded":
                result["message"] = self._message(request["params"])
            elif became not in ("expired", "canceled"):
                error = {"type": "error", "error": {"type": became, "message": f"no: {became}"}}
                result = {"type": "errored", "error": error}
            yield {"custom_id": request["custom_id"], "result": result}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block["text"] for block in content)


def refusal(status: int, kind: str, message: str) -> Refusal:
    return Refusal(status, {"type": "error", "error": {"type": kind, "message": message}})
