"""The verb `coverage`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from msmc.cli_frame import Command


@click.command(cls=Command)
@click.argument("what", type=click.Path(path_type=Path), metavar="BUILD_OR_RUN")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def coverage(what: Path, form: str) -> None:
    """Coverage of BUILD_OR_RUN: the documents and demos of each clause, the items that ask about it, clauses with nothing.

    BUILD_OR_RUN is a build (build/tea), an arm of one, a run (runs/SPEC/TARGET/ARM/seed-…), or a folder of runs. Of a run it
    says how many of the planned ones are there after the gates: a document counts only where its text shows its clause. Where
    no run is measured yet, it says so of the corpora that are written. Items are all of the build's, whatever evaluate.limit;
    what is about two clauses counts for both.
    """
    from msmc.coverage import as_data, as_text, tables

    found = tables(what)
    click.echo(json.dumps(as_data(found), ensure_ascii=False, indent=2) if form == "json" else as_text(found))
