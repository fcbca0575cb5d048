"""Planned rows to a hosted model in batches, which cost less and may take a day: what all providers have in common.

Requests are cut into files within the provider's limits. What is in a file is in the ledger before it is submitted, and the
batch's id before anybody waits: after a kill a batch is waited for, or looked for where its id did not arrive.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from msmc.backend.ledger import FAILED, Reply, Request
from msmc.backend.meter import CapReached, Meter, most_of
from msmc.backend.writers.batch_provider import BatchProvider, Entry, Outcome, State
from msmc.backend.writers.failures import Trouble
from msmc.backend.writers.submitted import DONE, SUBMITTED, TAKEN, Intent, Submitted
from msmc.diagnostics import Failed, fail
from msmc.whole import locked
from msmc.writer import Remote

GROUP = 256
"""Entries that are read together, and whose replies are kept together."""
Waiting = Callable[[int, int, int], None]
"""Told at each look: how many batches are waited for, how many of their requests are done, and of how many."""
T = TypeVar("T")


class Pauses(NamedTuple):
    """Seconds."""

    first: float = 2
    """Before the second look at a batch; each further one is `growth` times the last, up to `most`."""
    growth: float = 1.5
    most: float = 60
    settle: float = 30
    """In which a provider lists a batch that it was given by a process that died."""


PAUSES = Pauses()


class Ahead:
    """Requests, of which some can be put back."""

    def __init__(self, requests: Iterator[Request]) -> None:
        self._left = requests

    def __iter__(self) -> Iterator[Request]:
        return self

    def __next__(self) -> Request:
        return next(self._left)

    def put_back(self, requests: Iterable[Request]) -> None:
        self._left = chain(requests, self._left)


class Batches:
    """Sends requests in batches and waits for them."""

    def __init__(
        self,
        provider: BatchProvider,
        served: Remote,
        ledger: Path,
        meter: Meter,
        waiting: Waiting,
        pauses: Pauses = PAUSES,
    ) -> None:
        self.provider, self.served, self.meter, self.waiting, self.pauses = provider, served, meter, waiting, pauses
        self._book = Submitted(ledger, f"{served.kind} {served.url}")
        self._file = ledger.parent / "batches" / "next.jsonl"
        self._runner = asyncio.Runner()
        self._promised = set[str]()
        """Keys of the requests that the meter has set something aside for."""
        self._tried = set[str]()
        """Keys of further tries: that one is refused says nothing of others."""

    def close(self) -> None:
        self._runner.run(self.provider.close())
        self._runner.close()
        self._book.close()

    def send(self, requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        """What is in a batch already is waited for, and not sent again. Raises CapReached before a cap is passed, and Failed
        where the provider gives no replies; what arrived is handed on first."""
        left, rounds = Ahead(requests), 0
        self._recover()
        while True:
            opened, capped = self._submit_all(left)
            if not opened:
                break
            yield from self._take(opened)
            left.put_back([capped] if capped else [])
            again = (request for batch in opened for request in self._book.unanswered(batch))
            if first := next(again, None):
                rounds += 1
                if rounds > self.served.retries:
                    raise self._unanswered()
                left.put_back(chain([first], again))
        if capped:
            raise CapReached(most_of(capped, self.served.max_tokens))

    # ---- submitting ---------------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Looks for batches whose ids did not arrive, and deletes what is left at the provider of those that are taken."""
        if self._book.lost():
            with self._alone():
                for intent in self._book.lost():
                    self._settled(intent)
        for batch, batch_id in self._book.in_state(TAKEN).items():
            self._clean(batch, batch_id)

    def _alone(self) -> AbstractContextManager[None]:
        """One process at a time submits: an intention without an id is then of one that died."""
        return locked(self._file, lambda: None)

    def _submit_all(self, left: Ahead) -> tuple[set[str], Request | None]:
        """The batches that have what is asked for; and the request that a cap holds back."""
        opened = set[str]()
        while True:
            with self._alone():
                cut, capped = self._cut(left, opened)
                if not cut:
                    return opened, capped
                opened.add(self._submit(cut, bool(opened)))
            if capped:
                return opened, capped

    def _cut(self, left: Ahead, opened: set[str]) -> tuple[dict[str, str | None], Request | None]:
        """The requests of the next batch, keys with schemas; their lines are in the file then. Batches that have others are added
        to `opened`."""
        cut, size = dict[str, str | None](), 0
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("wb") as stream:
            for request in left:
                if request.tried:
                    self._tried.add(request.key)
                if batch := self._book.open_with(request.key):
                    self._book.waits_for(request.key)
                    opened.add(batch)
                    continue
                if request.key in cut:
                    continue
                line = self.provider.line(request)
                size += len(line)
                if cut and (len(cut) == self.provider.most_requests or size > self.provider.most_bytes):
                    left.put_back([request])
                    break
                if not self.meter.admit(request, most_of(request, self.served.max_tokens)):
                    return cut, request
                self._promised.add(request.key)
                cut[request.key] = request.schema
                stream.write(line)
        return cut, None

    def _submit(self, cut: dict[str, str | None], others: bool) -> str:
        """`others`: whether there are batches whose ends make room for it."""
        intent, tries = self._book.intend(cut, self._asked(self.provider.newest)), 0
        while True:
            try:
                batch_id = self._runner.run(self.provider.submit(self._file, intent))
                self._book.submitted(intent, batch_id)
                break
            except self.provider.errors as error:
                trouble = self.provider.trouble(error)
            if trouble.unsure and self._settled(intent, drop=False):
                break
            tries += 1
            full = others and trouble.status == 429
            if not (full or (trouble.passes and tries <= self.served.retries)):
                self._drop(intent)
                raise self.provider.failure(trouble)
            time.sleep(self._pause(tries, trouble))
        self._file.unlink()
        return intent.digest

    def _settled(self, intent: Intent, drop: bool = True) -> bool:
        """Whether the provider has the batch of an intention; if not, it is forgotten, unless it is to be submitted again."""
        looks, deadline = 0, time.monotonic() + self.pauses.settle
        while True:
            found = self._asked(partial(self.provider.find, intent, self._book.ids(), self._holds(intent)))
            if found.id is not None:
                self._book.submitted(intent, found.id)
                return True
            if not found.later and time.monotonic() >= deadline:
                break
            self.waiting(1, 0, intent.number)
            time.sleep(self._pause(looks))
            looks += 1
        if drop:
            self._drop(intent)
        return False

    def _drop(self, intent: Intent) -> None:
        """The provider has no such batch."""
        with suppress(*self.provider.errors):  # what was uploaded is no harm
            self._runner.run(self.provider.forget(intent))
        self._book.drop(intent)

    def _holds(self, intent: Intent) -> Callable[[str], bool]:
        return lambda key: self._book.holds(intent.digest, key)

    # ---- waiting ------------------------------------------------------------------------------------------------------------

    def _take(self, opened: set[str]) -> Iterator[list[tuple[Request, Reply]]]:
        """Replies of batches as each ends. Raises Failed at the end, where one was canceled or refused as a whole."""
        ids, states, looks, failures = self._book.in_state(SUBMITTED), dict[str, State](), 0, list[Failed]()
        left = sorted(opened & ids.keys())  # another process may have taken others
        while left:
            for batch in left:
                states[batch] = self._asked(partial(self.provider.state, ids[batch]))
            self.waiting(len(left), sum(s.done for s in states.values()), sum(s.total for s in states.values()))
            ended = [batch for batch in left if states[batch].ended]
            for batch in ended:
                yield from self._replies(batch, ids[batch], states[batch], failures)
            left = [batch for batch in left if batch not in ended]
            looks = 0 if ended else looks + 1
            if left and not ended:
                time.sleep(self._pause(looks))
        if failures:
            raise failures[0]

    def _replies(
        self, batch: str, batch_id: str, state: State, failures: list[Failed]
    ) -> Iterator[list[tuple[Request, Reply]]]:
        """Of one batch that has ended. What was answered before a kill is passed over."""
        seen, refused, said = set[Outcome](), dict[str, str](), state.refused
        for tries in range(self.served.retries + 1):
            entries = self.provider.entries(batch_id)
            try:
                number = 0
                while some := self._runner.run(_some(entries)):
                    number += len(some)
                    seen |= {entry.outcome for entry in some}
                    refused |= {entry.key: entry.told for entry in some if entry.outcome is Outcome.REFUSED}
                    if arrived := self._answers(batch, some):
                        yield arrived
                if number >= state.total:  # else it broke off: what it lacks was answered all the same
                    break
                time.sleep(self._pause(tries))
            except self.provider.errors as error:
                trouble = self.provider.trouble(error)
                if not trouble.passes or tries == self.served.retries:
                    raise self.provider.failure(trouble) from None
                time.sleep(self._pause(tries, trouble))
            finally:
                self._runner.run(_closed(entries))
        alone: Collection[str] = refused if Outcome.ANSWERED in seen else refused.keys() & self._tried
        if alone:
            yield [(request, Reply("", FAILED)) for request in self._book.unanswered(batch, alone)]
        if len(alone) < len(refused) or said:
            failures.append(self.provider.failure(Trouble(400, said=next(iter(refused.values()), said))))
        if Outcome.CANCELED in seen:
            failures.append(self._canceled(batch_id))
        for request in self._book.unanswered(batch):
            self._return(request)
        self._book.now(batch, TAKEN)
        self._clean(batch, batch_id)

    def _answers(self, batch: str, some: list[Entry]) -> list[tuple[Request, Reply]]:
        """The new ones. The first answer to a request stands."""
        answers = {entry.key: entry.told for entry in reversed(some) if entry.outcome is Outcome.ANSWERED}
        arrived = list[tuple[Request, Reply]]()
        for request in self._book.unanswered(batch, answers):
            if reply := self.provider.reply(answers[request.key], request):
                arrived.append((request, reply))
                self._count(request, reply)
            elif request.key in self._promised:
                self._promised.remove(request.key)
                self.meter.lost(request)
        return arrived

    def _count(self, request: Request, reply: Reply) -> None:
        if request.key in self._promised:
            self._promised.remove(request.key)
            self.meter.arrived(request, reply)
        else:  # it was submitted by an earlier command, under caps of its own
            counted = self.meter.count(request, reply)
            self.meter.add(counted, most_of(request, self.served.max_tokens) if counted.counted else counted)

    def _return(self, request: Request) -> None:
        """One without an answer: a provider charges nothing for it."""
        if request.key in self._promised:
            self._promised.remove(request.key)
            self.meter.refused(request)

    def _unanswered(self) -> Failed:
        tries = self.served.retries + 1
        message = f"{self.served.url} left requests of a batch without an answer, {tries} times"
        hint = f"look at the account's limits; --set {self.served.part}.batch=false asks at once, at the full price"
        return fail("writer-failed", message, f"{hint}; every reply that came is kept, and the same command goes on")

    def _canceled(self, batch_id: str) -> Failed:
        hint = "every reply that came is kept, and the same command submits the others again"
        return fail("writer-failed", f"the batch {batch_id} of {self.served.url} was canceled there", hint)

    def _clean(self, batch: str, batch_id: str) -> None:
        """What cannot be deleted now is tried again by the next command that uses the provider."""
        try:
            self._runner.run(self.provider.clean(batch_id))
        except self.provider.errors as error:
            if self.provider.trouble(error).status != 404:
                return
        self._book.now(batch, DONE)

    # ---- asking -------------------------------------------------------------------------------------------------------------

    def _asked(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What may be asked twice: tried again while there is hope."""
        for tries in range(self.served.retries + 1):
            try:
                return self._runner.run(ask())
            except self.provider.errors as error:
                trouble = self.provider.trouble(error)
                if not trouble.passes or tries == self.served.retries:
                    raise self.provider.failure(trouble) from None
                time.sleep(self._pause(tries, trouble))
        raise AssertionError("the last try returns or raises")

    def _pause(self, looks: int, trouble: Trouble | None = None) -> float:
        """Seconds before the next look or try."""
        grown = min(self.pauses.first * self.pauses.growth ** min(looks, 64), self.pauses.most)
        return max(grown, trouble.wait or 0) if trouble else grown


async def _closed(entries: AsyncGenerator[Entry, None]) -> None:
    await entries.aclose()


async def _some(entries: AsyncGenerator[Entry, None]) -> list[Entry]:
    found = list[Entry]()
    async for entry in entries:
        found.append(entry)
        if len(found) == GROUP:
            break
    return found
