"""The command line: verbs to calls to exit codes. 0 clean, 1 findings or a failure with a reason, 2 usage or internal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msmc.diagnostics import Diagnostic, Failed
from msmc.source import SourceFile

if TYPE_CHECKING:
    from msmc.compile import Outcome
    from msmc.target import Target

FORMATS = ("text", "json", "github")
KINDS = {"generate": "corpus", "midtrain": "midtrain", "finetune": "finetune", "evaluate": "scores"}
"""What `--stages` takes, and the kind of stage each ends with."""

target_option = click.option(
    "--target", "-t", default="cpu", show_default=True, metavar="T", help="Target: a name, or a YAML file."
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a key of the target, such as documents.per_clause=50.",
)
format_option = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How problems are printed."
)
ablation_option = click.option("--ablation", "-a", metavar="A", help="Compile this ablation's arms too.")
out_option = click.option(
    "--out", "-o", default="build", show_default=True, type=click.Path(path_type=Path), help="Folder of builds."
)
build_option = click.option(
    "--build", "-b", default="build", show_default=True, type=click.Path(path_type=Path), help="Folder of builds."
)
runs_option = click.option(
    "--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Folder of runs."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print results alone.")


def emit(
    problems: tuple[Diagnostic, ...] | list[Diagnostic], files: Mapping[str, SourceFile], form: str = "text"
) -> None:
    """Prints problems: JSON and annotations to standard output, text to standard error."""
    from msmc import render

    if form == "json":
        click.echo(render.as_json(problems, files))
    elif form == "github":
        click.echo(render.as_github(problems, files))
    elif problems:
        color = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        click.echo(render.as_text(problems, files, color), err=True)


class Command(click.Command):
    """A command whose failures are diagnostics, never tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            hint = "the same command goes on from here" if self.name in ("run", "ablate") else ""
            emit([Diagnostic("interrupted", "stopped; every finished stage is kept", hint=hint)], {})
            ctx.exit(130)
        except Failed as failed:
            emit(failed.problems, failed.files, ctx.params.get("form", "text"))
            ctx.exit(1)
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # else Python complains at exit
            ctx.exit(1)
        except Exception as error:
            if os.environ.get("MSMC_DEBUG"):
                raise
            message = f"msmc itself failed: {type(error).__name__}: {error}"
            hint = "please report it, with the command and what MSMC_DEBUG=1 prints"
            emit([Diagnostic("internal", message, hint=hint)], {})
            ctx.exit(2)


class Group(click.Group):
    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work, not of the alphabet


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
    from msmc.compile import check as check_file

    problems: list[Diagnostic] = []
    files: dict[str, SourceFile] = {}
    found = [f for path in paths for f in _spec_files(path)]
    for file in found:
        entry, sources = _project(file)
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

    place = Path(path)
    if not place.is_dir():
        return [place]
    files = sorted(place.rglob("*.msm"))
    if not files:
        raise fail("file-missing", f"there is no .msm file in `{path}`", "name a spec, or a folder with specs")
    return files


def _project(file: Path) -> tuple[str, Any]:
    """The file's path inside its project, and the project's sources."""
    from msmc.project import ProjectSources, project_root

    root = project_root(file)
    return Path(os.path.abspath(file)).relative_to(root).as_posix(), ProjectSources(root)


def _compiled(spec: Path, target: str, ablation: str | None, settings: tuple[str, ...]) -> tuple[Outcome, Target, Any]:
    """Compiles, or raises Failed with every problem."""
    from msmc.compile import compile as compile_spec
    from msmc.project import load_target

    entry, sources = _project(spec)
    loaded = load_target(target, sources.root, settings)
    outcome = compile_spec(sources, entry, loaded, ablation)
    if outcome.problems:
        failed = Failed(*outcome.problems)
        failed.files = outcome.files.sources
        raise failed
    return outcome, loaded, sources


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

    outcome, _, _ = _compiled(spec, target, ablation, settings)
    place = write_tree(outcome, out)
    if not quiet:
        click.echo(_summary(place, outcome.notes))


def _summary(place: Path, notes: tuple[str, ...]) -> str:
    """A table of what a build plans, from its manifests, and what a user may not expect of it."""
    import json

    lines = [f"{place}", f"  {'arm':<28} {'clauses':>7} {'documents':>9} {'demos':>6} {'eval rows':>9} {'words':>6}"]
    for path in sorted(place.glob("*/manifest.json"), key=lambda p: (p.parent.name != "full", p)):
        manifest = json.loads(path.read_text("utf-8"))
        num = {"documents": 0, "demos": 0, "evals": 0}
        for file, entry in manifest["files"].items():
            folder = file.split("/")[0]
            if "rows" in entry and folder in num and not file.endswith("prefixes.jsonl"):
                num[folder] += entry["rows"]
        words = len((path.parent / "spec.md").read_text("utf-8").split())
        row = (len(manifest["coverage"]), num["documents"], num["demos"], num["evals"], words)
        lines.append(f"  {manifest['arm']:<28} {row[0]:>7,} {row[1]:>9,} {row[2]:>6,} {row[3]:>9,} {row[4]:>6,}")
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])


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
    outcome, _, _ = _compiled(spec, target, ablation, settings)
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


