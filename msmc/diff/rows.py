"""Which rows are new, gone, stale or unchanged: by arm, clause and artefact. Of each row a digest is kept, and no text."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

from msmc.diagnostics import fail
from msmc.ir import ArmSpec
from msmc.prose import CHARACTERS_A_TOKEN

ARTEFACTS = ("documents", "demos", "evals")


@dataclass(frozen=True)
class ArmRows:
    """One arm: what it says, and its files of rows by their path, read anew at each call."""

    name: str
    place: str
    """For messages."""
    spec: ArmSpec
    files: Mapping[str, Callable[[], Iterator[dict[str, Any]]]]


@dataclass
class Count:
    """Rows of one artefact that are about one clause."""

    stale: int = 0
    new: int = 0
    gone: int = 0
    unchanged: int = 0
    tokens: float = 0
    """Of what is stale or new, about: a prompt with its prefix, a chat, a question with its answers."""

    @property
    def changed(self) -> int:
        return self.stale + self.new + self.gone

    @property
    def rows(self) -> int:
        """In NEW."""
        return self.stale + self.new + self.unchanged


class Row(NamedTuple):
    artefact: str
    key: bytes
    """Stands for its artefact and id."""
    input: bytes
    """Stands for all that it sends or shows."""
    clauses: tuple[str, ...]
    tokens: float
    sent: bool
    """Whether a writer is asked for it."""


@dataclass
class RowChanges:
    table: dict[str, dict[str, dict[str, Count]]] = field(default_factory=dict)
    """Arm to clause to artefact. A row about several clauses, as evaluations have them, counts in each."""
    distinct: dict[str, Count] = field(default_factory=lambda: {artefact: Count() for artefact in ARTEFACTS})
    """Rows of all arms; those that arms share count once."""
    to_send: float = 0
    """Prompt tokens of the rows that a writer is asked for, and was for OLD in no arm."""

    @property
    def any(self) -> bool:
        return any(c.changed for arm in self.table.values() for clause in arm.values() for c in clause.values())


def row_changes(
    pairs: list[tuple[str, ArmRows | None, ArmRows | None]], moved: Callable[[str], str] = str
) -> RowChanges:
    """`pairs`: each arm's name with what it is in OLD and in NEW; `moved`: ids of OLD to those of NEW."""
    before = {name: {row.key: row for row in rows(old)} if old else {} for name, old, _ in pairs}
    known = {row.key: row.artefact for arm in before.values() for row in arm.values()}
    inputs = {row.key + row.input for arm in before.values() for row in arm.values()}
    found, seen, ids = RowChanges(), set[bytes](), set[bytes]()
    for name, _, new in pairs:
        table = found.table.setdefault(name, {})
        for row in rows(new) if new else ():
            old = before[name].pop(row.key, None)
            state = "new" if old is None else "unchanged" if old.input == row.input else "stale"
            _count(table, row, row.clauses, state)
            ids.add(row.key)
            if row.key + row.input not in seen:
                seen.add(row.key + row.input)
                state = "unchanged" if row.key + row.input in inputs else state
                _add(found.distinct[row.artefact], state, row.tokens)
                found.to_send += row.tokens if row.sent and state != "unchanged" else 0
        for row in before.pop(name).values():
            _count(table, row, tuple(moved(clause) for clause in row.clauses), "gone")
    for key in known.keys() - ids:
        _add(found.distinct[known[key]], "gone", 0)
    return found


def _count(table: dict[str, dict[str, Count]], row: Row, clauses: tuple[str, ...], state: str) -> None:
    for clause in clauses:
        _add(table.setdefault(clause, {}).setdefault(row.artefact, Count()), state, row.tokens)


def _add(count: Count, state: str, tokens: float) -> None:
    setattr(count, state, getattr(count, state) + 1)
    count.tokens += tokens if state in ("stale", "new") else 0


# ---- one arm's rows ---------------------------------------------------------------------------------------------------------


def rows(arm: ArmRows) -> Iterator[Row]:
    """Of all artefacts, one at a time."""
    clauses: dict[tuple[str, ...], tuple[str, ...]] = {}  # rows about the same keep one list of it
    needed: tuple[str, bytes] = (
        "",
        b"",
    )  # the row before, with its input: one of a chat stands behind the row that it needs
    for artefact in ARTEFACTS:
        shared = f"{artefact}/prefixes.jsonl"
        prefixes = {p["name"]: _content(p["messages"]) for p in arm.files[shared]()} if shared in arm.files else {}
        for path in sorted(p for p in arm.files if p.startswith(f"{artefact}/") and p != shared):
            for row in arm.files[path]():
                # the second that a document or a demo is about is the node that its clause belongs to, or its example
                planned = "prefix" in row or path == "demos/static.jsonl"
                about = (row["about"][0],) if planned else tuple(row["about"])
                if row.get("prefix", "") and row["prefix"] not in prefixes:
                    message = f"`{arm.place}/{path}` names the prefix `{row['prefix']}`, which is not in `{shared}`"
                    raise fail("broken-file", message, "make it again: msmc compile SPEC")
                before = needed[1] if row.get("needs") == needed[0] else b""
                found = _row(artefact, row, clauses.setdefault(about, about), prefixes, before)
                needed = row["id"], found.input
                yield found


def _row(
    artefact: str,
    row: dict[str, Any],
    clauses: tuple[str, ...],
    prefixes: dict[str, tuple[bytes, int]],
    needed: bytes = b"",
) -> Row:
    """`needed`: the input of the row whose reply it needs, with which its own is another."""
    sent = "prefix" in row
    if sent:
        prefix, length = prefixes[row["prefix"]]
        found, size = _digest(prefix, row["prompt"], needed), length + len(row["prompt"])
    elif "messages" in row:
        found, size = _content(row["messages"])
    elif "text" in row:  # the author's own
        found, size = _digest(row["text"]), len(row["text"])
    else:
        choices = row.get("choices", ())  # an open question has none
        found = _digest(row["input"], *choices, row["target"])
        size = len(row["input"]) + sum(map(len, choices))
    return Row(artefact, _digest(artefact, row["id"]), found, clauses, size / CHARACTERS_A_TOKEN, sent)


def _content(messages: list[dict[str, str]]) -> tuple[bytes, int]:
    """A digest of messages, and their characters."""
    return _digest(*(part for m in messages for part in (m["role"], m["content"]))), sum(
        len(m["content"]) for m in messages
    )


def _digest(*parts: str | bytes) -> bytes:
    hashed = blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "big") + data)
    return hashed.digest()
