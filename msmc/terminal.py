"""What `run` and `ablate` show while they work and when they are done. Bars on a terminal only; piped output has lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from msmc.backend.comparison import interval
from msmc.backend.guard import guard_lines
from msmc.backend.job import Advance, Job

WIDTH = 150
"""Columns of tables that are piped to a file."""


def console() -> Console:
    """The terminal as wide as it is; a file wide enough for the tables."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=max(WIDTH, found.width))


class Terminal:
    """A `Watch` on standard output."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = console()
        self.quiet = quiet
        # a minute as guessed, so that the first short stages do not decide the forecast
        self._spent, self._guessed = 60.0, 60.0

    def say(self, line: str) -> None:
        if not self.quiet:
            self.console.print(line, markup=False, soft_wrap=not self.console.is_terminal)

    @contextmanager
    def job(self, job: Job, pending: float) -> Iterator[Advance]:
        """One stage: a bar with counts, rate and time left, of the stage and of all; a line when it is done."""
        started = time.monotonic()
        bar = Progress(
            # what matters most first: a narrow terminal cuts from the right
            TextColumn("{task.description}"),
            TextColumn("{task.fields[left]}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=self.quiet or not self.console.is_terminal,
        )
        with bar:
            task = bar.add_task(job.title, total=None, note="", left="")

            def advance(done: int, total: int, note: str) -> None:
                seconds = time.monotonic() - started
                rate = done / seconds if seconds else 0.0
                here = (total - done) / rate if rate else 0.0
                # what earlier stages took against their guesses corrects the guesses for the stages to come
                pace = (self._spent + seconds) / (self._guessed + job.seconds * done / total) if done else 1.0
                left = here + (pending - job.seconds) * min(max(pace, 0.2), 20.0)
                bar.update(
                    task,
                    completed=done,
                    total=total,
                    note=f"{done}/{total} {note}, {rate:.1f}/s",
                    left=f"{_clock(here)} left, {_clock(left)} in all",
                )

            yield advance
        seconds = time.monotonic() - started
        self._spent += seconds
        self._guessed += job.seconds
        left = (pending - job.seconds) * self._spent / self._guessed
        rest = f"; about {_clock(left)} to go" if pending - job.seconds > 5 else ""
        self.say(f"{job.title}: {_clock(seconds)}{rest}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def show(comparison: dict[str, Any], console: Console) -> None:
    """The table of a comparison: n, updates, tokens, and a 95 % interval for every figure."""
    console.print(_trainings(comparison))
    for rung in ("learned", "near", "far"):
        names = [n for n, e in comparison["evals"].items() if e["rung"] == rung]
        # as many evaluations beside each other as the terminal has room for
        some = max(1, (console.width - 28) // 46)
        for start in range(0, len(names), some):
            console.print(_figures(comparison, rung, names[start : start + some]))
    if comparison["contrasts"]:
        console.print(_contrasts(comparison))
    if comparison["crossed"]:
        console.print(_crossed(comparison))
    if comparison["corpora"]:
        console.print(_corpora(comparison))
    console.print(
        "Rate: share of items whose aligned answer is likelier, both option orders together. Margin: its mean log-likelihood\n"
        "lead in nats. [95 % interval], topics as clusters. MDE: minimum detectable effect, 80 % power.",
        style="dim",
    )
    for line in comparison["headline"]:
        console.print(Text(line, style="bold"), soft_wrap=True)
    for line, beyond in guard_lines(comparison["guard"]):
        console.print(Text(line, style="bold red" if beyond else "dim"), soft_wrap=True)
    for stamp in comparison["stamps"]:
        console.print(Text(stamp, style="bold red"))


def _table(title: str, comparison: dict[str, Any]) -> Table:
    """A table that says so itself where it is too short to read."""
    text = Text(title, style="bold")
    for stamp in comparison["stamps"]:
        text.append(f"\n{stamp}", style="bold red")
    return Table(title=text, title_justify="left")


def _trainings(comparison: dict[str, Any]) -> Table:
    table = _table(comparison["title"], comparison)
    for column in ("model", "seed", "midtrained on", "updates", "tokens", "fine-tuned on", "updates", "tokens"):
        table.add_column(
            column, justify="right" if column in ("updates", "tokens", "seed") else "left", overflow="fold"
        )
    for run in comparison["runs"]:
        cells = []
        for kind, source in (("midtrain", "documents"), ("finetune", "demos")):
            stage = run["stages"].get(kind)
            cells += [run[source], f"{stage['updates']:,}", f"{stage['tokens']:,}"] if stage else ["-", "-", "-"]
        table.add_row(run["name"], str(run["seed"]), *cells)
    return table


def _figures(comparison: dict[str, Any], rung: str, names: list[str]) -> Table:
    table = _table(rung, comparison)
    table.add_column("model")
    for name in names:
        marked = f"{name} (primary)" if name == comparison["primary"] else name
        table.add_column(f"{marked}\nn   rate            margin")
    for run in comparison["runs"]:
        figures = {f["eval"]: f for f in run["figures"]}
        table.add_row(run["name"], *(_figure(figures.get(name)) for name in names))
    return table


def _figure(figure: dict[str, Any] | None) -> str:
    if not figure or not figure["n"]:
        return "missing"
    missing = f" ({figure['missing']} missing)" if figure["missing"] else ""
    return f"{figure['n']:<3} {interval(figure['rate'])}  {interval(figure['margin'], '+')}{missing}"


def _contrasts(comparison: dict[str, Any]) -> Table:
    table = _table("paired differences", comparison)
    for column in ("models", "evaluation", "n", "rate", "margin", "MDE"):
        table.add_column(column, justify="right" if column in ("n", "MDE") else "left")
    for contrast in comparison["contrasts"]:
        for number, figure in enumerate(contrast["evals"]):
            table.add_row(
                f"{contrast['run']} - {contrast['minus']}" if number == 0 else "",
                figure["eval"],
                str(figure["n"]),
                interval(figure["rate"], "+"),
                interval(figure["margin"], "+"),
                f"{figure['minimum_detectable_margin']:.2f}",
                end_section=number == len(contrast["evals"]) - 1,
            )
    return table


def _corpora(comparison: dict[str, Any]) -> Table:
    table = _table("documents of each pair of arms", comparison)
    for column in ("arms", "matched by", "documents", "in both", "tokens", "updates"):
        table.add_column(column, justify="left" if column in ("arms", "matched by") else "right")
    for pair in comparison["corpora"]:
        figures = (" and ".join(f"{number:,}" for number in pair[key]) for key in ("documents", "tokens", "updates"))
        documents, *others = figures
        table.add_row(" and ".join(pair["arms"]), pair["matched"], documents, f"{pair['paired']:,}", *others)
    return table


def _crossed(comparison: dict[str, Any]) -> Table:
    table = _table("difference in differences: how much more the models differ in the first evaluation", comparison)
    for column in ("models", "evaluations", "n", "rate", "margin", "MDE"):
        table.add_column(column, justify="right" if column in ("n", "MDE") else "left")
    for cross in comparison["crossed"]:
        table.add_row(
            f"{cross['run']} - {cross['minus']}",
            f"{cross['own']} - {cross['other']} ({cross['rung']})",
            " + ".join(map(str, cross["n"])),
            interval(cross["rate"], "+"),
            interval(cross["margin"], "+"),
            f"{cross['minimum_detectable_margin']:.2f}",
        )
    return table
