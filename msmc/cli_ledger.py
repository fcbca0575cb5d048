"""The verb `ledger`: what was asked and answered, as counts and as rows, and room again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from msmc.cli_frame import Group, build_option, runs_option


@click.group(cls=Group)
def ledger() -> None:
    """What was asked of writers and judges, and what they replied: runs/ledger.sqlite.

    \b
    msmc ledger stats                  by writer: requests, replies, tokens, what was lost, what is in quarantine
    msmc ledger export --to all.jsonl  every reply with its prompt
    msmc ledger gc --dry-run           replies that no build asks for any more
    """


@ledger.command()
@runs_option
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def stats(runs: Path, form: str) -> None:
    """Of each writer its requests, replies and tokens, what was lost on its way, and what is in quarantine, by reason."""
    from msmc.backend.ledger_told import opened, stats_as_data, stats_as_text

    with opened(runs) as found:
        click.echo(json.dumps(stats_as_data(found), indent=2) if form == "json" else stats_as_text(found))


@ledger.command()
@runs_option
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="FILE", help="Write it here.  [default: standard output]"
)
def export(runs: Path, to: Path | None) -> None:
    """Every request that has a reply, as JSON Lines: its messages, the reply, why it ended, tokens, why it is in quarantine."""
    from msmc.backend.ledger_told import exported, opened
    from msmc.whole import whole_lines

    with opened(runs) as found:
        if to:
            whole_lines(to, exported(found))
            return
        for line in exported(found):
            click.echo(line, nl=False)


@ledger.command()
@build_option
@runs_option
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--yes", is_flag=True, help="Remove it without asking.")
def gc(build: Path, runs: Path, dry_run: bool, yes: bool) -> None:
    """Remove replies that no build asks for any more, of those in --build and of those that runs keep (--runs, its `builds`).

    A build that you gave up holds its replies until its folder is gone. What is removed was paid for, and is asked for again
    should a build want it after all.
    """
    from msmc.backend.ledger_told import builds_of, opened, size, unasked
    from msmc.disk import ProjectSources, project_root
    from msmc.library import Library

    with opened(runs) as found:
        builds = builds_of(build, runs)
        keys = unasked(found, builds, Library(ProjectSources(project_root(build))))
        number = sum(map(len, keys.values()))
        if not number:
            click.echo(f"every reply is asked for by one of {len(builds)} builds: nothing to remove")
            return
        for writer, of in keys.items():
            click.echo(f"{len(of):>8,}  {writer}")
        click.echo(f"{number:,} requests that none of {len(builds)} builds asks for any more")
        if dry_run:
            return
        if not yes:
            click.confirm("Remove them, with their replies?", abort=True)
        before = size(found)
        found.remove(key for of in keys.values() for key in of)
        click.echo(f"removed; {before:,} bytes are {size(found):,} now")
