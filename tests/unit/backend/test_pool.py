"""The pool against a server that misbehaves: what it takes, when it is asked again, what is given up, and what never is lost."""

import gc
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.ledger import FAILED, Ledger, Reply, Request
from msmc.backend.meter import NO_CAPS, CapReached, Caps, Meter, most_of
from msmc.backend.tokens import Tokens
from msmc.backend.writers.limit import LONGEST, Limit, seconds_told
from msmc.backend.writers.openai import openai_writer
from msmc.backend.writers.pool import IN_A_ROW, Pool
from msmc.diagnostics import Failed
from msmc.writer import Price, Served
from tests.chat_server import (
    CUT_IN_THOUGHT,
    WRONG_USAGE,
    Server,
    breaks_off,
    completion,
    disconnects,
    fails,
    half_json,
    hangs,
    says,
    serving,
    trickles,
)
from tests.project import ROOT
from tests.unit.backend.test_ledger import request


@pytest.fixture
def server() -> Server:
    return Server(lambda messages, seed, most: (f"SmolLM wrote {seed}.", "stop"), lambda text: len(text.split()))


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with serving(server) as address:
        yield address


def pool(url: str, caps: Caps = NO_CAPS, **keys: Any) -> Pool:
    served = Served(kind="openai", model="m", base_url=url, **{"retries": 2, "max_tokens": 50, **keys})
    return openai_writer(served, Meter(caps, Price(input=1, output=1), Tokens()))


def requests(number: int) -> list[Request]:
    return [request(n) for n in range(number)]


def sent(one: Pool, asked: list[Request]) -> dict[str, Reply]:
    """Replies by row; none comes twice."""
    found = dict[str, Reply]()
    with closing(one):
        for row, reply in itertools.chain.from_iterable(one.send(iter(asked))):
            assert row.row.id not in found
            found[row.row.id] = reply
    return found


def of_row(n: int, what: Any) -> Any:
    """A server does this to that one row."""
    return lambda asked: what if asked["seed"] == 7 + n else None


# ---- the limit ----------------------------------------------------------------------------------------------------------


def test_many_that_are_turned_away_at_once_halve_the_limit_once() -> None:
    limit = Limit(32)
    for _ in range(32):
        limit.busy(0)
    assert limit.now == 16
    limit.busy(1)
    assert limit.now == 8


@given(st.integers(1, 2000), st.lists(st.booleans(), max_size=60))
def test_the_limit_stays_between_one_and_what_the_target_says(most: int, events: list[bool]) -> None:
    limit = Limit(most)
    for answered in events:
        limit.answered() if answered else limit.busy(limit.round)
        assert 1 <= limit.now <= most


