"""The ledger: every request to a writer and every reply, kept in one SQLite database so that none is asked for twice.

A request is recorded before it is sent, and a raw reply committed before anyone parses it. The key of a request is
everything that determines its reply, so an edit asks again for the rows whose text it changes and for no others.
"""

import errno
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from msmc.build import DemoRow, DocumentRow, JudgeRow, Prefix, canonical, digest
from msmc.diagnostics import fail
from msmc.whole import no_room

LEDGER = "ledger.sqlite"
"""Its name in the folder of runs."""
BATCH = 256
"""Requests that are recorded together, in one commit."""
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
"""
FIRST = ["key", "raw", "sha256"]
"""The columns of replies in ledgers that msmc 0.1 began; the others are added."""
ADDED = ("finish text", "prompt_tokens integer", "cached_tokens integer", "completion_tokens integer")
REPLY = "raw, finish, prompt_tokens, cached_tokens, completion_tokens"
"""The columns of a `Reply`, in its order."""


@dataclass(frozen=True)
class Request:
    """One planned row as a writer gets it. `writer`: its name, model and sampling, and what else its replies depend on."""

    row: DocumentRow | DemoRow | JudgeRow
    prefix: Prefix
    writer: str

    @cached_property
    def input(self) -> str:
        """Digest of what the row's text is written from. A row is stale when it differs (DESIGN section 5)."""
        return digest(self.messages, self.row.prompt, self.row.seed)

    @cached_property
    def messages(self) -> str:
        return canonical([message.model_dump() for message in self.prefix.messages])

    @cached_property
    def key(self) -> str:
        return digest(self.input, self.writer)


class Reply(NamedTuple):
    """A writer's text as it came, and what its server says of it."""

    raw: str
    finish: str | None = None
    """Why it ended, in the words of the chat API: `stop`, `length` and others; None where nobody said."""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the prompt that the server had from before."""
    completion_tokens: int | None = None


Send = Callable[[list[Request]], Iterator[list[tuple[Request, Reply]]]]
"""Sends requests and yields raw replies as they arrive, in any order; what comes together is committed together."""


class Ledger:
    """One database for a folder of runs. Several processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            # no implicit transactions: each BEGIN and COMMIT below is meant
            self._db = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")  # a committed reply survives a power cut
            self._db.executescript(TABLES)
            self._add_columns()

    def _add_columns(self) -> None:
        """To a ledger of an earlier msmc; its replies are as good as before."""
        columns = "select name from pragma_table_info('replies')"
        if [name for (name,) in self._db.execute(columns)] != FIRST:
            return
        with self._transaction():
            if [name for (name,) in self._db.execute(columns)] == FIRST:  # no other process was faster
                for column in ADDED:
                    self._db.execute(f"alter table replies add column {column}")

    def close(self) -> None:
        self._db.close()

    def replies(self, requests: Iterable[Request], send: Send) -> Iterator[tuple[Request, Reply]]:
        """Each request with its reply, in order; only those without one are sent. Raises Failed `ledger-unusable`."""
        left = iter(requests)
        while batch := list(islice(left, BATCH)):
            known = self._known(batch)
            missing = list({request.key: request for request in batch if request.key not in known}.values())
            if missing:
                self._record(missing)
                for arrived in send(missing):
                    try:
                        self._keep(arrived)
                    except KeyboardInterrupt:
                        self._keep(arrived)  # what has arrived is paid for
                        raise
                known = self._known(batch)
            yield from ((request, known[request.key]) for request in batch)

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

    def _known(self, batch: list[Request]) -> dict[str, Reply]:
        """The replies that are there, each as it was received; a damaged one is dropped, and so asked for again."""
        marks = ",".join("?" * len(batch))
        with self._told():
            select = f"select key, sha256, {REPLY} from replies where key in ({marks})"
            found = self._db.execute(select, [r.key for r in batch]).fetchall()
            damaged = [(key,) for key, sha256, raw, *_ in found if _sha256(raw) != sha256]
            self._db.executemany("delete from replies where key = ?", damaged)
        return {key: Reply(*reply) for key, _, *reply in found if (key,) not in damaged}

    def _record(self, requests: list[Request]) -> None:
        prefixes = {digest(r.messages): r.messages for r in requests}
        with self._transaction():
            self._db.executemany("insert or ignore into prefixes values (?, ?)", prefixes.items())
            self._db.executemany(
                "insert or ignore into requests values (?, ?, ?, ?, ?, ?)",
                [(r.key, r.row.id, r.writer, digest(r.messages), r.row.prompt, r.row.seed) for r in requests],
            )

    def _keep(self, arrived: list[tuple[Request, Reply]]) -> None:
        """The first reply to a request stands, should two processes have asked at once."""
        with self._transaction():
            self._db.executemany(
                f"insert or ignore into replies (key, sha256, {REPLY}) values (?, ?, ?, ?, ?, ?, ?)",
                [(request.key, _sha256(reply.raw), *reply) for request, reply in arrived],
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
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
