"""Work in two processes: all of it is done, what goes wrong is told, and no process is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from msmc.halves import can_halve, in_halves
from tests.project import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
HERE = os.getpid()


def children() -> set[str]:
    """Of this process, which may have some of its own that are none of ours."""
    return {pid for told in Path("/proc/self/task").glob("*/children") for pid in told.read_text("utf-8").split()}


@pytest.fixture(autouse=True)
def _leaves_no_process() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


def test_what_is_made_keeps_its_order_and_comes_of_two_processes() -> None:
    made = in_halves(lambda n: [n, os.getpid()], range(7))
    assert [n for n, _ in made] == list(range(7))
    assert {pid for _, pid in made[::2]} == {os.getpid()} and len({pid for _, pid in made[1::2]}) == 1
    assert len({pid for _, pid in made}) == 2
    assert in_halves(str, []) == []


@pytest.mark.parametrize("wrong", [2, 3], ids=["in this process", "in the other"])
def test_what_one_raises_is_raised(wrong: int) -> None:
    def call(n: int) -> int:
        if n == wrong:
            raise ValueError(f"{n} is wrong")
        return n

    with pytest.raises(ValueError, match=f"{wrong} is wrong"):
        in_halves(call, range(6))


def test_what_a_killed_process_did_not_finish_is_done_here() -> None:
    def call(n: int) -> int:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return n

    assert in_halves(call, range(6)) == list(range(6))


def test_the_other_process_ends_where_this_one_is_interrupted() -> None:
    def call(n: int) -> int:
        if os.getpid() != HERE:
            time.sleep(60)
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        in_halves(call, range(6))
    assert time.monotonic() - started < 30


ENDLESS = """
import os, time
from msmc.halves import in_halves
def call(n):
    os.write(1, b'%d\\n' % os.getpid())
    time.sleep(60)
in_halves(call, range(2))
"""


def test_the_other_process_dies_with_this_one() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True, env=environment) as first:
        assert first.stdout
        pids = {int(first.stdout.readline()) for _ in range(2)}
        first.kill()
        first.wait()
    (other,) = pids - {first.pid}
    deadline = time.monotonic() + 20
    while _runs(other):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_with_threads_is_not_forked() -> None:
    import threading

    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    assert not can_halve()
    done.set()
    thread.join()
