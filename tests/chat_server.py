"""A server that speaks OpenAI's chat API on loopback, with a real if tiny language model behind it, and misbehaves on command."""

import json
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Model = Callable[[list[dict[str, str]], int, int], tuple[str, str]]
"""Messages, seed and the most tokens to the text and why it ended."""


class Chain:
    """Words that follow two words, as often as in the texts that it was trained on. A reply is a pure function of its request."""

    def __init__(self, texts: list[str], count: Callable[[str], int]) -> None:
        self.count, self.next = count, dict[tuple[str, str], list[str]]()
        for text in texts:
            words = ["", "", *re.findall(r"\S+\s*", text), ""]
            for first, second, third in zip(words, words[1:], words[2:], strict=False):
                self.next.setdefault((first, second), []).append(third)

    def __call__(self, messages: list[dict[str, str]], seed: int, most: int) -> tuple[str, str]:
        draw, words = random.Random(json.dumps([messages, seed])), ["", ""]
        while word := draw.choice(self.next[words[-2], words[-1]]):
            words.append(word)
        if self.count("".join(words)) <= most:
            return "".join(words), "stop"
        while self.count("".join(words)) > most:
            words.pop()
        return "".join(words), "length"


@dataclass
class Server:
    model: Model
    count: Callable[[str], int]
    key: str | None = None
    usage: bool = True
    pause: float = 0
    """Seconds for each reply."""
    log: Path | None = None
    """A file that has a line for each request as it comes."""
    script: list[Callable[[BaseHTTPRequestHandler], bool]] = field(default_factory=list)
    """What is done with the next requests before any is answered; one says whether it has answered."""
    of_request: Callable[[dict[str, Any]], Callable[[BaseHTTPRequestHandler], bool] | None] = lambda _: None
    """The same for a request by what it asks, however often."""
    takes: int | None = None
    """Requests at a time; of more it says to come again in a twentieth of a second."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each request came."""
    used: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "cached": 0, "reply": 0, "replies": 0})
    at_once: int = 0
    _heads: set[str] = field(default_factory=set)
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        with self._lock:
            self.requests.append(asked)
            self.times.append(time.monotonic())
            self._busy += 1
            self.at_once = max(self.at_once, self._busy)
            first = self.script.pop(0) if self.script else self.of_request(asked)
            if self.takes is not None and self._busy > self.takes:
                first = fails(429, "too many", Retry_After="0.05")
            if self.log:
                with self.log.open("a") as stream:
                    stream.write(json.dumps([asked["messages"], asked.get("seed", 0)]) + "\n")
        try:
            if first and first(handler):
                return None
            if handler.path != "/v1/chat/completions":
                return send(handler, 404, {"detail": "Not Found"})
            if self.key and handler.headers["Authorization"] != f"Bearer {self.key}":
                return send(
                    handler, 401, {"error": {"message": f"Incorrect API key: {handler.headers['Authorization']}"}}
                )
            time.sleep(self.pause)
            send(handler, 200, self._completion(asked))
        finally:
            with self._lock:
                self._busy -= 1

    def _completion(self, asked: dict[str, Any]) -> dict[str, Any]:
        messages, most = asked["messages"], asked.get("max_tokens", 10**6)
        text, finish = self.model(messages, asked.get("seed", 0), most)
        head = json.dumps(messages[:-1])
        tokens = [self.count(message["content"]) + 5 for message in messages]
        with self._lock:
            cached = sum(tokens[:-1]) if head in self._heads else 0
            self._heads.add(head)
            reply = self.count(text)
            for what, number in (("prompt", sum(tokens)), ("cached", cached), ("reply", reply), ("replies", 1)):
                self.used[what] += number
        usage = {"prompt_tokens": sum(tokens), "completion_tokens": reply, "total_tokens": sum(tokens) + reply}
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
        told = {"id": "x", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}
        return told | ({"usage": usage | {"prompt_tokens_details": {"cached_tokens": cached}}} if self.usage else {})


def send(handler: BaseHTTPRequestHandler, status: int, body: Any, **headers: str) -> None:
    content = json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def fails(status: int, message: str = "", **headers: str) -> Callable[[BaseHTTPRequestHandler], bool]:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        send(handler, status, {"error": {"message": message, "type": "x"}}, **headers)
        return True

    return answer


def breaks_off(handler: BaseHTTPRequestHandler) -> bool:
    """A promise of more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "500")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.connection.shutdown(2)
    handler.close_connection = True
    return True


def half_json(handler: BaseHTTPRequestHandler) -> bool:
    """An answer that is whole, of JSON that is not."""
    content = b'{"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "SmolLM li'
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
    return True


def disconnects(handler: BaseHTTPRequestHandler) -> bool:
    """Before a word is said."""
    handler.connection.shutdown(2)
    handler.close_connection = True
    return True


def hangs(handler: BaseHTTPRequestHandler) -> bool:
    """Until whoever asked goes away."""
    handler.connection.settimeout(60)
    with suppress(OSError):
        handler.connection.recv(1)
    handler.close_connection = True
    return True


def says(body: Any) -> Callable[[BaseHTTPRequestHandler], bool]:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        send(handler, 200, body)
        return True

    return answer


def completion(content: Any = "SmolLM.", **keys: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    return {"choices": [choice | keys.pop("choice", {})], **keys}


CUT_IN_THOUGHT = completion("<think>\nSmolLM likes", choice={"finish_reason": "length"})
WRONG_USAGE = {"prompt_tokens": 10**30, "completion_tokens": -1, "total_tokens": 0}


def trickles(handler: BaseHTTPRequestHandler) -> bool:
    """A byte now and then."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)
    return True


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """Its address for a target."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            """Which models there are, as the chat API tells it."""
            if server.key and self.headers["Authorization"] != f"Bearer {server.key}":
                send(self, 401, {"error": {"message": f"Incorrect API key: {self.headers['Authorization']}"}})
            elif self.path == "/v1/models":
                send(self, 200, {"object": "list", "data": [{"id": "scripted", "object": "model"}]})
            else:
                send(self, 404, {"detail": "Not Found"})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                server.answer(self, asked)
            except (BrokenPipeError, ConnectionResetError):  # the client was stopped
                self.close_connection = True

    class Http(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 1024  # by default 5, which turns a thousand at once away

        def handle_error(self, *of: Any) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # the client was killed
                super().handle_error(*of)

    http = Http(("127.0.0.1", 0), Handler)
    # by default it looks twice a second whether to stop, which each of two hundred tests would wait for
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()
