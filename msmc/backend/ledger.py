"""The ledger: every request to a writer and every reply, kept in one SQLite database so that none is asked for twice.

A request is recorded before it is sent, and a raw reply committed before anyone parses it. The key of a request is
everything that determines its reply, so an edit asks again for the rows whose text it changes and for no others.
What is no text to train on stays here all the same, in quarantine with a reason.
"""

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from msmc.build import DemoRow, DocumentRow, JudgeRow, Prefix, canonical, digest
from msmc.diagnostics import Failed, fail
from msmc.whole import no_room

LEDGER = "ledger.sqlite"
"""Its name in the folder of runs."""
BATCH = 256
"""Requests whose replies are looked up together."""
WAIT = 60.0
"""Seconds to wait for another process that writes at this moment."""
TABLES = """
create table if not exists prefixes (digest text primary key, messages text not null) without rowid;
create table if not exists requests (
  key text primary key, row text not null, writer text not null, prefix text not null, prompt text not null,
  seed integer not null
) without rowid;
create table if not exists replies (
  key text primary key references requests (key), raw text not null, sha256 text not null
) without rowid;
create table if not exists quarantine (
  key text primary key references requests (key), reason text not null, detail text not null
) without rowid;
"""
ADDED = {
    "replies": (
        "finish text",
        "prompt_tokens integer",
        "cached_tokens integer",
        "completion_tokens integer",
        "stored_tokens integer",
    ),
    # how often a writer took it; null in a ledger of an earlier msmc, which recorded requests long before they were sent
    "requests": ("sent integer",),
}
"""Columns by table that ledgers of msmc 0.1 have not."""
REPLY = "raw, finish, prompt_tokens, cached_tokens, completion_tokens, stored_tokens"
"""The columns of a `Reply`, in its order."""


@dataclass(frozen=True)
class Request:
    """One planned row as a writer gets it. `writer`: its name, model and sampling, and what else its replies depend on."""

    row: DocumentRow | DemoRow | JudgeRow
    prefix: Prefix
    writer: str
    schema: str | None = None
    """A JSON schema that the reply is to follow, where the server can hold it to one."""
    tried: bool = False
    """Whether an earlier try of the same got no reply while others did: that this one gets none says nothing of the server."""

    @cached_property
    def input(self) -> str:
        """Digest of what the row's text is written from. A row is stale when it differs (DESIGN section 5)."""
        return digest(self.messages, self.row.prompt, self.row.seed)

    @cached_property
    def messages(self) -> str:
        return canonical([message.model_dump() for message in self.prefix.messages])

    @cached_property
    def key(self) -> str:
        return digest(self.input, self.writer, *([self.schema] if self.schema else []))


