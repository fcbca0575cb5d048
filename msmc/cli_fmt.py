"""The verb `fmt`: specs in the one style."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from msmc.cli_frame import Command, emit, of_system, spec_files
from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile, Sources

STDIN = "<stdin>"


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--check", is_flag=True, help="Write nothing; name the files that are laid out otherwise.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def fmt(paths: tuple[str, ...], check: bool, diff: bool) -> None:
    """Lay out files and folders in the one style, which has no options. Comments and prose stay as they are.

    PATH may be - alone: standard input goes, formatted, to standard output.

    Exit code 0: done; 1: a file has mistakes, or one would change under --check or --diff; 2: wrong usage.
    """
    gc.set_threshold(100_000)
    from msmc.disk import ProjectSources

    if "-" in paths and len(paths) > 1:
        raise click.UsageError("- is standard input, and takes no other PATH beside it")
    if paths == ("-",):
        work = _Work({STDIN: sys.stdin.buffer.read()}, check=check, diff=diff)
        work.do(STDIN)
        emit(work.problems, work.files)
    else:
        work = _Work(ProjectSources(Path()), check=check, diff=diff)
        for name in dict.fromkeys(str(file) for path in paths for file in spec_files(path)):
            work.do(name)
        emit(work.problems, work.files)
        click.echo(work.summary(), err=diff)
    if work.problems or (work.changed and (check or diff)):
        raise click.exceptions.Exit(1)


class _Work:
    """What is done with each file, and what came of it."""

    def __init__(self, sources: Sources, *, check: bool, diff: bool) -> None:
        self.sources, self.check, self.diff = sources, check, diff
        self.files: dict[str, SourceFile] = {}
        self.problems: list[Diagnostic] = []
        self.changed = self.kept = self.failed = 0

    def do(self, name: str) -> None:
        """Formats one file, and goes on to the next where it cannot be."""
        from msmc.analyze.files import read_source
        from msmc.syntax.format import formatted

        source = read_source(name, self.sources)
        if isinstance(source, Diagnostic):
            text, found = None, [source]
        else:
            self.files[name] = source
            text, found = formatted(source)
        if text is not None and name != STDIN and not (self.check or self.diff):
            found = self._write(name, text)
        elif text is not None:
            self._tell(name, text)
        self.problems += found
        if text is None or found:
            self.failed += 1
        elif text.encode() == self.sources[name]:
            self.kept += 1
        else:
            self.changed += 1

    def _write(self, name: str, text: str) -> list[Diagnostic]:
        from msmc.whole import whole_file

        if text.encode() == self.sources[name]:
            return []
        try:
            with open(name, "r+b"):  # a new file takes its place, which a read-only one would not resist
                pass
            whole_file(Path(os.path.realpath(name) if os.path.islink(name) else name), text)  # a link stays one
        except OSError as error:
            return [of_system(error)]
        return []

    def _tell(self, name: str, text: str) -> None:
        changes = text.encode() != self.sources[name]
        if self.diff:
            click.echo("".join(_diff(name, self.sources[name].decode(), text)), nl=False)
        elif self.check and changes:
            click.echo(f"would reformat {name}")
        elif not self.check:
            click.echo(text.encode(), nl=False)

    def summary(self) -> str:
        done = "would be reformatted" if self.check or self.diff else "reformatted"
        counts = [(self.changed, done), (self.kept, "left as it is" if self.kept == 1 else "left as they are")]
        told = [(n, what) for n, what in [*counts, (self.failed, "not formatted")] if n]
        (first, what), *rest = told
        return ", ".join([f"{first} file{'s' if first != 1 else ''} {what}", *(f"{n} {what}" for n, what in rest)])


def _diff(name: str, before: str, after: str) -> Iterator[str]:
    """A unified diff that `patch` takes, line ends as they are in the file."""
    import difflib

    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))  # `splitlines` knows more line ends
    for line in difflib.unified_diff(old, new, name, name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
