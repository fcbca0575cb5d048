"""Midtraining: next-token loss on packed documents that cannot attend to each other."""

from __future__ import annotations

from pathlib import Path

from msmc.backend.checkpoints import Checkpoints
from msmc.backend.curves import Curve
from msmc.backend.recipe import Recipe, load_recipe
from msmc.backend.recorder import Progress
from msmc.backend.training import Stage, StageResult, load_tokenizer, read_rows, run
from msmc.diagnostics import fail


def midtrain(
    recipe: Path,
    rows: Path,
    model: Path,
    adapter: Path | None,
    out: Path,
    seed: int,
    min_steps: int,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    curve: Curve | None = None,
) -> StageResult:
    """Train on documents and write the results to the empty or new folder `out`.

    `rows` is JSON Lines with "text"; other keys never reach the trainer. `adapter` is the `adapter/` folder of an
    earlier stage, which goes on training; None starts a fresh one from `seed`. `progress(update, updates, loss)` is
    called after every update. With `checkpoints` a stopped training goes on from the newest, to the same losses.
    `out` receives adapter/ (PEFT), log.jsonl (one line per update), stage.json (`StageResult`) and timing.json.
    Raises `Failed` (`too-few-updates`, `bad-recipe`, `bad-row`, …).
    """
    from datasets import Dataset

    plan = load_recipe(recipe)
    _require_isolation(plan)
    texts = [row["text"] for row in read_rows(rows, "text")]
    # TRL appends `eos_token` to each text. For a chat model that is its end of turn; the recipe names the token
    # that ends a document instead.
    stage = Stage(
        name="midtrain",
        rows=Dataset.from_dict({"text": texts}),
        tokenizer=load_tokenizer(model),
        remedy="`documents.per_clause` or `midtrain.epochs`, or lower `midtrain.batch_size` or `midtrain.max_length`",
    )
    return run(stage, plan, model, adapter, out, seed, min_steps, progress, checkpoints, curve)


def _require_isolation(recipe: Recipe) -> None:
    """Only TRL's best-fit packings restart the positions of each document, from which the block mask is made.

    documents-attend: Packed documents that could attend to each other.

    Several documents share a sequence. Packed as `wrapped` they have one run of positions, and a model learns from what
    happens to stand before.

    Bad:
        packing_strategy: wrapped

    Good:
        packing_strategy: bfd_split

    documents-truncated: A recipe that would drop what a document has beyond `max_length`.

    Without packing, and with other packings than `bfd_split`, TRL cuts the ends of long documents without a word.

    Bad:
        packing: false

    Good:
        packing: true
        packing_strategy: bfd_split
    """
    packing, strategy = recipe.sft.get("packing", False), recipe.sft.get("packing_strategy", "bfd")
    if packing and strategy == "wrapped":
        raise fail(
            "documents-attend",
            f"{recipe.path.name} packs with `{strategy}`, which lets documents attend to each other",
            "use `packing_strategy: bfd_split`",
        )
    if not packing or strategy != "bfd_split":
        raise fail(
            "documents-truncated",
            f"{recipe.path.name} would drop what a document has beyond `max_length`",
            "use `packing: true` and `packing_strategy: bfd_split`",
        )
