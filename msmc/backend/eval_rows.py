"""The rows that a model is scored on, read where they are needed: memory does not grow with their number."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msmc.stored import broken

Row = dict[str, Any]


class Rows(Protocol):
    """A list of rows, or what hands them out one by one."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Row: ...


class StoredRows:
    """Those of JSON Lines files, in order."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._places: list[tuple[Path, int]] = []
        for file in files:
            start = 0
            with file.open("rb") as lines:
                for line in lines:
                    self._places.append((file, start))
                    start += len(line)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int, /) -> Row:
        file, start = self._places[number]
        with file.open("rb") as stream:
            stream.seek(start)
            try:
                return dict(json.loads(stream.readline()))
            except ValueError as error:
                raise broken(file, "was cut or changed: it is not whole JSON") from error


@dataclass(frozen=True)
class SomeRows:
    rows: Rows
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int, /) -> Row:
        return self.rows[self.numbers[number]]


def each(rows: Rows) -> Iterator[Row]:
    return (rows[number] for number in range(len(rows)))


def limited(rows: Rows, limit: int | None) -> Rows:
    """The first `limit` items of each evaluation, of recall in each form, spread over its topics, both orders; all of them for
    None."""
    if limit is None:
        return rows
    groups: dict[tuple[str, str | None], dict[str, dict[str, list[int]]]] = {}
    for number, row in enumerate(each(rows)):
        meta = row["metadata"]
        topics = groups.setdefault((meta["eval"], meta.get("form")), {})
        topics.setdefault(meta["topic"], {}).setdefault(meta["item"], []).append(number)
    found: list[int] = []
    for topics in groups.values():
        of_topics = [list(items.values()) for items in topics.values()]
        turns = (items[turn] for turn in range(limit) for items in of_topics if turn < len(items))
        found += [number for _, item in zip(range(limit), turns, strict=False) for number in item]
    return SomeRows(rows, found)


@contextmanager
def in_order(path: Path, count: int) -> Iterator[Callable[[int, Row], None]]:
    """Takes rows by their numbers as they come, each at once to the disk; at the end `path` has them in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part, starts = path.with_name(f"{path.name}.part"), [0] * count
    try:
        with part.open("w+b") as stream:

            def put(number: int, row: Row) -> None:
                starts[number] = stream.tell()
                stream.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

            yield put
            with path.open("wb") as lines:
                for start in starts:
                    stream.seek(start)
                    lines.write(stream.readline())
    finally:
        part.unlink(missing_ok=True)
