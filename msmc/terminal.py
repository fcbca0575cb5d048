"""What `run` and `ablate` show while they work and when they are done. Bars on a terminal only; piped output has lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from msmc.backend.guard import guard_lines
from msmc.backend.headline import interval, number, of_p
from msmc.backend.job import Advance, Job
from msmc.backend.judges import judge_lines
from msmc.backend.primary import MARGIN

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
    for rung in ("learned", "near", "far", None):
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
        "lead in nats. [95 % interval], topics and seeds as clusters. MDE: minimum detectable effect, 80 % power. p: Holm's, of\n"
        "all these differences together; the primary is declared and stands alone, and recall, a check of what was learned, is\n"
        "uncorrected.",
        style="dim",
    )
    for line in _registered(comparison["preregistration"]):
        console.print(line, markup=False, soft_wrap=True)
    for line in comparison["headline"]:
        console.print(Text(line, style="bold"), soft_wrap=True)
    for line, warns in [*judge_lines(comparison["judges"]), *guard_lines(comparison["guard"])]:
        console.print(Text(line, style="bold red" if warns else "dim"), soft_wrap=True)
    for stamp in comparison["stamps"]:
        console.print(Text(stamp, style="bold red"))


def _registered(found: dict[str, Any] | None) -> Iterator[str]:
    """What was said before training, and what is otherwise."""
    if found is None:
        return
    number = len(found["deviations"])
    yield f"Preregistered in {found['file']} at {found['written']}: {number or 'no'} deviation{'s' * (number != 1)}"
    yield from (f"  deviation: {told}" for told in found["deviations"])


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


def _figures(comparison: dict[str, Any], rung: str | None, names: list[str]) -> Table:
    table = _table(rung or "other: on no rung", comparison)
    table.add_column("model")
    for name in names:
        marked = f"{name} (primary)" if name == comparison["primary"] else name
        measure = comparison["evals"][name]["measure"]
        table.add_column(f"{marked}\nn   " + ("rate            margin" if measure == "margin" else measure))
    for arm in comparison["arms"]:
        figures = {f["eval"]: f for f in arm["figures"]}
        seeds = f" ({len(arm['seeds'])} seeds)" if len(arm["seeds"]) > 1 else ""
        table.add_row(arm["name"] + seeds, *(_figure(figures.get(n), comparison["evals"][n]["measure"]) for n in names))
    return table


def _figure(figure: dict[str, Any] | None, measure: str) -> str:
    if not figure or not figure["n"]:
        return "missing"
    missing = f" ({figure['missing']} missing)" if figure["missing"] else ""
    found = figure["measures"]
    if measure != "margin":
        return f"{figure['n']:<3} {interval(found[measure])}{missing}"
    return f"{figure['n']:<3} {interval(found['rate'])}  {interval(found['margin'], '+')}{missing}"


def _difference(entry: dict[str, Any], measure: str) -> list[str]:
    """Rate, the evaluation's own measure, its MDE and its corrected p."""
    found = entry["measures"]
    rate = interval(found["rate"], "+") if "rate" in found and measure != "rate" else ""
    own = interval(found[measure], "+") if measure in found else "missing"
    return [rate, own, number(entry["mde"].get(measure), ".2f"), _tested(entry, entry["p"].get(measure))]


def _tested(entry: dict[str, Any], p: float | None) -> str:
    """The p of a difference, and what was made of it."""
    if p is None:
        return ""
    if entry["primary"]:
        return f"{of_p(p)} primary"
    return f"{of_p(p)} uncorrected" if entry["p_holm"] is None else of_p(entry["p_holm"])


def _contrasts(comparison: dict[str, Any]) -> Table:
    table = _table("paired differences", comparison)
    for column in ("models", "evaluation", "n", "rate", "margin, or as told", "MDE", "p"):
        table.add_column(column, justify="right" if column in ("n", "MDE", "p") else "left")
    for contrast in comparison["contrasts"]:
        for place, figure in enumerate(contrast["evals"]):
            measure = comparison["evals"][figure["eval"]]["measure"]
            table.add_row(
                f"{contrast['run']} - {contrast['minus']}" if place == 0 else "",
                figure["eval"] + (f", by {measure}" if measure != MARGIN else ""),
                str(figure["n"]),
                *_difference(figure, measure),
                end_section=place == len(contrast["evals"]) - 1,
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
    for column in ("models", "evaluations", "n", "rate", "margin", "MDE", "p"):
        table.add_column(column, justify="right" if column in ("n", "MDE", "p") else "left")
    for cross in comparison["crossed"]:
        table.add_row(
            f"{cross['run']} - {cross['minus']}",
            f"{cross['own']} - {cross['other']} ({cross['rung']})",
            " + ".join(map(str, cross["n"])),
            *_difference(cross, comparison["evals"][cross["own"]]["measure"]),
        )
    return table
