"""What midtraining and fine-tuning share: a frozen base with a float32 adapter, TRL's trainer, and the stage folder."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from msmc.backend.adapter import load_model, published_name, require_precision, save_adapter, write_json
from msmc.backend.checkpoints import Checkpoints, stoppable
from msmc.backend.curves import Curve
from msmc.backend.recipe import Recipe, lora_config
from msmc.backend.recorder import Counts, Points, Progress, recorder
from msmc.backend.weights import load_tokenizer as load_tokenizer
from msmc.diagnostics import fail
from msmc.stored import broken

Row = dict[str, Any]
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


@dataclass(frozen=True)
class Stage:
    """What a stage file hands to `run`: its rows as a `datasets.Dataset` and how to speak about it."""

    name: str
    rows: Any
    tokenizer: Any
    remedy: str  # the target keys that give more updates


@dataclass(frozen=True)
class StageResult:
    """`stage.json`: what training did, without clocks or paths, so that equal runs write equal bytes.

    `tokens` counts the tokens seen, padding not; `supervised_tokens` those of them that the loss is about. Losses are
    means over the supervised tokens of one update, in nats.
    """

    stage: str
    seed: int
    rows: int
    updates: int
    tokens: int
    supervised_tokens: int
    loss_first: float
    loss_last: float
    packages: dict[str, str]


def read_rows(path: Path, key: str) -> list[Row]:
    """All rows of a JSON Lines file; each must have `key`. Raises `Failed` `bad-row` or `no-rows`.

    no-rows: A stage that has nothing to train on.

    The spec or the arm plans no documents, or every one of them mentions what an evaluation holds out.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
        }
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            told = broken(path, "was cut or changed: it is not whole JSON", number)
            raise fail("bad-row", told.message, told.hint) from error
        if not isinstance(row, dict) or not row.get(key):
            raise fail("bad-row", f'{path.name}:{number} has no "{key}"', f'give every row a "{key}"')
        rows.append(row)
    if not rows:
        raise fail(
            "no-rows", f"{path.name} holds no rows to train on", "see what `msmc compile` says of documents and demos"
        )
    return rows


