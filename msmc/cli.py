"""The command line: verbs to calls. The verbs of the compiler are here, those of experiments in `cli_experiments`."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import click

from msmc.cli_experiments import ablate, report, run
from msmc.cli_frame import (
    Group,
    ablation_option,
    build_option,
    compiled,
    emit,
    format_option,
    out_option,
    project,
    quiet_option,
    runs_option,
    set_option,
    summary,
    target_option,
)
from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="msmc")
def main() -> None:
    """msmc compiles Model Specs: from a .msm file to documents, demos and evaluations, and on to trained, measured models.

    \b
    msmc check specs/                             mistakes, with their places
    msmc compile specs/cheese/america.msm         the build tree: every prompt and item, no model involved
    msmc run specs/cheese/america.msm             write, midtrain, fine-tune, evaluate, report
    msmc ablate specs/cheese/study.msm crossed    the same for all arms and controls, then the comparison
    """


# ---- the compiler --------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@format_option
def check(paths: tuple[str, ...], form: str) -> None:
    """Parse, resolve and check files and folders: every mistake of meaning, and of syntax the first in each file.

    Exit code 0: clean; 1: findings; 2: wrong usage.
    """
    gc.set_threshold(100_000)  # it is over before there is garbage worth looking for
    from msmc.check import check as check_file

    problems: list[Diagnostic] = []
    files: dict[str, SourceFile] = {}
    found = [f for path in paths for f in _spec_files(path)]
    for file in found:
        entry, sources = project(file)
        checked = check_file(entry, sources)
        problems += [p for p in checked.problems if p not in problems]
        files |= checked.files.sources
    emit(problems, files, form)
    if form == "text" and not problems:
        click.echo(f"{len(found)} file{'s' if len(found) != 1 else ''}, no problems")
    if problems:
        raise click.exceptions.Exit(1)


def _spec_files(path: str) -> list[Path]:
    from msmc.diagnostics import fail

    if not path:
        raise fail("file-missing", "the path is empty", "name a spec, or a folder with specs")
    place = Path(path)
    if not os.path.isdir(place):  # of a path that can be none too, as one that is too long
        return [place]
    files = sorted(place.rglob("*.msm"))
    if not files:
        raise fail("file-missing", f"there is no .msm file in `{path}`", "name a spec, or a folder with specs")
    return files


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
    from msmc.project import write_tree

    outcome, _, _ = compiled(spec, target, ablation, settings)
    place = write_tree(outcome, out)
    if not quiet:
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
    outcome, _, _ = compiled(spec, target, ablation, settings)
    click.echo(show_id(outcome, id, arm))


@main.command()
@click.argument("what")
@build_option
@runs_option
def trace(what: str, build: Path, runs: Path) -> None:
    """Trace a row to its clause and line, or a clause to its rows and scores.

    WHAT is a row (doc-…, demo-…, an eval row) or a node's id, whole or without the spec's name.
    """
    from msmc.show import trace_id

    click.echo(trace_id(what, build, runs))


for verb in (run, ablate, report):
    main.add_command(verb)


@main.command()
@target_option
@set_option
def doctor(target: str, settings: tuple[str, ...]) -> None:
    """Versions, devices, weights, and what would fail."""
    from msmc.doctor import examine

    if not examine(target, settings, click.echo):
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
