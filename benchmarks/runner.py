"""Runs two programs in turn, each in a fresh process, and compares them: median, spread, ratio, peak memory, bar.

A program says its own figure by printing `{"figure": …}` as its last line; else the figure is the seconds of the whole
process. One run of each beforehand, which is not counted, warms the file cache.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
BIN = Path(sys.executable).parent
ROUNDS = 5
LESS = ("s", "MiB")
# as a user has it: bytecode is kept, output goes to no terminal
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


class Ran(NamedTuple):
    """One process."""

    figure: float
    mib: float
    """Peak resident memory."""
    said: dict[str, Any]
    """Its last line, where that is an object."""


class Bench(NamedTuple):
    """A comparison: what is run as `ours` and as `peer`, and how much their figures may differ."""

    name: str
    unit: str
    """One of LESS, where less is better, or a rate, where more is."""
    ours: list[str]
    peer: list[str]
    bar: float | None = None
    """Of ours to the peer: at most, where less is better; at least, for a rate. None: only told."""
    own_bar: float | None = None
    """What ours must be in itself, whatever the peer is: at most, where less is better; at least, for a rate."""
    most_mib: float | None = None
    """Peak memory that ours may have."""


class Compared(NamedTuple):
    bench: Bench
    ours: list[Ran]
    peer: list[Ran]

    @property
    def ratio(self) -> float:
        return _median(self.ours) / _median(self.peer)

    @property
    def holds(self) -> bool:
        bar, own = self.bench.bar, self.bench.own_bar
        less = self.bench.unit in LESS
        if own is not None and (_median(self.ours) > own if less else _median(self.ours) < own):
            return False
        if self.bench.most_mib is not None and max(ran.mib for ran in self.ours) > self.bench.most_mib:
            return False
        return bar is None or (self.ratio <= bar if less else self.ratio >= bar)


def python(script: str, *arguments: object) -> list[str]:
    """The command that runs a script of this folder."""
    return [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]


def compare(
    bench: Bench,
    rounds: int = ROUNDS,
    same: str = "",
    warm: bool = True,
    before: Callable[[], None] = lambda: None,
) -> Compared:
    """Runs ours, peer, ours, peer, …; with `same`, what both say under this key must be one value. `before`: each of ours."""
    ours, peer = list[Ran](), list[Ran]()
    if warm:
        before(), run(bench.ours), run(bench.peer)
    for _ in range(rounds):
        before()
        ours.append(run(bench.ours))
        peer.append(run(bench.peer))
        print(
            f"  {bench.name}: {ours[-1].figure:.3g} and {peer[-1].figure:.3g} {bench.unit}", file=sys.stderr, flush=True
        )
    if same and len({ran.said[same] for ran in (*ours, *peer)}) != 1:
        raise SystemExit(f"{bench.name}: not the same {same}: {ours[0].said[same]}, {peer[0].said[same]}")
    return Compared(bench, ours, peer)


def run(command: list[str]) -> Ran:
    """Runs a command to its end. Stops the benchmark where it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, stream.fileno(), number) for stream, number in ((out, 1), (err, 2))]
        child = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - started
        out.seek(0), err.seek(0)
        text, complaint = out.read().decode(), err.read().decode()
    if status:
        raise SystemExit(f"{' '.join(command)}\nended with {os.waitstatus_to_exitcode(status)}:\n{text}{complaint}")
    last = text.strip().split("\n")[-1]
    said = json.loads(last) if last.startswith("{") else {}
    return Ran(said.get("figure", seconds), usage.ru_maxrss / 1024, said)


def report(results: list[Compared]) -> int:
    """Prints the table; 1 where a bar is missed."""
    rounds = min(len(done.ours) for done in results)
    table = Table(title=f"{rounds} run{'s' if rounds != 1 else ''} of each in turn: median (least to most)")
    for heading in ("benchmark", "ours", "peer", "ratio", "bar", "", "MiB ours", "MiB peer"):
        table.add_column(heading, justify="left" if heading == "benchmark" else "right", no_wrap=True)
    for done in results:
        sign = "≤" if done.bench.unit in LESS else "≥"
        bars = [f"{sign} {done.bench.bar}"] if done.bench.bar is not None else []
        bars += [f"{sign} {done.bench.own_bar:,g} {done.bench.unit}"] if done.bench.own_bar is not None else []
        bars += [f"≤ {done.bench.most_mib:g} MiB"] if done.bench.most_mib is not None else []
        table.add_row(
            done.bench.name,
            _told(done.ours, done.bench.unit),
            _told(done.peer, done.bench.unit),
            f"{done.ratio:.3g}",
            ", ".join(bars),
            "" if not bars else "holds" if done.holds else "MISSED",
            f"{max(r.mib for r in done.ours):,.0f}",
            f"{max(r.mib for r in done.peer):,.0f}",
        )
    Console(width=None if sys.stdout.isatty() else 170).print(table)
    return int(not all(done.holds for done in results))


def script(measure: Callable[[], list[Compared]]) -> None:
    """What a benchmark does when it is run by itself."""
    sys.exit(report(measure()))


def _median(runs: list[Ran]) -> float:
    return statistics.median(r.figure for r in runs)


def _told(runs: list[Ran], unit: str) -> str:
    figures = [r.figure for r in runs]
    digits = "{:.3f}" if unit == "s" else "{:,.2f}" if _median(runs) < 10 else "{:,.0f}"
    low, middle, high = (digits.format(f) for f in (min(figures), _median(runs), max(figures)))
    return f"{middle} {unit} ({low} to {high})"
