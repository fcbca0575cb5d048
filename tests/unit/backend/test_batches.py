"""Batches of both providers: ids on the disk before anybody waits, kills at every point, what expires, what is refused, caps."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.ledger import Reply
from msmc.backend.meter import CapReached, Caps, most_of
from msmc.diagnostics import Failed
from tests.batch_run import Told, replies, requests, sender, served
from tests.chat_server import send
from tests.file_server import FileServer, lines_of
from tests.message_server import MessageServer
from tests.project import ROOT
from tests.stand_in import Do, standing_in

KEY = "sk-a-secret-key"
BOTH = pytest.mark.parametrize("kind", ["anthropic", "openai"])
CREATE = {"anthropic": "POST /v1/messages/batches", "openai": "POST /v1/batches"}
LOOK = {"anthropic": "GET /v1/messages/batches/", "openai": "GET /v1/batches/"}
RESULTS = {"anthropic": "GET /v1/messages/batches/msgbatch_0/results", "openai": "GET /v1/files/"}


def words(text: str) -> int:
    return len(text.split())


def says(messages: list[Any], *_: int) -> tuple[str, str]:
    return f"To:\u2028{messages[-1]['content']}", "end_turn"


def says_chat(messages: list[Any], seed: int, most: int) -> tuple[str, str]:
    return f"To:\u2028{messages[-1]['content']}", "stop"


def stand_in(kind: str, **keys: Any) -> Any:
    return MessageServer(says, words, **keys) if kind == "anthropic" else FileServer(says_chat, words, **keys)


@contextmanager
def there(kind: str, **keys: Any) -> Iterator[tuple[Any, str]]:
    server = stand_in(kind, **keys)
    with standing_in(server) as url:
        yield server, url


def whole(number: int) -> dict[str, str]:
    return {f"doc-{n}": f"To:\u2028Write {n}." for n in range(number)}


def raw(found: dict[str, Reply]) -> dict[str, str]:
    return {row: reply.raw for row, reply in found.items()}


def table(ledger: Path, what: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(ledger) as db:
        return db.execute(what).fetchall()


# ---- all goes well ------------------------------------------------------------------------------------------------------


@BOTH
def test_requests_go_in_one_batch_and_come_back_with_what_they_used(kind: str, tmp_path: Path) -> None:
    with there(kind, looks=3) as (server, url):
        told = Told()
        found = replies(sender(served(kind, url), tmp_path / "l.sqlite", told=told), tmp_path / "l.sqlite", requests(5))
    assert raw(found) == whole(5) and len(server.batches) == 1
    assert {reply.finish for reply in found.values()} == {"stop"}
    asked = sum(reply.prompt_tokens or 0 for reply in found.values())
    used = server.used
    assert asked == (used["new"] + used["read"] + used["written"] if kind == "anthropic" else used["prompt"])
    assert (
        sum(reply.cached_tokens or 0 for reply in found.values()) == used["read" if kind == "anthropic" else "cached"]
    )
    assert told.lines[0][0] == 1 and told.lines[-1] == (1, 5, 5) and len(told.lines) == 3


@BOTH
def test_a_batchs_id_and_what_is_in_it_are_on_the_disk_before_anybody_waits(kind: str, tmp_path: Path) -> None:
    ledger, seen = tmp_path / "l.sqlite", list[Any]()

    def look(_: BaseHTTPRequestHandler) -> bool:
        seen.append(table(ledger, "select id, state, number, (select count(*) from batched) from batches"))
        return False

    with there(kind) as (server, url):
        server.moments.at("asked", CREATE[kind], look)
        server.moments.at("asked", LOOK[kind], look)
        replies(sender(served(kind, url), ledger), ledger, requests(3))
    assert seen == [[(None, "intended", 3, 3)], [(server.batches[0].id, "submitted", 3, 3)]]


@BOTH
def test_a_batch_is_no_larger_than_a_provider_takes(kind: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    with there(kind) as (server, url):
        assert raw(replies(sender(served(kind, url), ledger, most_requests=4), ledger, requests(10))) == whole(10)
        assert [len(batch.requests) for batch in server.batches] == [4, 4, 2]
    ledger = tmp_path / "of bytes.sqlite"
    with there(kind) as (server, url):
        assert raw(replies(sender(served(kind, url), ledger, most_bytes=1000), ledger, requests(10))) == whole(10)
        assert 2 < len(server.batches) < 10


def test_nothing_that_was_uploaded_is_left_behind(tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    with there("openai") as (server, url):
        replies(sender(served("openai", url), ledger), ledger, requests(3))
    assert not list(lines_of(server)) and server.uploads == 1


# ---- kills --------------------------------------------------------------------------------------------------------------

KILLS = {
    ("anthropic", "before it is submitted"): ("asked", CREATE["anthropic"]),
    ("anthropic", "before its id came"): ("done", CREATE["anthropic"]),
    ("anthropic", "while it is waited for"): ("asked", LOOK["anthropic"]),
    ("anthropic", "amid its results"): ("line 300", RESULTS["anthropic"]),
    ("openai", "before its file is uploaded"): ("asked", "POST /v1/files"),
    ("openai", "when its file was uploaded"): ("asked", CREATE["openai"]),
    ("openai", "before its id came"): ("done", CREATE["openai"]),
    ("openai", "while it is waited for"): ("asked", LOOK["openai"]),
    ("openai", "amid its results"): ("line 300", RESULTS["openai"]),
    ("openai", "before its files are deleted"): ("asked", "DELETE /v1/files"),
}
QUICK_KILLS = [("anthropic", "before its id came"), ("anthropic", "amid its results")]
QUICK_KILLS += [("openai", "when its file was uploaded"), ("openai", "before its files are deleted")]


@pytest.mark.parametrize(
    ("kind", "point"), [pytest.param(*at, marks=[] if at in QUICK_KILLS else pytest.mark.slow) for at in KILLS], ids=str
)
def test_after_a_kill_a_batch_goes_on_and_none_is_submitted_twice(kind: str, point: str, tmp_path: Path) -> None:
    ledger, number = tmp_path / "l.sqlite", 400
    with there(kind, looks=2) as (server, url):
        command = [sys.executable, "-m", "tests.batch_run", kind, url, str(ledger), str(number)]
        child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})

        def kill(_: BaseHTTPRequestHandler) -> bool:
            if "amid" in point:
                until(lambda: table(ledger, "select count(*) from replies") == [(256,)])
            child.kill()
            child.wait()
            return True

        server.moments.at(*KILLS[kind, point], kill)
        assert child.wait(60) == -signal.SIGKILL
        before = table(ledger, "select key, raw from replies order by key")
        assert len(before) == {"amid its results": 256, "before its files are deleted": 400}.get(point, 0)
        found = replies(sender(served(kind, url), ledger), ledger, requests(number))
    assert raw(found) == whole(number)
    assert len(server.batches) == 1 and len(server.batches[0].requests) == number
    assert set(before) <= set(table(ledger, "select key, raw from replies"))
    if kind == "openai" and point != "before its files are deleted":
        assert not list(lines_of(server))
    assert table(ledger, "select state from batches") == [("done",)] or point == "before its files are deleted"


def until(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@BOTH
def test_a_batch_whose_id_is_lost_on_the_way_is_found_and_not_submitted_again(kind: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"

    def cuts(handler: BaseHTTPRequestHandler) -> bool:
        handler.connection.shutdown(2)
        handler.close_connection = True
        return True

    with there(kind) as (server, url):
        server.moments.at("done", CREATE[kind], cuts)
        assert raw(replies(sender(served(kind, url), ledger), ledger, requests(3))) == whole(3)
    assert len(server.batches) == 1


def test_another_batch_of_as_many_requests_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    """Anthropic's batches have no name of ours."""
    ours, theirs = tmp_path / "ours" / "l.sqlite", tmp_path / "theirs" / "l.sqlite"
    with there("anthropic", looks=2) as (server, url):

        def meanwhile(handler: BaseHTTPRequestHandler) -> bool:
            replies(sender(served("anthropic", url), theirs), theirs, requests(6)[3:])
            return fails(503)(handler)

        server.moments.at("asked", CREATE["anthropic"], meanwhile)
        assert raw(replies(sender(served("anthropic", url), ours), ours, requests(3))) == whole(3)
    assert len(server.batches) == 2


