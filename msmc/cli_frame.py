"""What all commands share: options, exit codes, how a problem is told, how a spec is compiled.

Exit codes: 0 clean, 1 findings or a failure with a reason, 2 usage or internal.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from msmc.diagnostics import Diagnostic, Failed, Interrupted, fail
from msmc.source import SourceFile
from msmc.whole import FULL

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
    if not problems and form == "text":
        return
    from msmc import render

    if form == "json":
        click.echo(render.as_json(problems, files))
    elif form == "github":
        click.echo(render.as_github(problems, files))
    else:
        click.echo(render.as_text(problems, files, colored(sys.stderr)), err=True)


def colored(stream: IO[str]) -> bool:
    """On a terminal, git's pager included."""
    return (stream.isatty() or "GIT_PAGER_IN_USE" in os.environ) and "NO_COLOR" not in os.environ


def told_of(failed: Failed) -> str:
    """What would stand on standard error."""
    from msmc import render

    return render.as_text(failed.problems, failed.files)


class Command(click.Command):
    """A command whose failures are diagnostics, never tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """A mistake of msmc's own.

        Whatever a user writes, msmc is to say what is wrong with it. Please report this one.

        Bad:
            a bug

        Good:
            $ MSMC_DEBUG=1 msmc check tea.msm    # shows where
        """
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
            _drop_output()
            ctx.exit(1)
        except OSError as error:
            if os.environ.get("MSMC_DEBUG"):
                raise
            if error.filename is None and error.errno is not None:
                _drop_output()
            emit([of_system(error)], {}, ctx.params.get("form", "text"))
            ctx.exit(1)
        except Exception as error:
            if os.environ.get("MSMC_DEBUG"):
                raise
            message = f"msmc itself failed: {type(error).__name__}: {error}"
            hint = "please report it, with the command and what MSMC_DEBUG=1 prints"
            emit([Diagnostic("internal", message, hint=hint)], {})
            ctx.exit(2)


def of_system(error: OSError) -> Diagnostic:
    """What the system, or a library that speaks like it, says of a file."""
    if error.errno is None:
        told = next((line for line in str(error).split("\n") if line.strip()), "a file cannot be used")
        return Diagnostic("unreadable", told, hint="see the whole of it: MSMC_DEBUG=1")
    file, reason = error.filename, error.strerror or str(error)
    if file is None:  # files are named by whoever writes them, so it is the output
        return Diagnostic("unwritable", f"the output cannot be written: {reason}", hint="send it elsewhere")
    if error.errno in FULL:
        hint = "make room there, or name other folders; what was finished is kept, and the same command goes on"
        return Diagnostic("unwritable", f"`{file}` cannot be written: {reason}", hint=hint)
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return Diagnostic("unreadable", f"`{file}` names no file: {reason}", hint="check the path")
    if isinstance(error, FileNotFoundError) or (os.path.isfile(file) and not os.access(file, os.R_OK)):
        hint = "is it gone, or somebody else's? compile or run again makes what msmc wrote"
        return Diagnostic("unreadable", f"`{file}` cannot be read: {reason}", hint=hint)
    hint = "give yourself the right to write there, or name another folder; what was finished is kept"
    return Diagnostic("unwritable", f"`{file}` cannot be written: {reason}", hint=hint)


def _drop_output() -> None:
    """Nobody takes the output any more: what is left of it goes nowhere, else Python complains of it at its exit."""
    with contextlib.suppress(OSError, ValueError):  # tests have an output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115


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


def spec_files(path: str) -> list[Path]:
    """The file that a user names, or all specs of a folder."""
    if not path:
        raise fail("file-missing", "the path is empty", "name a spec, or a folder with specs")
    place = Path(path)
    if not os.path.isdir(place):  # of a path that can be none too, as one that is too long
        return [place]
    files = sorted(file for file in place.rglob("*.msm") if not file.is_fifo())  # nobody might ever write to a pipe
    if not files:
        raise fail("file-missing", f"there is no .msm file in `{path}`", "name a spec, or a folder with specs")
    return files


def compiled(
    spec: Path, target: str, ablation: str | None, settings: tuple[str, ...], form: str | None = "text"
) -> tuple[Outcome, Target, Any]:
    """Compiles and tells warnings, unless there is no form to tell them in; or raises Failed with every problem."""
    from msmc.compile import compile as compile_spec
    from msmc.project import load_target

    entry, sources = project(spec)
    loaded = load_target(target, sources.root, settings)
    outcome = compile_spec(sources, entry, loaded, ablation)
    if not outcome.builds:
        failed = Failed(*outcome.problems)
        failed.files = outcome.files.sources
        raise failed
    if form:
        emit(outcome.problems, outcome.files.sources, form)  # warnings
    return outcome, loaded, sources


def summary(place: Path, notes: tuple[str, ...]) -> str:
    """A table of what a build plans, from its manifests, and what a user may not expect of it."""
    from msmc.build import RESERVED
    from msmc.stored import read_json

    lines = [f"{place}", f"  {'arm':<28} {'clauses':>7} {'documents':>9} {'demos':>6} {'eval rows':>9} {'words':>6}"]
    for path in sorted(place.glob("*/manifest.json"), key=lambda p: (p.parent.name != "full", p)):
        manifest = read_json(path)
        num = {"documents": 0, "demos": 0, "evals": 0}
        for file, entry in manifest["files"].items():
            folder = file.split("/")[0]
            if "rows" in entry and folder in num and not file.endswith("prefixes.jsonl") and RESERVED not in file:
                num[folder] += entry["rows"]
        words = len((path.parent / "spec.md").read_text("utf-8").split())
        row = (len(manifest["coverage"]), num["documents"], num["demos"], num["evals"], words)
        lines.append(f"  {manifest['arm']:<28} {row[0]:>7,} {row[1]:>9,} {row[2]:>6,} {row[3]:>9,} {row[4]:>6,}")
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])
