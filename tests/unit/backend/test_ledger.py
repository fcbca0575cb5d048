"""The ledger: recorded before it is sent, kept before it is parsed, keyed by all that determines it."""

import hashlib
import multiprocessing
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from msmc.backend.ledger import FAILED, Ledger, Reply, Request, past
from msmc.build import Cell, DocumentRow, Message, Prefix
from msmc.diagnostics import Failed


def request(n: int = 0, prompt: str = "Write.", prefix: str = "A rule.", writer: str = "w 1", seed: int = 7) -> Request:
    cell = Cell(clause="a.b", kind="letter", audience="nurses", angle="origins", n=n)
    row = DocumentRow(id=f"doc-{n}", about=("a.b",), cell=cell, seed=seed + n, prefix="a.b", prompt=prompt)
    return Request(row, Prefix(name="a.b", messages=(Message(role="system", content=prefix),)), writer)


def echo(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
    yield [(r, Reply(f"reply to {r.row.id}")) for r in requests]


def table(path: Path, what: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(path) as db:
        return db.execute(what).fetchall()


def test_the_key_is_everything_that_determines_a_reply_and_nothing_else() -> None:
    same = request()
    for other in (request(prompt="W."), request(prefix="B."), request(writer="w 2"), request(seed=8)):
        assert other.key != same.key
    moved = Request(same.row.model_copy(update={"id": "x", "about": ("c",), "prefix": "n"}), same.prefix, same.writer)
    assert moved.key == same.key, "the row's name does not reach the writer"


def test_a_request_is_recorded_before_it_is_sent_and_a_reply_before_it_is_parsed(tmp_path: Path) -> None:
    path, seen = tmp_path / "ledger.sqlite", []

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        for one in requests:
            seen.append(len(table(path, "select * from requests")))
            yield [(one, Reply("raw"))]

    for _ in Ledger(path).replies([request(n) for n in range(3)], send):
        assert len(table(path, "select * from replies")) == 3
    assert seen == [1, 2, 3]
    assert table(path, "pragma journal_mode") == [("wal",)]


def test_what_arrived_before_a_failure_is_kept_and_never_asked_for_again(tmp_path: Path) -> None:
    def breaks(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        taken = list(requests)
        yield [(taken[1], Reply("late but first"))]
        raise ConnectionError

    rows, asked = [request(n) for n in range(4)], list[str]()
    with pytest.raises(ConnectionError):
        list(Ledger(tmp_path / "l").replies(rows, breaks))

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        taken = list(requests)
        asked.extend(r.row.id for r in taken)
        return echo(iter(taken))

    found = {r.row.id: reply.raw for r, reply in Ledger(tmp_path / "l").replies(rows, send)}
    assert asked == ["doc-0", "doc-2", "doc-3"] and found["doc-1"] == "late but first"
    assert [r.row.id for r, _ in Ledger(tmp_path / "l").replies(rows, send)] == [r.row.id for r in rows], "in order"
    assert len(asked) == 3


def _ask(path: Path, name: str) -> None:
    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        for one in requests:
            yield [(one, Reply(f"{name} {one.row.id}"))]

    found = [reply.raw for _, reply in Ledger(path).replies([request(n) for n in range(200)], send)]
    (path.parent / name).write_text("\n".join(found))


def test_processes_that_ask_at_once_end_with_the_same_replies(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_ask, args=(tmp_path / "l", name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    told = {(tmp_path / name).read_text() for name in "abc"}
    assert len(told) == 1 and len(told.pop().splitlines()) == 200


def test_a_file_that_is_no_ledger_is_told_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "l").write_text("this is no database, however long it may be" * 100)
    with pytest.raises(Failed, check=lambda failure: failure.name == "ledger-unusable"):
        list(Ledger(tmp_path / "l").replies([request()], echo))
    assert (tmp_path / "l").read_text().startswith("this is no database")


def test_a_damaged_reply_is_asked_for_again(tmp_path: Path) -> None:
    rows, asked = [request(n) for n in range(3)], list[str]()
    whole = [raw for _, raw in Ledger(tmp_path / "l").replies(rows, echo)]
    with sqlite3.connect(tmp_path / "l") as db:
        db.execute("update replies set raw = 'repl' || char(0) || substr(raw, 6) where key = ?", (rows[1].key,))

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        taken = list(requests)
        asked.extend(r.row.id for r in taken)
        return echo(iter(taken))

    assert [raw for _, raw in Ledger(tmp_path / "l").replies(rows, send)] == whole
    assert asked == ["doc-1"]


OLD = """
create table prefixes (digest text primary key, messages text not null) without rowid;
create table requests (key text primary key, row text not null, writer text not null, prefix text not null,
  prompt text not null, seed integer not null) without rowid;
create table replies (key text primary key references requests (key), raw text not null, sha256 text not null) without rowid;
"""


def test_a_ledger_of_an_earlier_msmc_goes_on(tmp_path: Path) -> None:
    rows, asked = [request(n) for n in range(3)], list[str]()
    with sqlite3.connect(tmp_path / "l") as db:
        db.executescript(OLD)
        raw = "from before"
        db.execute("insert into replies values (?, ?, ?)", (rows[0].key, raw, hashlib.sha256(raw.encode()).hexdigest()))

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        for r in requests:
            asked.append(r.row.id)
            yield [(r, Reply("new", "stop", 10, 4, 5))]

    for _ in range(2):  # added once
        found = [reply for _, reply in Ledger(tmp_path / "l").replies(rows, send)]
        assert found == [Reply("from before"), *[Reply("new", "stop", 10, 4, 5)] * 2]
    assert asked == ["doc-1", "doc-2"]


def test_what_a_server_counted_is_known_afterwards(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    rows = [request(0), request(1), request(2, writer="other"), request(3)]
    assert [r.row.id for r in ledger.missing(rows)] == ["doc-0", "doc-1", "doc-2", "doc-3"]
    replies = [Reply("a", "stop", 10, 4, 5), Reply("b", "length", 11, None, 6), Reply("c", "stop", 1, 1, 1), Reply("d")]
    for one, reply in zip(rows, replies, strict=True):
        list(ledger.replies([one], lambda requests, reply=reply: iter([[(next(requests), reply)]])))
    assert not list(ledger.missing(rows))
    found = past(tmp_path / "l", "w 1", "doc-", 10)
    assert {reply for _, _, reply in found} == set(replies[:2])
    assert {(messages, prompt) for messages, prompt, _ in found} == {(rows[0].messages, "Write.")}
    assert past(tmp_path / "l", "w 1", "ask-", 10) == []
    assert past(tmp_path / "none", "w 1", "doc-", 10) == [] and not (tmp_path / "none").exists()
    with sqlite3.connect(tmp_path / "old") as db:
        db.executescript(OLD)
    assert past(tmp_path / "old", "w 1", "doc-", 10) == []
    assert table(tmp_path / "old", "select * from pragma_table_info('replies') where name = 'finish'") == []


def test_an_interrupt_while_a_reply_is_kept_does_not_lose_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, keep, times = Ledger(tmp_path / "l"), Ledger._keep, list[int]()

    def interrupted(self: Ledger, arrived: list[tuple[Request, Reply]]) -> None:
        times.append(1)
        if len(times) == 1:
            raise KeyboardInterrupt
        keep(self, arrived)

    monkeypatch.setattr(Ledger, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(ledger.replies([request()], echo))
    assert not list(Ledger(tmp_path / "l").missing([request()]))


# ---- streaming ----------------------------------------------------------------------------------------------------------


def test_requests_are_drawn_one_by_one_and_recorded_when_they_are_taken(tmp_path: Path) -> None:
    """However many rows there are, none is held before a writer can send it."""
    drawn = 0

    class Rows:
        def __iter__(self) -> Iterator[Request]:
            nonlocal drawn
            for drawn in range(1, 101):
                yield request(drawn)

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        for number, one in enumerate(requests, 1):
            assert drawn == number == len(table(tmp_path / "l", "select * from requests"))
            yield [(one, Reply("raw"))]

    told = list[int]()
    found = list(Ledger(tmp_path / "l").replies(Rows(), send, told.append))
    assert [r.row.id for r, _ in found] == [f"doc-{n}" for n in range(1, 101)]
    assert told == [*range(1, 101), 100]
    assert not list(Ledger(tmp_path / "l").missing(Rows())), "and gone through anew"


def test_what_is_asked_twice_is_sent_once(tmp_path: Path) -> None:
    asked = list[str]()

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        """Two at a time, so that a request comes again while it is on its way, and when it has its reply."""
        while some := list(islice(requests, 2)):
            asked.extend(r.row.id for r in some)
            yield [(r, Reply(r.row.id)) for r in reversed(some)]

    rows = [request(n) for n in (0, 0, 1, 0, 2, 1, 3)]
    told = list[int]()
    found = [reply.raw for _, reply in Ledger(tmp_path / "l").replies(rows, send, told.append)]
    assert found == [f"doc-{n}" for n in (0, 0, 1, 0, 2, 1, 3)] and asked == ["doc-0", "doc-1", "doc-2", "doc-3"]
    assert told[-1] == 7


def test_nothing_to_send_needs_no_writer(tmp_path: Path) -> None:
    list(Ledger(tmp_path / "l").replies([request()], echo))

    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        raise AssertionError

    assert len(list(Ledger(tmp_path / "l").replies([request()], send))) == 1


LOST = "select row from requests where sent > 0 and key not in (select key from replies)"


@pytest.mark.parametrize(("error", "lost"), [(KeyboardInterrupt, [("doc-1",), ("doc-2",)]), (ConnectionError, [])])
def test_what_was_on_its_way_when_msmc_was_stopped_is_lost_what_was_refused_is_not(
    tmp_path: Path, error: type[BaseException], lost: list[tuple[str]]
) -> None:
    def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        some = list(islice(requests, 3))
        yield [(some[0], Reply("raw"))]
        raise error

    rows = [request(n) for n in range(5)]
    with pytest.raises(error):
        list(Ledger(tmp_path / "l").replies(rows, send))
    assert table(tmp_path / "l", LOST) == lost
    list(Ledger(tmp_path / "l").replies(rows, echo))
    assert table(tmp_path / "l", LOST) == []
    assert table(tmp_path / "l", "select sum(sent) from requests") == [(5 + len(lost),)]


# ---- quarantine ---------------------------------------------------------------------------------------------------------


def test_what_is_no_whole_text_is_in_quarantine_from_the_start_and_gates_add_theirs(tmp_path: Path) -> None:
    replies = {
        "doc-0": Reply("Half a", "length"),
        "doc-1": Reply("", "content_filter"),
        "doc-2": Reply("I cannot.", "refusal"),
        "doc-3": Reply(" \n", "stop"),
        "doc-4": Reply("", FAILED),
        "doc-5": Reply("x", "tool_calls"),
        "doc-6": Reply("A letter.", "stop"),
        "doc-7": Reply("A letter."),
    }
    rows, ledger = [request(n) for n in range(8)], Ledger(tmp_path / "l")
    list(ledger.replies(rows, lambda requests: iter([[(r, replies[r.row.id]) for r in requests]])))
    told = "select row, reason, detail from quarantine join requests using (key) order by row"
    assert table(tmp_path / "l", told) == [
        ("doc-0", "truncated", "length"),
        ("doc-1", "refused", "content_filter"),
        ("doc-2", "refused", "refusal"),
        ("doc-3", "empty", "stop"),
        ("doc-4", "failed", "failed"),
        ("doc-5", "malformed", "tool_calls"),
    ]
    assert [reply for _, reply in ledger.known(rows)] == list(replies.values()), "kept as they came"
    ledger.quarantine([(rows[7], "wrong identity", "it says Claude")])
    assert ("doc-7", "wrong identity", "it says Claude") in table(tmp_path / "l", told)


def test_replies_and_their_prefixes_go_together_and_a_prefix_that_is_used_stays(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")
    rows = [request(0, prefix="A"), request(1, prefix="A"), request(2, prefix="B"), request(3, prefix="C")]
    list(ledger.replies(rows, lambda requests: iter([[(r, Reply("", FAILED)) for r in requests]])))
    ledger.remove([rows[0].key, rows[2].key])
    assert [r.row.id for r, _ in ledger.known(rows)] == ["doc-1", "doc-3"]
    for what, number in (("requests", 2), ("quarantine", 2), ("prefixes", 2)):
        assert len(table(tmp_path / "l", f"select * from {what}")) == number
