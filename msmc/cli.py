"""The command line: verbs to calls. The verbs of the compiler are here, those of experiments in `cli_experiments`."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import click

from msmc.cli_chat import chat
from msmc.cli_check import check
from msmc.cli_coverage import coverage
from msmc.cli_experiments import ablate, report, run
from msmc.cli_export import export
from msmc.cli_fmt import fmt
from msmc.cli_frame import (
    Group,
    ablation_option,
    build_option,
    colored,
    compiled,
    format_option,
    out_option,
    project,
    quiet_option,
    runs_option,
    set_option,
    summary,
    target_option,
    told_of,
)
from msmc.cli_gate import gate
from msmc.cli_ledger import ledger
from msmc.cli_plan import plan
from msmc.diagnostics import Failed


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="msmc")
def main() -> None:
    """msmc compiles Model Specs: from a .msm file to documents, demos and evaluations, and on to trained, measured models.

    \b
    msmc check specs/                             mistakes, with their places
    msmc fmt specs/                               one style, comments kept
    msmc compile specs/cheese/america.msm         the build tree: every prompt and item, no model involved
    msmc run specs/cheese/america.msm             write, midtrain, fine-tune, evaluate, report
    msmc ablate specs/cheese/study.msm crossed    the same for all arms and controls, then the comparison
    """


# ---- the compiler --------------------------------------------------------------------------------------------------------


main.add_command(check)
main.add_command(fmt)


@main.command()
@click.argument("name", required=False)
def explain(name: str | None) -> None:
    """Explain a diagnostic or lint: what it is, why, what raises it and what does not. Without NAME, list them all.

    NAME is as msmc tells it, such as unknown-value, or its code, MSM202.
    """
    from msmc.explain import explain, overview

    click.echo(explain(name).text if name else overview())


@main.command()
@click.argument("spec", type=click.Path(path_type=Path))
@target_option
@ablation_option
@out_option
@set_option
@format_option
@quiet_option
def compile(
    spec: Path, target: str, ablation: str | None, out: Path, settings: tuple[str, ...], form: str, quiet: bool
) -> None:
    """Compile SPEC to a build tree: the arm `full`, and the arms of an ablation.

    No network, no model, no torch. The same sources give the same bytes. The folder of an earlier build of SPEC is replaced
    whole, so the arms of an ablation are there when it was named last.
    """
    gc.set_threshold(100_000)  # rows leave no garbage that it would have to look for
    from msmc.project import write_tree

    outcome, _, _ = compiled(spec, target, ablation, settings, form)
    place = write_tree(outcome, out)
    if not quiet and form == "text":
        click.echo(summary(place, outcome.notes))


@main.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.argument("id", required=False)
@click.option(
    "--arm", default="full", show_default=True, metavar="ARM", help="The arm to look at: full, or ABLATION.ARM."
)
@target_option
@set_option
def show(spec: Path, id: str | None, arm: str, target: str, settings: tuple[str, ...]) -> None:
    """Show a clause as prose, or the exact prompt of a row; without ID the whole spec as prose.

    ID is a node (cream_cheese, cream_cheese.rationale) or a row of the build (doc-…, demo-…, an eval row).
    """
    from msmc.show import show_id

    ablation = arm.split(".")[0] if arm != "full" else None
    outcome, _, _ = compiled(spec, target, ablation, settings, form=None)
    click.echo(show_id(outcome, id, arm))


main.add_command(plan)
main.add_command(coverage)
main.add_command(gate)


@main.command()
@click.argument("old")
@click.argument("new")
@click.option("--exit-code", is_flag=True, help="Exit with 1 where something changed.")
@click.option("--target", "-t", metavar="T", help="Target: a name, or a YAML file.  [default: a build's own, else cpu]")
@ablation_option
@set_option
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def diff(
    old: str, new: str, exit_code: bool, target: str | None, ablation: str | None, settings: tuple[str, ...], form: str
) -> None:
    """What differs between OLD and NEW in meaning, and which rows go stale.

    OLD and NEW are each a .msm file, REV:PATH from git (HEAD~1:specs/tea.msm; :PATH is what is staged), a build
    (build/tea), or one arm of a build (build/tea/full). Layout, comments, order and `version` are no difference.
    """
    from msmc.diff.difference import Settings, difference
    from msmc.diff.sides import Stored, side
    from msmc.diff.told import as_data, as_text

    sides, given = (side(old), side(new)), Settings(target, ablation, settings)
    if given != Settings() and all(isinstance(s, Stored) for s in sides):
        raise click.UsageError("--target, --ablation and --set are for sources: builds are compared as they are")
    found = difference(*sides, given)
    if form == "json":
        click.echo(json.dumps(as_data(found), ensure_ascii=False, indent=2))
    else:
        click.echo(as_text(found, colored(sys.stdout)))
    if exit_code and found.changed:
        raise click.exceptions.Exit(1)


@main.command(hidden=True)
@click.argument("arguments", nargs=-1, required=True)
def diff_driver(arguments: tuple[str, ...]) -> None:
    """What `git diff` shows of a .msm file: git config diff.msm.command "msmc diff-driver"."""
    from msmc.diff.driver import Call
    from msmc.diff.told import as_text

    if len(arguments) == 1:
        return click.echo(f"{arguments[0]}: not merged yet")
    call = Call.read(arguments)
    if call is None:
        raise click.UsageError("git calls this with seven arguments; people call `msmc diff OLD NEW`")
    click.echo(f"msmc diff a/{call.old_path} b/{call.new_path}")
    try:
        told = as_text(call.difference(), colored(sys.stdout))
    except Failed as failed:  # a failing driver would end git's whole output
        told = f"{told_of(failed)}\n\n{call.lines()}"
    click.echo(told + "\n")
    return None


@main.command()
@click.argument("what")
@build_option
@runs_option
def trace(what: str, build: Path, runs: Path) -> None:
    """Trace a row to its clause, line, text and scores; a clause or an evaluation to its rows and scores.

    WHAT is a row (doc-…, demo-…, an eval row), a node's id, whole or without the spec's name, or an evaluation's name.
    """
    from msmc.trace import trace_id

    click.echo(trace_id(what, build, runs))


for verb in (run, ablate, report, chat, export, ledger):
    main.add_command(verb)


@main.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@target_option
@set_option
def doctor(spec: Path | None, target: str, settings: tuple[str, ...]) -> None:
    """Versions, devices, weights, servers, and what would fail.

    The writer and the judge that the target names are asked which models they have, which costs nothing. With a SPEC, also what
    its evaluations need.
    """
    from msmc.doctor import examine

    if not examine(target, settings, project(spec) if spec else None, click.echo):
        raise click.exceptions.Exit(1)


@main.command()
def lsp() -> None:
    """The language server, for editors: mistakes as you type, hover, definitions, rename, completion, formatting, symbols.

    An editor starts `msmc lsp` itself, for files that end in .msm, and speaks with it over standard input and output; no
    option is needed. Logs go to standard error.

    \b
    Neovim    vim.lsp.config("msmc", {cmd = {"msmc", "lsp"}, filetypes = {"msm"}, root_markers = {".git", "specs"}})
    Helix     [language-server.msmc]  command = "msmc"  args = ["lsp"]
    """
    from msmc.lsp.server import serve

    serve()


if __name__ == "__main__":
    main()
