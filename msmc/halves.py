"""Work done by two processes: this one, and one that it forks, which ends with it however it ends."""

import gc
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
DIE_WITH_PARENT = 1
"""Linux's PR_SET_PDEATHSIG."""


def can_halve() -> bool:
    """Whether there is a second core, and nothing in this process that a fork would tear apart."""
    there = hasattr(os, "fork") and hasattr(os, "sched_getaffinity")
    return there and len(os.sched_getaffinity(0)) > 1 and threading.active_count() == 1


def in_halves(call: Callable[[T], Any], many: Sequence[T]) -> list[Any]:
    """What `call` makes of each, which must be JSON. What it raises is raised here: what the other process did not finish is
    called again, in this one."""
    found: list[Any] = [None] * len(many)
    with _other(lambda: [call(one) for one in many[1::2]]) as told:
        found[::2] = [call(one) for one in many[::2]]
        theirs = told()
    found[1::2] = theirs if theirs is not None else [call(one) for one in many[1::2]]
    return found


@contextmanager
def _other(work: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Works in a forked process; gives what waits for its result, which is None where there is none. Ends it on the way out."""
    reading, writing = os.pipe()
    gc.freeze()  # or a collection copies every page in both
    parent, child = os.getpid(), os.fork()
    if not child:
        _work(work, writing, parent)
    os.close(writing)
    with open(reading, "rb") as stream:
        try:
            yield lambda: _result(stream.read())
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            gc.unfreeze()


def _work(work: Callable[[], Any], writing: int, parent: int) -> NoReturn:
    """In the other process: nothing of this one's tidying up is its business."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() == parent:
            with open(writing, "wb") as stream:
                stream.write(json.dumps(work()).encode())
    finally:
        os._exit(0)


def _result(said: bytes) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        return None
