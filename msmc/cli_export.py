"""The verb `export`: a build for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from msmc.cli_frame import Command, quiet_option


@click.command(cls=Command)
@click.argument("what", type=click.Path(path_type=Path), metavar="BUILD_OR_RUN")
@click.option("--to", type=click.Choice(("lm-eval",)), required=True, help="The tool that is to run it.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), metavar="DIR", help="The folder.  [default: export/SPEC-lm-eval]"
)
@quiet_option
def export(what: Path, to: str, out: Path | None, quiet: bool) -> None:
    """Export BUILD_OR_RUN for another tool. lm-eval: its evaluations as tasks, with their rows.

    BUILD_OR_RUN is a build (build/tea), an arm of one, or a run (runs/SPEC/TARGET/ARM/seed-…), whose build is exported.
    The folder may be moved; lm_eval runs all of it by the tag msmc_SPEC, or one evaluation by its task msmc_SPEC_NAME:

    \b
    msmc compile specs/tea.msm
    msmc export build/tea --to lm-eval
    lm_eval --model hf --model_args pretrained=MODEL --include_path export/tea-lm-eval --tasks msmc_tea

    Every item is two rows, one for each order of its options; an answer is scored whole, and no letters are shown. With
    --apply_chat_template the question is a user's turn, as in `msmc run`.
    """
    from msmc.export import export_lm_eval

    exported = export_lm_eval(what, out)
    if quiet:
        return
    click.echo(exported.place)
    width = max(map(len, exported.tasks))
    for name, task in exported.tasks.items():
        counts = {"item": task["topics"].total(), "topic": len(task["topics"])}
        items, topics = (f"{count} {noun}{'s' if count != 1 else ''}" for noun, count in counts.items())
        click.echo(f"  {name:<{width}}  {task['rung']:<7}  {items} in both orders, {topics}")
    click.echo(exported.command)
