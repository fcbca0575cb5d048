"""What a provider of batches must be able to do, and the shapes of what it tells."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from msmc.backend.ledger import Reply, Request
from msmc.backend.writers.failures import Trouble
from msmc.backend.writers.submitted import Intent
from msmc.diagnostics import Failed


class State(NamedTuple):
    """Of a batch, at its provider."""

    ended: bool
    done: int
    total: int
    """Of the requests that the provider took: each has an entry in the end."""
    refused: str = ""
    """The provider's words, where it took none of the requests."""


class Outcome(Enum):
    ANSWERED = "answered"
    REFUSED = "refused"
    """It would be at each try."""
    AGAIN = "again"
    """It expired, or the provider failed."""
    CANCELED = "canceled"


class Entry(NamedTuple):
    """What became of one request of a batch."""

    key: str
    outcome: Outcome
    told: Any = None
    """The parsed answer, or the words of a refusal."""


NONE = Entry("", Outcome.AGAIN)
"""A line that is nothing."""


class Found(NamedTuple):
    """What comes of looking for a batch without an id."""

    id: str | None = None
    later: bool = False
    """There is one that tells what is in it when it has ended."""


class BatchProvider(Protocol):
    """Everything is tried once: who calls tries again."""

    most_requests: int
    most_bytes: int

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its client raises."""

    def line(self, request: Request) -> bytes:
        """A request in the file that is submitted; its key is its id there."""

    def reply(self, answer: Any, request: Request) -> Reply | None:
        """None: the answer is no reply."""

    async def newest(self) -> str | None:
        """The id of the newest batch."""

    async def submit(self, file: Path, intent: Intent) -> str:
        """The id of a new batch."""

    async def find(self, intent: Intent, known: set[str], holds: Callable[[str], bool]) -> Found:
        """Looks among the batches that are not `known` by their ids. `holds`: whether the intention has a request of this key."""

    async def forget(self, intent: Intent) -> None:
        """Deletes what was uploaded for a batch that was not made."""

    async def state(self, batch_id: str) -> State: ...

    def entries(self, batch_id: str) -> AsyncGenerator[Entry, None]: ...

    async def clean(self, batch_id: str) -> None:
        """Deletes the files of a batch."""

    def trouble(self, error: Exception) -> Trouble: ...

    def failure(self, trouble: Trouble) -> Failed: ...

    async def close(self) -> None: ...


async def lines_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines of JSON. The clients' own take every line end of Unicode for one, which JSON may have inside."""
    left = b""
    async for chunk in chunks:
        *lines, left = (left + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
    if left.strip():
        yield left
