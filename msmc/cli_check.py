"""The verb `check`."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from msmc.cli_frame import Command, emit, format_option, project, spec_files
from msmc.diagnostics import Diagnostic, Label
from msmc.source import SourceFile, Span


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@format_option
def check(paths: tuple[str, ...], form: str) -> None:
    """Parse, resolve and check files and folders: every mistake of all of them.

    Exit code 0: clean; 1: findings; 2: wrong usage.
    """
    gc.set_threshold(100_000)  # it is over before there is garbage worth looking for
    from msmc.check import check as check_file

    problems: list[Diagnostic] = []
    files: dict[str, SourceFile] = {}
    obeyed = set[Span]()
    found = {os.path.abspath(file): project(file) for path in paths for file in spec_files(path)}
    several = len({sources.root for _, sources in found.values()}) > 1
    for entry, sources in found.values():
        checked = check_file(entry, sources)
        told = _from_here(sources.root) if several else str
        moved = [_moved(problem, entry, told) for problem in checked.problems] if several else checked.problems
        problems += [p for p in moved if p not in problems]
        files |= {told(path): file for path, file in checked.files.sources.items()}
        obeyed |= {span._replace(file=told(span.file)) for span in checked.suppressions}
    # a suppression may be for what is told of a spec that extends this one
    problems = [p for p in problems if p.name != "unused-suppression" or (p.primary and p.primary.span not in obeyed)]
    emit(problems, files, form)
    if form == "text" and not problems:
        click.echo(f"{len(found)} file{'s' if len(found) != 1 else ''}, no problems")
    if problems:
        raise click.exceptions.Exit(1)


# ---- files of several projects, where a path inside its own says too little --------------------------------------------


def _from_here(root: Path) -> Callable[[str], str]:
    """Names a project's files from the working folder, and those that are not below it as a whole."""
    here = Path.cwd()

    def told(path: str) -> str:
        whole = Path(os.path.normpath(root / path))
        return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.as_posix()

    return told


def _moved(problem: Diagnostic, entry: str, told: Callable[[str], str]) -> Diagnostic:
    """With other names for its files."""

    def there(label: Label) -> Label:
        return replace(label, span=label.span._replace(file=told(label.span.file)))

    message = problem.message.replace(f"`{entry}`", f"`{told(entry)}`")
    hint = problem.hint.removesuffix(f" {entry}")
    hint = problem.hint if hint == problem.hint else f"{hint} {told(entry)}"
    primary = there(problem.primary) if problem.primary else None
    return replace(problem, message=message, hint=hint, primary=primary, related=tuple(map(there, problem.related)))
