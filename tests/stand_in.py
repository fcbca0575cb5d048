"""What stand-ins of hosted APIs have in common: an HTTP server on loopback that may be told to do something at a moment."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.chat_server import send

Do = Callable[[BaseHTTPRequestHandler], bool]


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Batch:
    """At a provider. It ends after so many looks."""

    id: str
    requests: list[dict[str, Any]]
    looks: int = 0
    ended: bool = False
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Moments:
    """What is done before (`asked`) and after (`done`) a request is obeyed, and whatever it is answers it: True."""

    todo: list[tuple[str, str, Do]] = field(default_factory=list)

    def at(self, moment: str, what: str, do: Do) -> None:
        """Once, at the first request whose method and path begin so."""
        self.todo.append((moment, what, do))

    def come(self, moment: str, what: str, handler: BaseHTTPRequestHandler) -> bool:
        for entry in self.todo:
            if entry[0] == moment and what.startswith(entry[1]):
                self.todo.remove(entry)
                return entry[2](handler)
        return False


class StandIn(Protocol):
    moments: Moments
    key: str | None
    address: str

    def obey(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        """What is answered as JSON; an iterator's items are sent as lines. Raises Refusal."""


@contextmanager
def standing_in(server: StandIn) -> Iterator[str]:
    """Its address, without what a target's base_url ends in."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def obey(self) -> None:
            parts = urlsplit(self.path)
            what = f"{self.command} {parts.path}"
            body = self._body()
            try:
                if server.moments.come("asked", what, self):
                    return None
                if server.key and self.headers["Authorization"] != f"Bearer {server.key}":
                    told = {"error": {"type": "authentication_error", "message": self.headers["Authorization"]}}
                    return send(self, 401, told)
                try:
                    with lock:
                        answer = server.obey(self.command, parts.path, dict(parse_qsl(parts.query)), body)
                except Refusal as refusal:
                    return send(self, refusal.status, refusal.body)
                if server.moments.come("done", what, self):
                    return None
                if isinstance(answer, list | dict):
                    send(self, 200, answer)
                else:
                    self._lines(what, answer)
            except (BrokenPipeError, ConnectionResetError):  # the client was stopped
                self.close_connection = True

        do_GET = do_POST = do_DELETE = obey

        def _body(self) -> bytes:
            assert "chunked" not in (self.headers["Transfer-Encoding"] or ""), "a length is told"
            return self.rfile.read(int(self.headers["Content-Length"] or 0))

        def _lines(self, what: str, lines: Iterator[Any]) -> None:
            """A line at a time, so that a moment may come in the middle: `line N of METHOD PATH`."""
            self.send_response(200)
            self.send_header("Content-Type", "application/x-jsonl")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number, line in enumerate(lines):
                if server.moments.come(f"line {number}", what, self):
                    self.close_connection = True
                    return
                text = json.dumps(line, ensure_ascii=False).encode() + b"\n"  # with any line end of Unicode
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    server.address = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server.address
    finally:
        http.shutdown()
        http.server_close()
