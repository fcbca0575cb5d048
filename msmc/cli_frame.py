"""What all commands share: options, exit codes, how a problem is told, how a spec is compiled.

Exit codes: 0 clean, 1 findings or a failure with a reason, 2 usage or internal.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from msmc.diagnostics import Diagnostic, Failed, Interrupted
from msmc.source import SourceFile

if TYPE_CHECKING:
    from msmc.compile import Outcome
    from msmc.target import Target

FORMATS = ("text", "json", "github")
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
            emit([Diagnostic("interrupted", "stopped; nothing half-written is left")], {})
            ctx.exit(130)
        except Failed as failed:
            emit(failed.problems, failed.files, ctx.params.get("form", "text"))
            ctx.exit(130 if isinstance(failed, Interrupted) else 1)
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # else Python complains at exit
            ctx.exit(1)
        except OSError as error:
            if os.environ.get("MSMC_DEBUG"):
                raise
            hint = "make room or rights there, or name other folders; what was finished is kept"
            message = f"`{error.filename or '.'}` cannot be written: {error.strerror or error}"
            emit([Diagnostic("unwritable", message, hint=hint)], {}, ctx.params.get("form", "text"))
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

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        finally:
            gc.freeze()  # else Python searches all that is left for garbage before it ends: a fifth of a check

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work, not of the alphabet


def project(file: Path) -> tuple[str, Any]:
    """The file's path inside its project, and the project's sources."""
    from msmc.disk import ProjectSources, project_root

    root = project_root(file)
    return Path(os.path.abspath(file)).relative_to(root).as_posix(), ProjectSources(root)


def compiled(spec: Path, target: str, ablation: str | None, settings: tuple[str, ...]) -> tuple[Outcome, Target, Any]:
    """Compiles, or raises Failed with every problem."""
    from msmc.compile import compile as compile_spec
    from msmc.project import load_target

    entry, sources = project(spec)
    loaded = load_target(target, sources.root, settings)
    outcome = compile_spec(sources, entry, loaded, ablation)
    if outcome.problems:
        failed = Failed(*outcome.problems)
        failed.files = outcome.files.sources
        raise failed
    return outcome, loaded, sources


def summary(place: Path, notes: tuple[str, ...]) -> str:
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