@pytest.mark.parametrize("most", [1, 8, 1000])
def test_a_run_of_replies_raises_it_to_the_most_again(most: int) -> None:
    limit = Limit(most)
    for _ in range(12):
        limit.busy(limit.round)
    assert limit.now == 1
    for _ in range(20 * most):
        limit.answered()
    assert limit.now == most


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}, LONGEST),
        ({"retry-after": "1e300"}, LONGEST),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
    ],
    ids=str,
)
def test_when_a_server_says_to_come_again(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_told(headers) == seconds


# ---- a busy server ------------------------------------------------------------------------------------------------------


def test_a_storm_of_429_ends_with_every_reply_and_no_place_lost(server: Server, url: str) -> None:
    server.takes, server.pause = 3, 0.01
    one = pool(url, concurrency=16, retries=4)
    found = {row.row.id: reply.raw for some in one.send(iter(requests(60))) for row, reply in some}
    assert found == {f"doc-{n}": f"SmolLM wrote {7 + n}." for n in range(60)}
    assert server.used["replies"] == 60 and len(server.requests) > 60 and one.limit.now < 16
    server.takes, one.limit, every = None, Limit(16), threading.Barrier(16, timeout=60)

    def together(_: Any) -> bool:
        every.wait()
        return False

    server.script = [together] * 16
    assert sum(len(some) for some in one.send(request(n) for n in range(100, 116))) == 16, "every reply"
    one.close()
    assert not every.broken, "every place is free again"


def test_a_server_that_says_when_is_not_asked_before_by_any_request(server: Server, url: str) -> None:
    def slow(_: Any) -> bool:
        time.sleep(0.7)
        return False

    server.script = [fails(429, Retry_After="1.5"), slow]
    assert len(sent(pool(url, concurrency=2), requests(6))) == 6
    assert server.times[2] - server.times[0] >= 1.5, "though there was a place for another one from 0.7 s on"


@pytest.mark.parametrize("odd", [half_json, breaks_off, disconnects, fails(500), fails(503, Retry_After="0")])
def test_what_goes_wrong_now_and_then_is_asked_again(server: Server, url: str, odd: Any) -> None:
    server.script = [odd, lambda _: False, odd]
    found = sent(pool(url, concurrency=3), requests(9))
    assert len(found) == 9 and all(reply.finish == "stop" for reply in found.values())
    assert len(server.requests) == 11


@pytest.mark.parametrize("odd", [hangs, trickles])
def test_a_request_that_hangs_ends_with_its_time_and_frees_its_place(server: Server, url: str, odd: Any) -> None:
    server.script = [odd] * 4
    started = time.monotonic()
    found = sent(pool(url, concurrency=2, timeout=1, retries=9), requests(12))
    assert len(found) == 12 and all(reply.finish == "stop" for reply in found.values())
    assert 2 < time.monotonic() - started < 60


def test_a_time_out_may_be_paid_for_and_passes_no_cap(server: Server, url: str) -> None:
    server.script = [hangs] * 9
    most = most_of(request(0), 50).tokens
    with pytest.raises(CapReached):
        sent(pool(url, Caps(tokens=int(most * 2)), timeout=0.3, retries=8), requests(1))
    assert len(server.requests) <= 2


# ---- one request, or the server -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("odd", "times"), [(fails(400), 1), (fails(500), 3), (half_json, 3), (disconnects, 3)])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_one_request_that_gets_no_reply_stops_nothing(
    server: Server, url: str, odd: Any, times: int, concurrency: int
) -> None:
    server.of_request = of_row(2, odd)
    one = pool(url, concurrency=concurrency)
    found = sent(one, requests(10))
    assert [row for row, reply in found.items() if reply.finish == FAILED] == ["doc-2"]
    assert found["doc-2"] == Reply("", FAILED) and len(found) == 10
    assert Counter(asked["seed"] for asked in server.requests)[9] == times
    assert one.meter.used.replies == 9


def test_the_last_request_is_given_up_where_others_got_replies_while_it_was_tried(server: Server, url: str) -> None:
    server.of_request, server.pause = of_row(2, fails(500)), 1
    found = sent(pool(url, concurrency=4, retries=1), requests(4))
    assert {row for row, reply in found.items() if reply.finish == FAILED} == {"doc-2"} and len(found) == 4


def further(number: int) -> list[Request]:
    """Tries of what got no reply before, while others did."""
    return [replace(asked, tried=True) for asked in requests(number)]


@pytest.mark.parametrize(("odd", "times"), [(fails(400), 1), (fails(500), 3), (half_json, 3), (disconnects, 3)])
def test_a_further_try_stops_nothing_when_nothing_else_is_sent(server: Server, url: str, odd: Any, times: int) -> None:
    server.of_request = lambda _: odd
    assert sent(pool(url), further(4)) == {f"doc-{n}": Reply("", FAILED) for n in range(4)}
    assert set(Counter(asked["seed"] for asked in server.requests).values()) == {times}


def test_no_further_try_is_given_up_for_a_server_that_is_not_there_or_has_no_time(server: Server, url: str) -> None:
    server.of_request = lambda _: fails(429)
    for address in (url, "http://127.0.0.1:9/v1"):
        one = pool(address, retries=0)
        with pytest.raises(Failed, check=lambda failed: failed.name == "writer-failed"):
            sent(one, further(1))


@pytest.mark.parametrize("odd", [fails(500), half_json, disconnects, fails(429)])
def test_a_server_that_dies_under_way_stops_the_run_and_no_row_is_given_up(server: Server, url: str, odd: Any) -> None:
    server.script = [lambda _: False] * 10 + [odd] * 1000
    one, arrived = pool(url, concurrency=4, retries=1), list[Reply]()
    with pytest.raises(Failed, check=lambda failed: failed.name == "writer-failed"), closing(one):
        for some in one.send(iter(requests(500))):
            arrived += [reply for _, reply in some]
    assert [reply.finish for reply in arrived] == ["stop"] * 10
    assert len({asked["seed"] for asked in server.requests}) <= 10 + 4 * (IN_A_ROW + 1), (
        "those on their way may have replies yet"
    )


