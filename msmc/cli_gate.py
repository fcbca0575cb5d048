"""The verb `gate`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from msmc.cli_frame import Command, format_option

if TYPE_CHECKING:
    from msmc.backend.gates.checked import Checked, Row


@click.command(cls=Command)
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN_OR_BUILD...")
@format_option
def gate(places: tuple[Path, ...], form: str) -> None:
    """Run the gates alone on what was written: RUN_OR_BUILD is a run, a folder of runs, a stage's folder, or a build.

    Of a run its documents and chats are looked at, the rows in quarantine too; of a build those that its author brought
    (`documents from`, `demos NAME from`). Chats go through residue, identity, held_out and overlap. Nothing is written or
    changed, and no model is asked. Each find has its row, its reason and its place in the text. Arms of one build are also held
    beside each other. Exit 1 where something is found.

    \b
    residue      placeholders, tags of thoughts and chats, broken characters
    identity     another assistant's or provider's name, or none at all
    meta_talk    "Sure! Here is the blog post you requested."
    held_out     what an evaluation holds out (`held_out`)
    coverage     a text that does not show its clause
    truncation   an end within a sentence
    length       fewer words than gates.length.least, more than .most
    language     another language than the spec's
    reasons      a reason in an arm without any; none on a rationale
    duplicates   a document that is there already, or nearly so
    openings, phrases, names   what too many documents have
    overlap      words of an evaluation's questions, both options of an item, the form of an answer
    writer       what the writer's server said of its reply
    parity       what compared arms differ in and should not

    The thresholds are the target's under `gates`, and null switches a gate off: --set gates.openings=null with `run` or
    `ablate`.
    """
    from msmc.backend.gates.checked import checked

    found = checked(places)
    if form == "json":
        click.echo(json.dumps([_as_data(one) for one in found], ensure_ascii=False, indent=2))
    elif form == "github":
        for row in (row for one in found for row in one.rows):
            click.echo(_as_annotation(row))
    else:
        click.echo("\n\n".join(map(_as_text, found)))
    if any(one.rows for one in found):
        raise click.exceptions.Exit(1)


def _as_data(one: Checked) -> dict[str, object]:
    gates = {name: {"looked": looked, "found": one.found[name]} for name, looked in one.looked.items()}
    rows = [{**row._asdict(), "file": _shown(row.file)} for row in one.rows]
    return {"arm": one.arm, "folder": _shown(one.folder), "gates": gates, "rows": rows}


def _as_text(one: Checked) -> str:
    lines = [f"{one.arm}   {_shown(one.folder)}", f"  {'gate':<11} {'rows':>8} {'found':>7}"]
    for name, looked in one.looked.items():
        none = "too few" if name == "parity" else "off"
        found = f"{one.found[name]:>7,}" if one.found[name] else f"{'-':>7}"
        lines.append(f"  {name:<11} {looked:>8,} {found}" if looked else f"  {name:<11} {none:>8}")
    if one.rows:
        lines.append("")
    for row in one.rows:
        lines.append(f"{_shown(row.file)}:{row.number}: {row.id or one.arm}: {row.gate}: {row.reason}")
        if row.found:
            lines.append(f"    line {row.line}, offset {row.offset}: {' '.join(row.found.split())}")
    return "\n".join(lines)


def _as_annotation(row: Row) -> str:
    """As GitHub shows it beside the row; what would end it early is escaped."""
    told = f"{row.id}: {row.reason}; line {row.line} of the text: {row.found}"
    told = told.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error file={_shown(row.file)},line={row.number},title=msmc gate {row.gate}::{told}"


def _shown(path: Path) -> str:
    """From here, where that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)