def run(
    stage: Stage,
    recipe: Recipe,
    model: Path,
    adapter: Path | None,
    out: Path,
    seed: int,
    min_steps: int,
    progress: Progress,
    checkpoints: Checkpoints | None,
    curve: Curve | None,
) -> StageResult:
    """Train one stage and write adapter/, log.jsonl, stage.json and timing.json to the empty or new folder `out`, and
    curves.jsonl where there is a `curve`.

    From the newest checkpoint, where there is one, to the same result. Ctrl-C ends the update at hand, keeps a checkpoint
    and raises KeyboardInterrupt.
    """
    started, resumed = time.monotonic(), bool(checkpoints and checkpoints.step())
    out.mkdir(parents=True, exist_ok=True)
    with quiet():
        trainer = _trainer(stage, recipe, model, adapter, checkpoints.folder if checkpoints else out, seed)
        require_precision(trainer.model, recipe.dtype)
        updates = planned_updates(trainer)
        if updates < min_steps:
            raise fail(
                "too-few-updates",
                f"{stage.name} would make {updates} updates, fewer than min_steps {min_steps}",
                f"raise {stage.remedy}; or lower `min_steps` for a trial that proves nothing",
            )
        counts = _train(trainer, checkpoints, progress, curve.points(trainer.model, model) if curve else None)
        save_adapter(trainer.model, out / "adapter", published_name(recipe))
        result = StageResult(
            stage=stage.name,
            seed=seed,
            rows=len(stage.rows),
            updates=trainer.state.global_step,
            tokens=counts.lines[-1]["tokens"],
            supervised_tokens=counts.supervised,
            loss_first=counts.lines[0]["loss"],
            loss_last=counts.lines[-1]["loss"],
            packages={name: metadata.version(name) for name in PACKAGES},
        )
        for name, lines in (("log", counts.lines), ("curves", counts.curves)):
            if lines:
                (out / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        write_json(out / "stage.json", asdict(result))
        # the seconds of a stage that went on from a checkpoint are its last part's, and a curve has some: no rate is known
        done = {} if resumed or curve else {"tokens": result.tokens}
        write_json(out / "timing.json", {**done, **timing(started)})
    return result


def timing(started: float) -> dict[str, Any]:
    """What timing.json has besides how much was done: seconds since `started` (time.monotonic), and on what."""
    import torch

    gpus = torch.cuda.device_count()
    device = torch.cuda.get_device_name(0) if gpus else f"{torch.get_num_threads()} cores"
    return {"seconds": round(time.monotonic() - started, 1), "device": device, "gpus": gpus}


def _trainer(stage: Stage, recipe: Recipe, model: Path, adapter: Path | None, out: Path, seed: int) -> Any:
    from trl import SFTConfig, SFTTrainer

    ours = {
        "output_dir": str(out),
        # The seed alone: TRL seeds everything with it before it draws the adapter; the order has its own generator,
        # so that it does not depend on how many numbers the adapter took.
        "seed": seed,
        "data_seed": seed,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # the default hides a loss that is no number
        "save_strategy": "no",  # `Checkpoints` says when
        "report_to": "none",
        "disable_tqdm": True,
    }
    if "chat_template_path" in recipe.sft:
        ours["chat_template_path"] = str(recipe.path.parent / recipe.sft["chat_template_path"])
    try:
        config = SFTConfig(**{**recipe.sft, **ours})
    except (TypeError, ValueError) as error:
        raise fail("bad-recipe", f"{recipe.path.name}: {error}", "correct the value it names") from error
    return SFTTrainer(
        model=load_model(recipe, model, adapter),
        args=config,
        train_dataset=stage.rows,
        processing_class=stage.tokenizer,
        peft_config=None if adapter is not None else lora_config(recipe),
    )


def planned_updates(trainer: Any) -> int:
    """Optimizer updates that `trainer.train()` will make, by the trainer's own rule for its prepared dataset."""
    return int(trainer.set_initial_training_values(trainer.args, trainer.get_train_dataloader())[-1])


def _train(trainer: Any, checkpoints: Checkpoints | None, progress: Progress, points: Points | None) -> Counts:
    """Run the trainer, from its newest checkpoint on."""
    from transformers.trainer_callback import PrinterCallback

    kept = checkpoints.latest() if checkpoints else None
    counts = Counts(**kept[1]) if kept else Counts([], 0)

    def count(module: Any, args: Any, inputs: Row) -> None:
        if "labels" in inputs:  # a curve's rows have none
            counts.supervised += int((inputs["labels"][:, 1:] != -100).sum())  # the first position predicts nothing

    trainer.model.register_forward_pre_hook(count, with_kwargs=True)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(recorder(counts, progress, points))
    # in midtraining nearly all tokens are supervised: there is nothing to leave out, and gathering them costs
    with _head_on_supervised_tokens() if trainer.args.assistant_only_loss else nullcontext():
        if checkpoints is None:
            trainer.train()
            return counts
        with stoppable() as stop:
            trainer.add_callback(checkpoints.callback(lambda: asdict(counts), stop))
            trainer.train(resume_from_checkpoint=str(kept[0]) if kept else None)
            if trainer.state.global_step < trainer.state.max_steps:
                raise KeyboardInterrupt
    return counts


@contextmanager
def _head_on_supervised_tokens() -> Iterator[None]:
    """Let TRL's fused head project the supervised positions alone, on a CPU as it does on a GPU.

    TRL asks this private function whether changing tile shapes are cheap and says no without Triton, which is right
    for an ahead-of-time compiler but not for a CPU. Four short chats, a fifth of their tokens supervised, on
    SmolLM2-135M and two cores: 1.06 s an update without this, 0.80 s with it, the same losses.
    """
    from trl.trainer import utils

    original = utils._use_triton
    utils._use_triton = lambda device: True
    try:
        yield
    finally:
        utils._use_triton = original


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, advice or warnings from the training libraries; errors still speak."""
    import datasets
    from transformers.utils import logging as chatter

    bars = chatter.is_progress_bar_enabled(), not datasets.are_progress_bars_disabled()
    chatter.disable_progress_bar()
    datasets.disable_progress_bars()
    loggers = [logging.getLogger(name) for name in ("transformers", "trl", "peft", "accelerate", "datasets", "lm_eval")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars[0]:
            chatter.enable_progress_bar()
        if bars[1]:
            datasets.enable_progress_bars()