def test_requests_are_taken_as_they_can_be_sent_and_no_sooner(server: Server, url: str) -> None:
    server.pause, taken, arrived = 0.01, 0, 0

    def asked() -> Iterator[Request]:
        nonlocal taken
        for one in requests(60):
            taken += 1
            yield one

    with closing(pool(url, concurrency=4)) as one:
        for some in one.send(asked()):
            arrived += len(some)
            assert taken - arrived <= 4 * 2, "those on their way, and those that came with these"
    assert arrived == 60


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_ledger_that_cannot_keep_a_reply_leaves_nothing_running(server: Server, url: str, tmp_path: Path) -> None:
    ledger, one = Ledger(tmp_path / "l"), pool(url, concurrency=4)
    ledger._keep = lambda _: ledger._db.execute("no such thing")  # type: ignore[method-assign, assignment]
    with pytest.raises(sqlite3.Error), closing(one):
        list(ledger.replies(requests(20), one.send))
    gc.collect()
    assert not one._running


def test_ids_usage_and_thoughts_that_are_wrong_harm_no_other_reply(server: Server, url: str, tmp_path: Path) -> None:
    server.script = [says(CUT_IN_THOUGHT), says(completion(usage=WRONG_USAGE)), says(completion(id="twice"))] * 2
    with closing(Ledger(tmp_path / "l")) as ledger, closing(pool(url, concurrency=1)) as one:
        found = [reply for _, reply in ledger.replies(requests(8), one.send)]
    assert [reply.raw for reply in found[:3]] == ["<think>\nSmolLM likes", "SmolLM.", "SmolLM."]
    assert [reply.finish for reply in found] == ["length", "stop", "stop"] * 2 + ["stop", "stop"]
    with sqlite3.connect(tmp_path / "l") as db:
        told = db.execute("select row, reason from quarantine join requests using (key) order by row").fetchall()
    assert told == [("doc-0", "truncated"), ("doc-3", "truncated")]


# ---- with the ledger ------------------------------------------------------------------------------------------------------


def test_of_a_thousand_at_once_the_first_reply_is_on_the_disk_within_a_second(server: Server, tmp_path: Path) -> None:
    """It goes out when all are there, and the others wait until it has been seen on the disk."""
    path, seen, arrived = tmp_path / "l", threading.Event(), list[float]()
    server.of_request = lambda asked: first if asked["seed"] == 7 + 500 else held

    def first(_: Any) -> bool:
        while len(server.requests) < 1000:
            time.sleep(0.01)
        return False

    def held(_: Any) -> bool:
        seen.wait(100)
        return False

    class Noted(Pool):
        async def _ask(self, one: Request) -> Reply | None:
            reply = await super()._ask(one)
            arrived.append(time.monotonic())
            return reply

    on_disk = list[float]()

    def watch() -> None:
        with sqlite3.connect(path) as db:
            while not db.execute("select count(*) from replies").fetchone()[0]:
                time.sleep(0.005)
        on_disk.append(time.monotonic())
        seen.set()

    with serving(server) as url, closing(Ledger(path)) as ledger:
        plain = pool(url, concurrency=1000)
        one = Noted(plain.provider, Limit(1000), plain.meter, max_tokens=50, timeout=120, retries=0)
        watcher = threading.Thread(target=watch)
        watcher.start()
        with closing(one):
            found = list(ledger.replies(requests(1000), one.send))
        watcher.join()
        plain._runner.close()
    assert len(found) == server.at_once == 1000
    assert on_disk[0] - arrived[0] < 1


KILLED = """
import sys
from pathlib import Path
from msmc.backend.ledger import Ledger
from tests.unit.backend.test_pool import pool, requests
list(Ledger(Path(sys.argv[1])).replies(requests(400), pool(sys.argv[2], concurrency=6).send))
"""


def test_after_a_kill_no_reply_that_was_received_is_asked_for_again_and_the_lost_are_listed(
    server: Server, url: str, tmp_path: Path
) -> None:
    server.pause, path = 0.03, tmp_path / "l"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), url], env=environment)
    while len(server.requests) < 60:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with sqlite3.connect(path) as db:
        received = {seed for (seed,) in db.execute("select seed from requests join replies using (key)")}
        lost = db.execute("select count(*) from requests where sent = 1 and key not in (select key from replies)")
        assert 1 <= lost.fetchone()[0] <= 6
    asked = len(server.requests)
    server.pause = 0
    with closing(Ledger(path)) as ledger, closing(pool(url, concurrency=6)) as one:
        found = [reply.raw for _, reply in ledger.replies(requests(400), one.send)]
    assert found == [f"SmolLM wrote {7 + n}." for n in range(400)]
    assert not received & {again["seed"] for again in server.requests[asked:]} and len(received) > 40
    assert len(server.requests) == asked + 400 - len(received)