# ---- experiments ---------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("spec", type=click.Path(path_type=Path))
@target_option
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Of training order and adapter initialisation; the text is the same for all.",
)
@click.option(
    "--stages", metavar="LIST", help="Stop early: the first of generate,midtrain,finetune,evaluate, by commas."
)
@set_option
@out_option
@runs_option
@quiet_option
def run(
    spec: Path,
    target: str,
    seed: int,
    stages: str | None,
    settings: tuple[str, ...],
    out: Path,
    runs: Path,
    quiet: bool,
) -> None:
    """Write, gate, midtrain, fine-tune, evaluate and report SPEC's arm `full`, beside the untouched model.

    Finished stages are kept and never done again: after a stop, the same command goes on.
    """
    until = _until(stages)
    _experiment(spec, target, None, settings, out, runs, [seed], until, quiet)


def _until(stages: str | None) -> str:
    names = list(KINDS)
    wanted = stages.split(",") if stages is not None else names
    if wanted != names[: len(wanted)]:
        raise click.BadParameter(f"it is the beginning of {','.join(names)}", param_hint="--stages")
    return KINDS[wanted[-1]]


@main.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.argument("ablation")
@target_option
@set_option
@out_option
@runs_option
@quiet_option
def ablate(
    spec: Path, ablation: str, target: str, settings: tuple[str, ...], out: Path, runs: Path, quiet: bool
) -> None:
    """Train and measure all arms, controls and seeds of an ABLATION, stages that they share once; then compare them.

    Finished stages are kept and never done again: after a stop, the same command goes on.
    """
    _experiment(spec, target, ablation, settings, out, runs, None, "scores", quiet)


def _experiment(
    spec: Path,
    target: str,
    ablation: str | None,
    settings: tuple[str, ...],
    out: Path,
    runs: Path,
    seeds: list[int] | None,
    until: str,
    quiet: bool,
) -> None:
    from msmc.diagnostics import fail
    from msmc.project import write_tree

    outcome, loaded, sources = _compiled(spec, target, ablation, settings)
    if until == "scores" and not outcome.arms["evals"]:
        raise fail(
            "nothing-to-evaluate",
            f"`{outcome.spec}` has no evaluation",
            "add an `eval` block, or stop before with --stages",
        )
    from msmc.backend.weights import require_model

    require_model(loaded.model)
    there = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise fail("unreadable", f"`{runs}` cannot be written", "name another folder with --runs")
    place = write_tree(outcome, out)
    if not quiet:
        click.echo(_summary(place, outcome.notes) + "\n")
    from msmc.backend.experiment import conduct
    from msmc.backend.stages import Stages
    from msmc.backend.tree import read_tree
    from msmc.project import cache_folder
    from msmc.terminal import Terminal

    watch = Terminal(quiet)
    tree = read_tree(place)
    stages = Stages(tree, runs, cache_folder(), sources, watch.say)
    result = conduct(tree, stages, runs, seeds or list(range(tree.plan["seeds"])), until, watch)
    if result is not None:
        _report(result, watch)


def _report(place: Path, watch: Any) -> None:
    """Prints the table, writes the page, and fails where the learned rung does not hold."""
    import json

    from msmc.backend.report import write_page
    from msmc.diagnostics import fail
    from msmc.terminal import show as show_table

    comparison = json.loads((place / "comparison.json").read_text("utf-8"))
    show_table(comparison, watch.console)
    page = write_page(place)
    watch.console.print(f"page: {page}", markup=False, soft_wrap=True)
    if comparison["not_learned"] and not comparison["stamps"]:
        lines = "; ".join(comparison["not_learned"])
        raise fail(
            "not-learned",
            "a fine-tuned model does not hold the items it was trained on",
            "raise finetune.epochs",
            lines,
        )


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--out", "-o", default="report.html", show_default=True, type=click.Path(path_type=Path), help="The page."
)
def report(runs: tuple[Path, ...], out: Path) -> None:
    """Compare runs and write one self-contained HTML page.

    RUN is a run folder (runs/SPEC/TARGET/ARM/seed-…), or any folder above some.
    """
    from msmc.backend.experiment import compare
    from msmc.backend.report import find_runs, render_page
    from msmc.diagnostics import fail
    from msmc.terminal import console
    from msmc.terminal import show as show_table

    folders = find_runs(runs)
    comparison = compare(folders)
    show_table(comparison, console())
    page = render_page(comparison, folders)
    try:
        out.write_text(page, "utf-8")
    except OSError as error:
        raise fail("unreadable", f"`{out}` cannot be written: {error.strerror}", "name another file with -o") from error
    click.echo(f"page: {out}")


@main.command()
@target_option
@set_option
def doctor(target: str, settings: tuple[str, ...]) -> None:
    """Versions, devices, weights, and what would fail."""
    from msmc.doctor import examine

    if not examine(target, settings, click.echo):
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
