"""The verb `plan`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from msmc.cli_frame import Command, ablation_option, compiled, emit, out_option, runs_option, set_option, target_option


@click.command(cls=Command)
@click.argument("spec", type=click.Path(path_type=Path))
@target_option
@ablation_option
@set_option
@out_option
@runs_option
@click.option("--full", is_flag=True, help="Every arm, every stage and every reason, before the summary.")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", show_default=True)
def plan(
    spec: Path,
    target: str,
    ablation: str | None,
    settings: tuple[str, ...],
    out: Path,
    runs: Path,
    full: bool,
    form: str,
) -> None:
    """Forecast what a run of SPEC, or of an ABLATION's arms, controls and seeds, takes: rows, tokens, money, updates, hours.

    Nothing is written, trained or fetched. A sample of the documents is written and measured by the target's own tokenizer,
    where its model is on this machine; a served writer's replies are taken to be as those that the ledger in --runs has of it,
    if these are 20 or more, else as long as the prompts ask. What several arms ask for alike counts once. Money needs
    a price: the target's writer.price, or msmc's own table. What the last build in --out has already is told, and why the rest
    is stale. Exit code 1: a stage would make fewer updates than the target's min_steps.
    """
    from msmc.backend.ledger import LEDGER
    from msmc.backend.tokens import tokens_of
    from msmc.backend.weights import tokenizer_file
    from msmc.plan.change import change
    from msmc.plan.forecast import forecast
    from msmc.plan.power import detectable
    from msmc.plan.told import adapter_bytes, as_data, as_text
    from msmc.shipped import cache_folder

    outcome, loaded, sources = compiled(spec, target, ablation, settings, form=None)
    found = forecast(outcome, loaded, sources, tokens_of(loaded.model, cache_folder()), runs / LEDGER)
    changed = change(outcome.builds, out / found.spec)
    power = detectable(outcome.arms, loaded, runs)
    if form == "json":
        data = as_data(found, changed) | {"power": power.data() if power else None}
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        file = tokenizer_file(loaded.model, cache_folder())
        adapter = adapter_bytes(file.parent / "config.json", loaded.lora.r) if file else None
        for note in outcome.notes:
            click.echo(f"note: {note}")
        click.echo(as_text(found, changed, adapter, full))
        if power:
            click.echo(power.told())
        emit(found.problems, {})
    if found.problems:
        raise click.exceptions.Exit(1)
