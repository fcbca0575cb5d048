"""What was submitted in batches, in the ledger: what is in them and what they are called, known before anybody waits for them."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.ledger import BATCH, Ledger, Request
from msmc.build import JudgeRow, Message, Prefix
from msmc.digest import digest

TABLES = """
create table if not exists batches (
  digest text primary key, provider text not null, number integer not null, newest text, id text, state text not null
) without rowid;
create table if not exists batched (
  digest text not null references batches (digest), n integer not null, key text not null references requests (key),
  schema text, primary key (digest, n)
) without rowid;
create index if not exists batched_by_key on batched (key);
"""
INTENDED, SUBMITTED, TAKEN, DONE = "intended", "submitted", "taken", "done"
"""States of a batch: on its way to the provider, or lost on it; with an id; with all its replies in the ledger; and with nothing
of it left at the provider that msmc put there."""


class Intent(NamedTuple):
    """A batch that is about to be submitted, or was when its process died."""

    digest: str
    number: int
    """Of its requests."""
    newest: str | None
    """The id of the newest batch that the provider knew just before."""


class Submitted(Ledger):
    """The ledger, with the batches of one provider."""

    def __init__(self, path: Path, provider: str) -> None:
        super().__init__(path)
        self.provider = provider
        with self._told():
            self._db.executescript(TABLES)

    def intend(self, requests: dict[str, str | None], newest: str | None) -> Intent:
        """`requests`: keys, with their schemas. The same set submitted once more is another batch."""
        with self._transaction():
            (before,) = self._db.execute("select count(*) from batches").fetchone()
            intent = Intent(digest("batch", before, list(requests)), len(requests), newest)
            values = (intent.digest, self.provider, len(requests), newest, None, INTENDED)
            self._db.execute("insert into batches values (?, ?, ?, ?, ?, ?)", values)
            rows = ((intent.digest, n, key, schema) for n, (key, schema) in enumerate(requests.items()))
            self._db.executemany("insert into batched values (?, ?, ?, ?)", rows)
        return intent

    def submitted(self, intent: Intent, batch_id: str) -> None:
        with self._transaction():
            place = "update batches set id = ?, state = ? where digest = ?"
            self._db.execute(place, (batch_id, SUBMITTED, intent.digest))

    def drop(self, intent: Intent) -> None:
        """The provider never had it."""
        with self._transaction():
            for table in ("batched", "batches"):
                self._db.execute(f"delete from {table} where digest = ?", (intent.digest,))

    def now(self, batch: str, state: str) -> None:
        """Its new state."""
        with self._transaction():
            self._db.execute("update batches set state = ? where digest = ?", (state, batch))

    def lost(self) -> list[Intent]:
        """Intentions of which nobody knows what became."""
        select = "select digest, number, newest from batches where provider = ? and state = ?"
        return [Intent(*row) for row in self._rows(select, self.provider, INTENDED)]

    def open_with(self, key: str) -> str | None:
        """The submitted batch that has a request and whose replies are not in the ledger yet."""
        select = """select digest from batched join batches using (digest)
            where key = ? and provider = ? and state = ? limit 1"""
        return next((batch for (batch,) in self._rows(select, key, self.provider, SUBMITTED)), None)

    def waits_for(self, key: str) -> None:
        """A request that was taken, and is not sent once more."""
        self._ended([key])

    def in_state(self, state: str) -> dict[str, str]:
        """Digests and ids."""
        select = "select digest, id from batches where provider = ? and state = ?"
        return {batch: batch_id for batch, batch_id in self._rows(select, self.provider, state)}

    def ids(self) -> set[str]:
        """Of all batches that the ledger knows."""
        return {
            batch
            for (batch,) in self._rows("select id from batches where provider = ? and id is not null", self.provider)
        }

    def holds(self, batch: str, key: str) -> bool:
        return bool(self._rows("select 1 from batched where digest = ? and key = ?", batch, key))

    def unanswered(self, batch: str, keys: Iterable[str] | None = None) -> Iterator[Request]:
        """A batch's requests without a reply, in its order: those of some keys, or all."""
        every = (key for (key,) in self._rows("select key from batched where digest = ? order by n", batch))
        left: Iterator[str] = every if keys is None else iter(keys)
        while some := list(islice(left, BATCH)):
            marks = ",".join("?" * len(some))
            select = f"""select row, seed, prompt, messages, writer, schema from batched join requests using (key)
                join prefixes on prefix = prefixes.digest
                where batched.digest = ? and key in ({marks}) and key not in (select key from replies) order by n"""
            for row, seed, prompt, messages, writer, schema in self._rows(select, batch, *some):
                asked = JudgeRow(id=row, seed=seed, prompt=prompt)
                yield Request(asked, _prefix(messages), writer, schema)

    def _rows(self, select: str, *values: str) -> list[tuple[Any, ...]]:
        with self._told():
            return self._db.execute(select, values).fetchall()


@lru_cache(maxsize=64)
def _prefix(messages: str) -> Prefix:
    """As it was sent; its name is no part of a request's key."""
    return Prefix(name="", messages=tuple(Message.model_validate(message) for message in json.loads(messages)))
