"""Requests to a hosted model: as many at a time as its server takes, each tried again while there is hope of a reply.

Nobody else retries: a client that did would hide a busy server from the limit, and its waiting would hold a place.
"""

import asyncio
import errno
import heapq
import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from msmc.backend.ledger import FAILED, Reply, Request
from msmc.backend.meter import CapReached, Meter, most_of
from msmc.backend.writers.limit import Limit, seconds_told
from msmc.diagnostics import Failed

IN_A_ROW = 3
"""Requests that get no reply, none being answered in between, after which nobody believes in the server any more."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a request is tried again; each pause is twice the last one."""
BUSY = frozenset({429, 503, 529})
"""What a server says that has too much to do."""
AGAIN = frozenset({408, 409, 425, 429})
"""Below 500, what may be otherwise at the next try."""
STARTED, TOGETHER = 32, 0.05
"""Requests that are started before anyone looks for replies, and the most seconds in which replies are gathered: of a thousand
at a time the first one is on the disk before the last one is sent."""
EVERY = frozenset({401, 403, 404})
"""What is said of one request and holds for all: a key, a model, an address."""


class NoReply(Exception):
    """An answer that is no reply of the server's API."""


class Provider(Protocol):
    """One server's way to be asked."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its client raises where there is no reply, after one try. Those of a server that answered have its
        `status_code` and `response`."""

    async def ask(self, request: Request) -> Reply | None:
        """None: the answer is no reply."""

    def failure(self, error: Exception) -> Failed:
        """What a user is told: of its client's errors, TimeoutError and NoReply."""

    async def close(self) -> None: ...


@dataclass(eq=False)
class Attempt:
    """A request on its way, or waiting for its next try. Counts of replies are those that the pool has had."""

    request: Request
    seen: int
    """Replies at its last failure, or when it was taken."""
    since: int = 0
    """Replies at its first failure, or the first of those that count."""
    tries: int = 0
    """Those that failed."""
    sent: int = 0
    """Its number among those that the pool sent; when it is a suspect, how many it had sent by then."""
    round: int = 0


