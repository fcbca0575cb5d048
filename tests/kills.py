"""Runs msmc and kills it, without a chance to tidy up, at the n-th event of a kind: an fsync, a rename, a commit of the ledger,
or an optimizer step.

    python tests/kills.py KIND N ARGUMENTS…     KIND: fsync, rename, commit, step; or `count`, which prints all counts

The events are those that msmc makes in Python; inside a commit SQLite answers for itself.
"""

import json
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

kind, number, arguments = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
seen: Counter[str] = Counter()


def tick(event: str) -> None:
    seen[event] += 1
    if event == kind and seen[event] == number:
        os.kill(os.getpid(), signal.SIGKILL)


def ticking(event: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """Half of the kills come before the event, half after it."""

    def call(*given: Any, **named: Any) -> Any:
        tick(event)
        found = plain(*given, **named)
        tick(event)
        return found

    return call


class Connection(sqlite3.Connection):
    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        plain = super().execute
        return ticking("commit", plain)(sql, *given) if sql == "commit" else plain(sql, *given)


def main() -> None:
    os.fsync = ticking("fsync", os.fsync)
    os.rename, os.replace = ticking("rename", os.rename), ticking("rename", os.replace)
    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **named: connect(*given, **{"factory": Connection, **named})  # type: ignore[assignment]

    from msmc.cli import main as msmc

    if kind in ("step", "count") and arguments[0] in ("run", "ablate"):
        from torch.optim.optimizer import register_optimizer_step_post_hook

        register_optimizer_step_post_hook(lambda *_: tick("step"))
    try:
        msmc(arguments)
    finally:
        if kind == "count":
            print(json.dumps(seen), file=sys.stderr)


main()