class Reply(NamedTuple):
    """A writer's text as it came, and what its server says of it."""

    raw: str
    finish: str | None = None
    """Why it ended, in the words of the chat API: `stop`, `length` and others; None where nobody said."""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the prompt that the server had from before."""
    completion_tokens: int | None = None
    stored_tokens: int | None = None
    """Those of the prompt that the server keeps for later, where it charges for that."""


Send = Callable[[Iterator[Request]], Iterator[list[tuple[Request, Reply]]]]
"""Takes a request from the iterator when it can send it, since each is recorded as it is taken. Yields raw replies as they
arrive, in any order; what comes together is committed together."""
FAILED = "failed"
"""The finish of a reply that a server never gave, to a request that it answers no more, while it answers others."""
REASONS = {"length": "truncated", "content_filter": "refused", "refusal": "refused", FAILED: "failed", "stop": None}
"""Why a reply is in quarantine, by its finish."""


def rejected(reply: Reply) -> str | None:
    """The kind of reason for which a reply is no whole text, whatever it was to be; None where it may be one."""
    reason = REASONS.get(reply.finish, "malformed") if reply.finish is not None else None
    return reason or (None if reply.raw.strip() else "empty")


def _untold(_: int) -> None: ...


class Ledger:
    """One database for a folder of runs. Several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            # no implicit transactions: each BEGIN and COMMIT below is meant
            self._db = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.executescript(TABLES)
            self._add_columns()

    def _add_columns(self) -> None:
        """To a ledger of an earlier msmc; its replies are as good as before."""
        if not self._lacking():
            return
        with self._transaction():
            for table, column in self._lacking():  # unless another process was faster
                self._db.execute(f"alter table {table} add column {column}")

    def _lacking(self) -> list[tuple[str, str]]:
        columns = "select name from pragma_table_info(?)"
        there = {table: {name for (name,) in self._db.execute(columns, (table,))} for table in ADDED}
        return [(table, c) for table, added in ADDED.items() for c in added if c.split()[0] not in there[table]]

    def close(self) -> None:
        self._db.close()

    def replies(
        self, requests: Iterable[Request], send: Send, told: Callable[[int], None] = _untold
    ) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, in order, when all have one; only those without one are sent. `requests` is gone through
        twice, so that memory does not grow with it. `told`: how many have a reply. Raises Failed `ledger-unusable`."""
        self._ask(requests, send, told)
        left = iter(requests)
        while batch := list(islice(left, BATCH)):
            known = self._known(batch)
            yield from ((request, known[request.key]) for request in batch)

    def _ask(self, requests: Iterable[Request], send: Send, told: Callable[[int], None]) -> None:
        under_way, arrived, done = set[str](), list[tuple[Request, Reply]](), 0

        def unanswered() -> Iterator[Request]:
            nonlocal done
            for request in requests:
                if request.key in under_way or self._known([request]):
                    done += 1
                else:
                    yield request

        def taken(first: Request) -> Iterator[Request]:
            for request in chain((first,), missing):
                under_way.add(request.key)
                self._record(request)
                yield request

        missing = unanswered()
        if first := next(missing, None):
            try:
                for arrived in send(taken(first)):
                    self._keep(arrived)
                    under_way.difference_update(request.key for request, _ in arrived)
                    done += len(arrived)
                    told(done)
            except KeyboardInterrupt:
                self._keep(arrived)  # what has arrived is paid for
                raise
            except Exception as error:  # a writer's, which waits for what is on its way
                if not (isinstance(error, Failed) and error.name == "ledger-unusable"):
                    self._ended(under_way)
                raise
        told(done)

    def known(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        """Those that have a reply."""
        left = iter(requests)
        while batch := list(islice(left, BATCH)):
            known = self._known(batch)
            yield from ((request, known[request.key]) for request in batch if request.key in known)

    def missing(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Those without a reply."""
        left = iter(requests)
        while batch := list(islice(left, BATCH)):
            known = self._known(batch)
            yield from (request for request in batch if request.key not in known)

    def select(self, what: str) -> Iterator[tuple[Any, ...]]:
        """Rows of the database, one at a time."""
        with self._told():
            yield from self._db.execute(what)

    def remove(self, keys: Iterable[str]) -> None:
        """Requests with their replies, and prefixes that no request has any more; gives their room back to the disk."""
        with self._transaction():
            gone = [(key,) for key in keys]
            for table in ("replies", "quarantine", "requests"):
                self._db.executemany(f"delete from {table} where key = ?", gone)
            self._db.execute("delete from prefixes where digest not in (select prefix from requests)")
        with self._told():
            self._db.execute("vacuum")
            self._db.execute("pragma wal_checkpoint (truncate)")

    def _known(self, batch: list[Request]) -> dict[str, Reply]:
        """The replies that are there, each as it was received; a damaged one is dropped, and so asked for again."""
        marks = ",".join("?" * len(batch))
        with self._told():
            select = f"select key, sha256, {REPLY} from replies where key in ({marks})"
            found = self._db.execute(select, [r.key for r in batch]).fetchall()
            damaged = [(key,) for key, sha256, raw, *_ in found if _sha256(raw) != sha256]
            for table in ("replies", "quarantine") if damaged else ():
                self._db.executemany(f"delete from {table} where key = ?", damaged)
        return {key: Reply(*reply) for key, _, *reply in found if (key,) not in damaged}

    def _record(self, request: Request) -> None:
        """A kill does not lose it; a power cut may, but never a reply."""
        prefix = digest(request.messages)
        values = (request.key, request.row.id, request.writer, prefix, request.row.prompt, request.row.seed)
        with self._transaction("normal"):
            self._db.execute("insert or ignore into prefixes values (?, ?)", (prefix, request.messages))
            self._db.execute(
                """insert into requests (key, row, writer, prefix, prompt, seed, sent) values (?, ?, ?, ?, ?, ?, 1)
                on conflict (key) do update set sent = coalesce(sent, 0) + 1""",
                values,
            )

    def _ended(self, keys: Iterable[str]) -> None:
        """Requests that a writer took and that are not on their way any more: refused, or never sent."""
        with self._transaction("normal"):
            self._db.executemany("update requests set sent = sent - 1 where key = ?", [(key,) for key in keys])

    def _keep(self, arrived: list[tuple[Request, Reply]]) -> None:
        """The first reply to a request stands, should two processes have asked at once."""
        insert = f"insert or ignore into replies (key, sha256, {REPLY}) values (?, ?, ?, ?, ?, ?, ?, ?)"
        with self._transaction():
            for request, reply in arrived:
                new = self._db.execute(insert, (request.key, _sha256(reply.raw), *reply)).rowcount
                if new and (reason := rejected(reply)):
                    self._reject(request, reason, reply.finish or "")

    def quarantine(self, found: Iterable[tuple[Request, str, str]]) -> None:
        """Requests whose replies are not to be trained on, each with the kind of the reason and what there is to say."""
        with self._transaction():
            for request, reason, detail in found:
                self._reject(request, reason, detail)

    def _reject(self, request: Request, reason: str, detail: str) -> None:
        self._db.execute("insert or replace into quarantine values (?, ?, ?)", (request.key, reason, detail))

    @contextmanager
    def _transaction(self, synchronous: str = "full") -> Iterator[None]:
        """`full`: what is committed survives a power cut; `normal`: a kill."""
        with self._told():
            self._db.execute(f"pragma synchronous = {synchronous}")
            self._db.execute("begin immediate")
            try:
                yield
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A ledger (runs/ledger.sqlite) that is none, is damaged, or is held by another process.

        The ledger keeps every reply that was paid for, so msmc never replaces it. Move it away, and a new one is begun.

        Bad:
            $ echo hello > runs/ledger.sqlite && msmc run tea.msm

        Good:
            $ mv runs/ledger.sqlite elsewhere && msmc run tea.msm
        """
        try:
            yield
        except sqlite3.Error as error:
            # without room SQLite says one of two things, as it happens
            said = os.strerror(errno.ENOSPC) if no_room(error, self.path.parent) else error
            message = f"the ledger `{self.path}` cannot be used: {said}"
            raise fail("ledger-unusable", message, self._hint(error)) from error

    def _hint(self, error: sqlite3.Error) -> str:
        if self.path.is_dir():
            return f"a folder stands in its place: move it away, mv {self.path} {self.path}.folder"
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return "make room there: every reply that was committed is in it, and the same command goes on"
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return "give yourself the right to write it and its folder: every reply that was committed is in it"
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return "another program holds it: end that one, and the same command goes on"
        return f"move it away to begin anew, with replies asked for again: mv {self.path} {self.path}.broken"


def past(place: Path, writer: str, what: str, most: int) -> list[tuple[str, str, Reply]]:
    """Some replies of a writer whose server counted their tokens, each with the messages of its prefix and its prompt; to rows
    whose ids begin with `what`. Nothing is written, and a ledger that cannot be read, or is older than such counts, has none:
    whoever writes to it is told of that."""
    select = f"""select messages, prompt, {REPLY} from replies join requests using (key) join prefixes on prefix = digest
        where writer = ? and substr(row, 1, ?) = ? and prompt_tokens > 0 and completion_tokens is not null limit ?"""
    try:
        with closing(sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro", timeout=WAIT, uri=True)) as db:
            found = db.execute(select, (writer, len(what), what, most)).fetchall()
    except sqlite3.Error:
        return []
    return [(messages, prompt, Reply(*reply)) for messages, prompt, *reply in found]


def _sha256(raw: str) -> str:
    return hashlib.sha256(raw.encode()).hexdigest()