# ---- what is not answered -----------------------------------------------------------------------------------------------


def late(kind: str) -> Any:
    """Of the first batch the first request expires, the second meets an error of the provider's own."""
    names = ("expired", "api_error", "succeeded") if kind == "anthropic" else ("expired", 500, 200)
    return lambda prompt, batch: names[2 if batch else {"Write 0.": 0, "Write 1.": 1}.get(prompt, 2)]


@BOTH
def test_what_expired_or_met_an_error_of_the_provider_is_asked_for_again(kind: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    with there(kind, becomes=late(kind)) as (server, url):
        assert raw(replies(sender(served(kind, url), ledger), ledger, requests(4))) == whole(4)
    assert [len(batch.requests) for batch in server.batches] == [4, 2]


@BOTH
def test_what_expires_again_and_again_is_told_and_the_others_are_kept(kind: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    good: Any = "succeeded" if kind == "anthropic" else 200
    becomes: Any = lambda prompt, _: "expired" if prompt == "Write 0." else good  # noqa: E731
    with there(kind, becomes=becomes) as (server, url), pytest.raises(Failed) as caught:
        replies(sender(served(kind, url), ledger), ledger, requests(3))
    assert "left requests of a batch without an answer, 3 times" in caught.value.message
    assert [len(batch.requests) for batch in server.batches] == [3, 1, 1]
    assert table(ledger, "select count(*) from replies") == [(2,)]


@BOTH
def test_a_request_that_is_refused_fails_alone_where_others_are_answered(kind: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    good, bad = ("succeeded", "invalid_request_error") if kind == "anthropic" else (200, 400)
    becomes: Any = lambda prompt, _: bad if prompt == "Write 0." else good  # noqa: E731
    with there(kind, becomes=becomes) as (server, url):
        found = replies(sender(served(kind, url), ledger), ledger, requests(3))
    assert found["doc-0"] == Reply("", "failed") and len(server.batches) == 1
    assert table(ledger, "select reason from quarantine") == [("failed",)]
    with there(kind, becomes=lambda *_: bad) as (server, url), pytest.raises(Failed) as caught:
        replies(sender(served(kind, url), tmp_path / "none"), tmp_path / "none", requests(3))
    assert "refuses a request to `m` (400)" in caught.value.message
    assert f"no: {bad}" in caught.value.problems[0].note


@BOTH
def test_a_further_try_that_is_refused_fails_alone_where_nothing_else_is_asked(kind: str, tmp_path: Path) -> None:
    ledger, bad = tmp_path / "l.sqlite", "invalid_request_error" if kind == "anthropic" else 400
    with there(kind, becomes=lambda *_: bad) as (server, url):
        found = replies(sender(served(kind, url), ledger), ledger, [replace(r, tried=True) for r in requests(2)])
    assert found == {"doc-0": Reply("", "failed"), "doc-1": Reply("", "failed")} and len(server.batches) == 1


@BOTH
def test_a_batch_that_was_canceled_is_told_and_what_it_answered_is_kept(kind: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    good, gone = ("succeeded", "canceled") if kind == "anthropic" else (200, "cancelled")
    becomes: Any = lambda prompt, batch: gone if prompt == "Write 0." and not batch else good  # noqa: E731
    with there(kind, becomes=becomes) as (server, url):
        with pytest.raises(Failed, check=lambda f: f"the batch {server.batches[0].id} of" in f.message):
            replies(sender(served(kind, url), ledger), ledger, requests(3))
        assert table(ledger, "select count(*) from replies") == [(2,)]
        assert raw(replies(sender(served(kind, url), ledger), ledger, requests(3))) == whole(3)
    assert [len(batch.requests) for batch in server.batches] == [3, 1]


def test_a_file_that_is_refused_as_a_whole_is_told_unless_others_have_to_end_first(tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    with there("openai", refuses=lambda batch: "" if batch else "token_limit_exceeded") as (server, url):
        assert raw(replies(sender(served("openai", url), ledger), ledger, requests(3))) == whole(3)
    assert len(server.batches) == 2
    with there("openai", refuses=lambda _: "model_not_found") as (server, url), pytest.raises(Failed) as caught:
        replies(sender(served("openai", url), tmp_path / "none"), tmp_path / "none", requests(3))
    assert caught.value.problems[0].note == "the server says: no: model_not_found"


def test_a_message_that_was_refused_or_cut_says_so(tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    with there("anthropic") as (server, url):
        endings = {"Write 0.": "refusal", "Write 1.": "max_tokens", "Write 2.": "end_turn"}
        server.model = lambda messages, most: ("Text.", endings[messages[-1]["content"]])
        found = replies(sender(served("anthropic", url), ledger), ledger, requests(3))
    assert [found[f"doc-{n}"].finish for n in range(3)] == ["refusal", "length", "stop"]
    assert table(ledger, "select reason from quarantine order by 1") == [("refused",), ("truncated",)]


# ---- busy servers, keys, caps -------------------------------------------------------------------------------------------


def fails(status: int, **headers: str) -> Do:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        send(handler, status, {"type": "error", "error": {"type": "x", "message": "busy"}}, **headers)
        return True

    return answer


@BOTH
def test_a_busy_provider_is_asked_again_at_each_step(kind: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.sqlite"
    with there(kind) as (server, url):
        server.moments.at("asked", CREATE[kind], fails(429, Retry_After="0"))
        server.moments.at("asked", CREATE[kind], fails(429))
        server.moments.at("asked", LOOK[kind], fails(529))
        server.moments.at("asked", RESULTS[kind], fails(500))
        server.moments.at("line 1", RESULTS[kind], lambda _: True)  # breaks off
        assert raw(replies(sender(served(kind, url), ledger), ledger, requests(3))) == whole(3)
    assert len(server.batches) == 1


@BOTH
def test_the_key_is_sent_and_stands_nowhere(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    ledger = tmp_path / "l.sqlite"
    with there(kind, key=KEY) as (_, url):
        model = served(kind, url, key="MY_KEY")
        assert raw(replies(sender(model, ledger), ledger, requests(2))) == whole(2)
        assert KEY not in " ".join(map(str, table(ledger, "select * from batches")))
        assert KEY.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        monkeypatch.setenv("MY_KEY", KEY + "er")
        with pytest.raises(Failed) as caught:
            replies(sender(model, ledger), ledger, requests(3))
    everything = " ".join([caught.value.message, caught.value.hint, caught.value.problems[0].note, repr(caught.value)])
    assert "refuses the key of the writer `m` (401)" in everything and KEY not in everything


@BOTH
def test_no_batch_can_pass_a_cap_and_what_fits_under_it_is_sent(kind: str, tmp_path: Path) -> None:
    ledger, most = tmp_path / "l.sqlite", most_of(requests(1)[0], 50).tokens
    with there(kind) as (server, url):
        one = sender(served(kind, url), ledger, Caps(tokens=int(most * 3.5)))
        with pytest.raises(CapReached):
            replies(one, ledger, requests(60))
        used = one.meter.used
    assert server.batches and used.tokens <= most * 3.5
    assert used.tokens + most > most * 3.5, "what replies took less than they might have is used for others"
    assert table(ledger, "select count(*) from replies") == [(used.replies,)]
