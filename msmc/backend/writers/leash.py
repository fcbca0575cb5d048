"""A child process that never outlives msmc, however msmc ends: Ctrl-C, a crash, `kill -9`.

Between the two stands this file, run as a program. It holds a pipe from msmc, and ends the child and all of the child's own
children when the pipe closes: the system closes it with msmc. It imports nothing of msmc, and so starts in a blink.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

GRACE = 10.0
"""Seconds that a child has to end by itself once it is asked to."""


class Leash:
    """A running child. What it prints goes to a file."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        """Raises OSError where the log cannot be written."""
        with log.open("wb") as stream:
            self._holder = subprocess.Popen(
                [sys.executable, "-I", __file__, *command],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is for msmc, which then lets go
            )

    @property
    def ended(self) -> bool:
        """Whether the child ended by itself."""
        return self._holder.poll() is not None

    def let_go(self) -> None:
        """Ends the child, and waits until it has."""
        assert self._holder.stdin
        self._holder.stdin.close()
        self._holder.wait()


def hold(command: Sequence[str]) -> int:
    """Runs the child until it ends or standard input does; its exit status, or 128 and the signal that ended it."""
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", flush=True)
        return 127
    threading.Thread(target=_until_let_go, args=(child,), daemon=True).start()
    status = child.wait()
    _signal(child, signal.SIGKILL)  # its own children, if it left some
    return status if status >= 0 else 128 - status


def _until_let_go(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        pass
    _signal(child, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    _signal(child, signal.SIGKILL)


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """To its whole process group. macOS forbids it where none of the group is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


if __name__ == "__main__":
    sys.exit(hold(sys.argv[1:]))
