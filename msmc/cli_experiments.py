"""The verbs that train and measure: run, ablate, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from msmc.cli_frame import (
    Command,
    compiled,
    out_option,
    project,
    quiet_option,
    runs_option,
    set_option,
    summary,
    target_option,
)

if TYPE_CHECKING:
    from msmc.compile import Outcome
    from msmc.target import Target

KINDS = {"generate": "corpus", "midtrain": "midtrain", "finetune": "finetune", "evaluate": "scores"}
"""What `--stages` takes, and the kind of stage each ends with."""


stages_option = click.option(
    "--stages", metavar="LIST", help="Stop early: the first of generate,midtrain,finetune,evaluate, by commas."
)
max_tokens_option = click.option(
    "--max-tokens",
    type=click.IntRange(1),
    metavar="N",
    help="Send no request that could pass N tokens, prompts and replies: of the writer, and again of the judge.",
)
max_cost_option = click.option(
    "--max-cost",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="Send no request that could cost more than X, in the currency of its price: of the writer, and again of the judge.",
)


@click.command(cls=Command)
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
@stages_option
@max_tokens_option
@max_cost_option
@set_option
@out_option
@runs_option
@quiet_option
def run(
    spec: Path,
    target: str,
    seed: int,
    stages: str | None,
    max_tokens: int | None,
    max_cost: float | None,
    settings: tuple[str, ...],
    out: Path,
    runs: Path,
    quiet: bool,
) -> None:
    """Write, gate, midtrain, fine-tune, evaluate and report SPEC's arm `full`, beside the untouched model.

    Finished stages are kept and never done again: after a stop, the same command goes on. The caps are for what this command
    asks its writer for, and each again for what it asks the judge; replies that are in the ledger cost nothing. At the end what
    was forecast stands beside what was used. The exit status is 1 where a fine-tuned model does not hold what it was trained on.
    """
    wanted = Wanted([seed], _until(stages), max_tokens, max_cost, quiet)
    _experiment(spec, target, None, settings, out, runs, wanted)


def _until(stages: str | None) -> str:
    names = list(KINDS)
    wanted = [word.strip() for word in stages.split(",")] if stages is not None else names
    if unknown := [word for word in wanted if word not in names]:
        message = f"there is no stage `{unknown[0]}`; the stages are, in order: {', '.join(names)}"
        raise click.BadParameter(message, param_hint="--stages")
    if wanted != names[: len(wanted)]:
        last = max(map(names.index, wanted))
        message = f"to stop after `{names[last]}`, name every stage up to it, in order: {','.join(names[: last + 1])}"
        raise click.BadParameter(message, param_hint="--stages")
    return KINDS[wanted[-1]]


@click.command(cls=Command)
@click.argument("spec", type=click.Path(path_type=Path))
@click.argument("ablation", required=False, metavar="ABLATION")
@target_option
@stages_option
@max_tokens_option
@max_cost_option
@set_option
@out_option
@runs_option
@quiet_option
def ablate(
    spec: Path,
    ablation: str | None,
    target: str,
    stages: str | None,
    max_tokens: int | None,
    max_cost: float | None,
    settings: tuple[str, ...],
    out: Path,
    runs: Path,
    quiet: bool,
) -> None:
    """Train and measure all arms, controls and seeds of an ABLATION, stages that they share once; then compare them.

    Before anything is trained, the primary, the plan's digest, what is excluded and the planned n are written to
    preregistration.json beside the comparison, which marks every deviation from it; `msmc plan` forecasts the power.

    Finished stages are kept and never done again: after a stop, the same command goes on. The caps are for what this command
    asks its writer for, and each again for what it asks the judge; replies that are in the ledger cost nothing. At the end what
    was forecast stands beside what was used. The exit status is 1 where a fine-tuned arm does not hold what it was trained on:
    all figures are told, and the headline is withheld where it is about that arm.
    """
    if ablation is None:
        raise click.UsageError(_ablations(spec))
    wanted = Wanted(None, _until(stages), max_tokens, max_cost, quiet)
    _experiment(spec, target, ablation, settings, out, runs, wanted)


def _ablations(spec: Path) -> str:
    """What to say to who names none."""
    from msmc.check import check

    specs = check(*project(spec)).specs
    names = [ablation.name for found in specs for ablation in found.ablations]
    if specs and not names:
        return f"`{spec}` declares no ablation; `msmc run {spec}` trains its arm `full`"
    return "name an ablation" + (f" of `{spec}`: {', '.join(names)}" if names else "")


class Wanted(NamedTuple):
    """How an experiment is to be done."""

    seeds: list[int] | None
    """None: as many as the ablation says."""
    until: str
    max_tokens: int | None
    max_cost: float | None
    quiet: bool


def _experiment(
    spec: Path,
    target: str,
    ablation: str | None,
    settings: tuple[str, ...],
    out: Path,
    runs: Path,
    wanted: Wanted,
) -> None:
    from msmc.diagnostics import fail
    from msmc.project import require_writable, store_tree

    outcome, loaded, sources = compiled(spec, target, ablation, settings)
    if wanted.until == "scores" and not outcome.arms["evals"]:
        raise fail(
            "nothing-to-evaluate",
            f"`{outcome.spec}` has no evaluation",
            "add an `eval` block, or stop before with --stages",
        )
    for model in loaded.models if wanted.max_cost is not None else ():
        if model.known_price is None and (model.part != "judge" or outcome.open_evals):
            advice = f"give {model.part}.price in the target, or --max-tokens"
            raise click.UsageError(f"--max-cost needs a price, and that of `{model.title}` is unknown: {advice}")
    from msmc.backend.judged import required
    from msmc.backend.weights import require_model

    for name in outcome.open_evals if wanted.until == "scores" else ():
        required(loaded.judge, name)
    require_model(loaded.model)
    require_writable(runs, "--runs")
    place = store_tree(outcome, out, runs)
    if not wanted.quiet:
        click.echo(summary(out / str(outcome.spec), outcome.notes) + "\n")
    _conduct(place, outcome, loaded, sources, runs, wanted)


def _conduct(place: Path, outcome: Outcome, target: Target, sources: Any, runs: Path, wanted: Wanted) -> None:
    """The work itself, and at its end, whatever that is, what it took."""
    from msmc.backend.experiment import conduct
    from msmc.backend.meter import Caps
    from msmc.backend.stages import Stages
    from msmc.backend.tree import read_tree
    from msmc.plan.used import Comparison
    from msmc.shipped import cache_folder
    from msmc.terminal import Terminal

    watch = Terminal(wanted.quiet)
    tree = read_tree(place)
    seeds = wanted.seeds or list(range(tree.plan["seeds"]))
    caps = Caps(wanted.max_tokens, wanted.max_cost)
    stages = Stages(tree, runs, cache_folder(), sources, watch.say, caps)
    comparison = Comparison.begin(outcome, target, sources, stages, seeds)
    try:
        result = conduct(tree, stages, runs, seeds, wanted.until, watch)
        if result is not None:
            _report(result, watch)
    finally:
        for line in comparison.lines():
            watch.say(line)


def _report(place: Path, watch: Any) -> None:
    """Prints the table, writes the page, and fails where the learned rung does not hold.

    not-learned: A model that does not know what it was trained on.

    Three rungs: learned, near, far. Where *learned* fails, near and far say nothing about generalisation, and the run fails
    instead of reporting them as null. It holds where Wilson's 95 % interval of the rate of trained items lies above one half.

    Bad:
        $ msmc run tea.msm --set finetune.epochs=0.1 --set min_steps=1

    Good:
        $ msmc run tea.msm --set finetune.epochs=3
    """
    from msmc.backend.report import write_page
    from msmc.diagnostics import fail
    from msmc.stored import read_json
    from msmc.terminal import show as show_table

    comparison = read_json(place / "comparison.json")
    show_table(comparison, watch.console)
    page = write_page(place)
    watch.console.print(f"page: {page}", markup=False, soft_wrap=True)
    if comparison["not_learned"] and not comparison["stamps"]:
        lines = "; ".join(comparison["not_learned"])
        raise fail(
            "not-learned",
            "a fine-tuned model is not shown to hold the items it was trained on",
            "raise finetune.epochs",
            lines,
        )


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="The page.  [default: report.html, with text alone]")
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "csv", "latex")),
    default="text",
    show_default=True,
    help="How the figures are printed; json is all of them.",
)
def report(runs: tuple[Path, ...], out: Path | None, form: str) -> None:
    """Compare runs: print their figures, and write one self-contained HTML page.

    RUN is a run folder (runs/SPEC/TARGET/ARM/seed-…), or any folder above some. Where that has runs of several ablations, of
    several targets, or from before an edit, those that were run last are compared, and the others named. csv has one row a
    figure, latex a table for each of the three rungs. Only with --format text is a page written without -o.
    """
    from msmc.backend.comparison import compare
    from msmc.backend.published import as_csv, as_latex
    from msmc.backend.report import find_runs, newest, render_page
    from msmc.terminal import console
    from msmc.terminal import show as show_table
    from msmc.whole import whole_file

    folders = every = find_runs(runs)
    if not all((place / "run.json").is_file() for place in runs):
        folders = newest(every)
    if left := [folder for folder in every if folder not in folders]:
        told = f"{len(left)} run{'s' * (len(left) > 1)} of other ablations, targets or states of the spec left out"
        click.echo(f"note: {told}, such as {left[0]}; named one by one they are compared", err=True)
    comparison = compare(folders)
    if form == "text":
        show_table(comparison, console())
    elif form == "json":
        click.echo(json.dumps(comparison, indent=1, sort_keys=True, ensure_ascii=False))
    else:
        click.echo(as_csv(comparison) if form == "csv" else as_latex(comparison), nl=False)
    page = out or (Path("report.html") if form == "text" else None)
    if page:
        whole_file(page, render_page(comparison, folders))
        click.echo(f"page: {page}", err=form != "text")