class Pool:
    """Sends requests, so many at a time as its limit says. Replies are handed on as they arrive.

    A request that gets none while others do is given up alone, as a reply with the finish `failed`, and so is a further try of
    it: it may be the only one that is sent then."""

    def __init__(
        self, provider: Provider, limit: Limit, meter: Meter, *, max_tokens: int, timeout: float, retries: int
    ) -> None:
        """`timeout`: seconds for a whole request, whatever trickles in between; each try has its own."""
        self.provider, self.limit, self.meter = provider, limit, meter
        self.max_tokens, self.timeout, self.retries = max_tokens, timeout, retries
        self._expected: tuple[type[Exception], ...] = (NoReply, TimeoutError, *provider.errors)
        self._runner = asyncio.Runner()
        self._something = asyncio.Event()
        self._jitter = random.Random()
        self._replies = self._sent = 0
        self._paused = 0.0
        """The time of the loop at which the server may be asked again."""
        self._begin()

    def _begin(self) -> None:
        self._running = dict[asyncio.Task[Reply | None], Attempt]()
        self._ended = deque[asyncio.Task[Reply | None]]()
        self._waiting: list[tuple[float, int, Attempt]] = []
        """By the time from which each may be sent again."""
        self._capped: Attempt | None = None
        self._suspects: list[tuple[Attempt, Exception]] = []
        """Given up since the last reply: it may be they, or the server."""
        self._failure: Exception | None = None
        self._arrived: list[tuple[Request, Reply]] = []
        self._every = False

    def close(self) -> None:
        self._runner.run(self._cancelled())  # where whoever was handed a reply failed, `send` is not at its end
        self._runner.run(self.provider.close())
        self._runner.close()

    def send(self, requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        """Raises CapReached before a cap is passed, and Failed where the server gives no reply. In both cases, and when it is
        stopped, what has arrived is handed on first; a failure waits for what is on its way, because it may be paid for."""
        self._begin()
        try:
            while self._sends(requests):
                self._runner.run(self._wait())
                self._collect()
                if self._arrived:
                    yield self._arrived
                    self._arrived = []
        except KeyboardInterrupt:
            self._collect()
            yield self._arrived
            raise
        finally:
            if self._running:
                self._runner.run(self._cancelled())
        if self._capped and not self._failure:
            raise CapReached(most_of(self._capped.request, self.max_tokens))
        if failure := self._failure or self._last():
            raise self.provider.failure(failure) from None
        if self._arrived:
            yield self._arrived

    # ---- on their way ---------------------------------------------------------------------------------------------------

    def _sends(self, requests: Iterator[Request]) -> bool:
        """Sends what may be sent, a part of it at once. Whether there is something to wait for."""
        for _ in range(STARTED):
            if self._failure or len(self._running) >= self.limit.now or not (attempt := self._next(requests)):
                break
            if not self.meter.admit(attempt.request, most_of(attempt.request, self.max_tokens)):
                self._capped = attempt
                break
            self._capped = None
            self._sent += 1
            attempt.sent, attempt.round = self._sent, self.limit.round
            task = self._runner.get_loop().create_task(self._ask(attempt.request))
            self._running[task] = attempt
            task.add_done_callback(self._end)
        return bool(self._running or not (self._failure or self._capped or (self._every and not self._waiting)))

    def _next(self, requests: Iterator[Request]) -> Attempt | None:
        """The one that a cap held back, one to be tried again, or a new one. As many are unanswered as the limit says at most,
        whatever they wait for."""
        now = self._runner.get_loop().time()
        if self._capped or now < self._paused:
            return self._capped
        if self._waiting and self._waiting[0][0] <= now:
            return heapq.heappop(self._waiting)[2]
        if self._every or len(self._running) + len(self._waiting) >= self.limit.most:
            return None
        if request := next(requests, None):
            return Attempt(request, self._replies)
        self._every = True
        return None

    async def _ask(self, request: Request) -> Reply | None:
        async with asyncio.timeout(self.timeout):
            return await self.provider.ask(request)

    def _end(self, task: asyncio.Task[Reply | None]) -> None:
        self._ended.append(task)
        self._something.set()

    async def _wait(self) -> None:
        """Until one has ended, and those that end with it, or until one may be sent."""
        loop = self._runner.get_loop()
        try:
            async with asyncio.timeout_at(self._when()):
                await self._something.wait()
        except TimeoutError:
            return
        self._something.clear()
        before, until = 0, loop.time() + TOGETHER
        while before < len(self._ended) and loop.time() < until:
            before = len(self._ended)
            await asyncio.sleep(0)

    def _when(self) -> float | None:
        """The time at which one may be sent that may not be now."""
        if self._failure or self._capped or len(self._running) >= self.limit.now:
            return None
        times = [max(self._waiting[0][0], self._paused)] if self._waiting else []
        if not self._every and len(self._running) + len(self._waiting) < self.limit.most:
            times.append(self._paused)
        return min(times, default=None)

    async def _cancelled(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()

    # ---- what comes of them ---------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        while self._ended:
            task = self._ended[0]
            attempt = self._running[task]
            error = NoReply() if task.cancelled() else task.exception()
            reply = None if error else task.result()
            if reply:
                self._arrived.append((attempt.request, reply))
            self._ended.popleft()  # now that an interrupt would not lose it
            del self._running[task]
            if reply:
                self._answered(attempt, reply)
            elif error is None:
                self._unanswered(attempt, NoReply())
            elif isinstance(error, self._expected):
                self._unanswered(attempt, error)
            else:
                raise error

    def _answered(self, answered: Attempt, reply: Reply) -> None:
        """Proves that the server was well after every suspect that ended before this one was sent."""
        self.meter.arrived(answered.request, reply)
        self.limit.answered()
        self._replies += 1
        suspects, self._suspects = self._suspects, []
        for attempt, error in suspects:
            if attempt.sent >= answered.sent:
                self._suspects.append((attempt, error))
            elif _status(error) == 429:  # it was others' turn
                self._later(attempt, 0)
            else:
                self._give_up(attempt)

    def _unanswered(self, attempt: Attempt, error: Exception) -> None:
        """To be tried again, given up, or the server's failure."""
        status, refused = _status(error), _refused(error)
        if refused or status is not None:
            self.meter.refused(attempt.request)
        else:
            self.meter.lost(attempt.request)
        if refused or status in BUSY:
            self.limit.busy(attempt.round)
        if not attempt.tries or (status == 429 and self._replies > attempt.seen):
            attempt.tries, attempt.since = 0, self._replies
        attempt.tries, attempt.seen = attempt.tries + 1, self._replies
        if status in EVERY:
            self._failure = self._failure or error
        elif attempt.tries > self.retries or (status is not None and status < 500 and status not in AGAIN):
            self._suspect(attempt, error)
        elif isinstance(error, NoReply):
            self._later(attempt, 0)
        else:
            self._pause(attempt, error)

    def _pause(self, attempt: Attempt, error: Exception) -> None:
        """A server that says when to come is not asked before by any request."""
        headers: Mapping[str, str] = getattr(getattr(error, "response", None), "headers", {})
        told = seconds_told(headers)
        if told is None:
            pause = min(FIRST_PAUSE * 2 ** (attempt.tries - 1), LONGEST_PAUSE)
            return self._later(attempt, pause * self._jitter.uniform(0.75, 1))
        self._paused = max(self._paused, self._runner.get_loop().time() + told)
        return self._later(attempt, told)

    def _later(self, attempt: Attempt, seconds: float) -> None:
        heapq.heappush(self._waiting, (self._runner.get_loop().time() + seconds, id(attempt), attempt))

    def _suspect(self, attempt: Attempt, error: Exception) -> None:
        """Of one that is not tried again: it, or the server? A reply to another one that is sent now will tell."""
        if attempt.request.tried and _status(error) != 429 and not _refused(error):
            self._give_up(attempt)
            return
        attempt.sent = self._sent
        self._suspects.append((attempt, error))
        if len(self._suspects) >= IN_A_ROW and self._suspects[-IN_A_ROW][0].seen == self._replies:
            self._failure = self._failure or self._suspects[-IN_A_ROW][1]

    def _last(self) -> Exception | None:
        """There is no other one any more. Those while whose tries others got replies are given up; or else the server is."""
        for attempt, error in self._suspects:
            if self._replies == attempt.since or _status(error) == 429:
                return error
            self._give_up(attempt)
        return None

    def _give_up(self, attempt: Attempt) -> None:
        self._arrived.append((attempt.request, Reply("", FAILED)))


def _status(error: Exception) -> int | None:
    """None where the server did not answer."""
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _refused(error: Exception) -> bool:
    """Whether there was no connection at all, so that nothing was sent."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError) or getattr(cause, "errno", None) in (errno.EMFILE, errno.ENFILE):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
