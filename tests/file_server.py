"""A server that speaks OpenAI's files and batches on loopback."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from tests.chat_server import Server
from tests.stand_in import Batch, Moments, Refusal

UPLOAD = b"Content-Type: multipart/form-data; boundary="


@dataclass
class FileServer(Server):
    """`becomes`: what becomes of a request by its prompt and the number of its batch: a status, `expired` or `cancelled`."""

    looks: int = 1
    becomes: Callable[[str, int], int | str] = lambda prompt, batch: 200
    refuses: Callable[[int], str] = lambda batch: ""
    """The code of an error for a batch as a whole, by its number."""
    moments: Moments = field(default_factory=Moments)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    uploads: int = 0
    address: str = ""

    def obey(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        match method, path.strip("/").split("/")[1:]:
            case "POST", ["files"]:
                return self._told_file(self._uploaded(body))
            case "GET", ["files"]:
                found = [
                    self._told_file(file) for file in self.files if self.files[file]["purpose"] == query["purpose"]
                ]
                return {"object": "list", "data": found, "has_more": False}
            case "GET", ["files", file, "content"]:
                return iter([json.loads(line) for line in self._file(file)["lines"]])
            case "DELETE", ["files", file]:
                self._file(file)
                del self.files[file]
                return {"id": file, "object": "file", "deleted": True}
            case "POST", ["batches"]:
                return self._told(self._begun(json.loads(body)))
            case "GET", ["batches"]:
                return {"object": "list", "data": [self._told(b) for b in self.batches[::-1]], "has_more": False}
            case "GET", ["batches", batch_id]:
                batch = next(batch for batch in self.batches if batch.id == batch_id)
                batch.looks += 1
                if batch.looks >= self.looks and not batch.ended:
                    self._end(batch)
                return self._told(batch)
        raise Refusal(404, {"error": {"message": path}})

    def _file(self, file: str) -> dict[str, Any]:
        if file not in self.files:
            raise Refusal(404, {"error": {"message": f"no file {file}"}})
        return self.files[file]

    def _uploaded(self, body: bytes) -> str:
        boundary = body[2 : body.index(b"\r\n")]
        parts = message_from_bytes(UPLOAD + boundary + b"\r\n\r\n" + body).get_payload()
        by_name: dict[str, Any] = {part.get_param("name", header="content-disposition"): part for part in parts}  # type: ignore[union-attr]
        lines = by_name["file"].get_payload(decode=True).decode().strip("\n").split("\n")
        self.uploads += 1
        about = {"name": by_name["file"].get_filename(), "purpose": by_name["purpose"].get_payload()}
        return self._new_file(lines, **about)

    def _new_file(self, lines: list[str], **about: str) -> str:
        file = f"file-{len(self.files)}-{self.uploads}-{about['purpose']}"
        self.files[file] = {"lines": lines, **about}
        return file

    def _told_file(self, file: str) -> dict[str, Any]:
        kept = self.files[file]
        size = sum(map(len, kept["lines"]))
        told = {"id": file, "object": "file", "bytes": size, "created_at": 0, "status": "processed"}
        return told | {"filename": kept["name"], "purpose": kept["purpose"]}

    def _begun(self, asked: dict[str, Any]) -> Batch:
        assert asked["endpoint"] == "/v1/chat/completions" and asked["completion_window"] == "24h"
        requests = [json.loads(line) for line in self._file(asked["input_file_id"])["lines"]]
        assert len({request["custom_id"] for request in requests}) == len(requests)
        assert all(request["method"] == "POST" and request["url"] == asked["endpoint"] for request in requests)
        about = {"input_file_id": asked["input_file_id"], "metadata": asked["metadata"]}
        self.batches.append(Batch(f"batch_{len(self.batches)}", requests, more=about))
        return self.batches[-1]

    def _end(self, batch: Batch) -> None:
        batch.ended = True
        number = self.batches.index(batch)
        batch.more["status"] = "completed"
        if code := self.refuses(number):
            error = {"code": code, "message": f"no: {code}", "line": None, "param": None}
            batch.more |= {"status": "failed", "errors": {"object": "list", "data": [error]}}
            return
        good, bad = list[str](), list[str]()
        for request in batch.requests[::-1]:
            became = self.becomes(request["body"]["messages"][-1]["content"], number)
            if became == 200:
                response: Any = {"status_code": 200, "request_id": "r", "body": self._completion(request["body"])}
                good.append(json.dumps({"custom_id": request["custom_id"], "response": response, "error": None}))
                continue
            error = None
            if isinstance(became, int):
                response = {"status_code": became, "request_id": "r", "body": {"error": {"message": f"no: {became}"}}}
            else:
                batch.more["status"] = became
                response, error = None, {"code": f"batch_{became}", "message": "Too late."}
            bad.append(json.dumps({"custom_id": request["custom_id"], "response": response, "error": error}))
        for what, lines in (("output", good), ("error", bad)):
            if lines:
                batch.more[f"{what}_file_id"] = self._new_file(lines, name=f"{batch.id}_{what}", purpose="batch_output")

    def _told(self, batch: Batch) -> dict[str, Any]:
        done = len(batch.requests) if batch.ended else 0
        counts = {"total": len(batch.requests), "completed": done, "failed": 0}
        told = {"id": batch.id, "object": "batch", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return told | {"created_at": 0, "status": "in_progress", "request_counts": counts} | batch.more


def lines_of(server: FileServer) -> Iterator[str]:
    """All lines of all files that are still there."""
    for file in server.files.values():
        yield from file["lines"]
