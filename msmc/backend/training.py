"""What midtraining and fine-tuning share: a frozen base with a float32 adapter, TRL's trainer, and the stage folder."""

from __future__ import annotations

import json
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from msmc.backend.adapter import load_model, published_name, require_precision, save_adapter, write_json
from msmc.backend.recipe import Recipe, lora_config
from msmc.backend.weights import whole_folder
from msmc.diagnostics import fail

Row = dict[str, Any]
Progress = Callable[[int, int, float], None]  # update, updates in all, loss of this update
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
    """All rows of a JSON Lines file; each must have `key`. Raises `Failed` `bad-row` or `no-rows`."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise fail("bad-row", f"{path.name}:{number} is not JSON: {error}", "write the rows anew") from None
        if not isinstance(row, dict) or not row.get(key):
            raise fail("bad-row", f'{path.name}:{number} has no "{key}"', f'give every row a "{key}"')
        rows.append(row)
    if not rows:
        raise fail("no-rows", f"{path.name} holds no rows to train on", "see `msmc coverage` for what was planned")
    return rows


def load_tokenizer(model: Path) -> Any:
    """The model's own tokenizer; nothing is looked up on the network."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def run(
    stage: Stage,
    recipe: Recipe,
    model: Path,
    adapter: Path | None,
    out: Path,
    seed: int,
    min_steps: int,
    progress: Progress,
) -> StageResult:
    """Train one stage and write `out` (adapter/, log.jsonl, stage.json, timing.json), whole or not at all."""
    if out.exists():
        raise FileExistsError(out)
    started = time.monotonic()
    with quiet(), whole_folder(out) as part, (part / "log.jsonl").open("w", encoding="utf-8") as log:
        trainer = _trainer(stage, recipe, model, adapter, part, seed)
        require_precision(trainer.model, recipe.dtype)
        updates = planned_updates(trainer)
        if updates < min_steps:
            raise fail(
                "too-few-updates",
                f"{stage.name} would make {updates} updates, fewer than min_steps {min_steps}",
                f"raise {stage.remedy}; or lower `min_steps` for a trial that proves nothing",
            )
        lines, supervised = _train(trainer, log, progress)
        save_adapter(trainer.model, part / "adapter", published_name(recipe))
        result = StageResult(
            stage=stage.name,
            seed=seed,
            rows=len(stage.rows),
            updates=trainer.state.global_step,
            tokens=lines[-1]["tokens"],
            supervised_tokens=supervised,
            loss_first=lines[0]["loss"],
            loss_last=lines[-1]["loss"],
            packages={name: metadata.version(name) for name in PACKAGES},
        )
        write_json(part / "stage.json", asdict(result))
        write_json(part / "timing.json", {"seconds": round(time.monotonic() - started, 1)})
    return result


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
        "save_strategy": "no",
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


def _train(trainer: Any, log: IO[str], progress: Progress) -> tuple[list[Row], int]:
    """Run the trainer; the lines of its log, one for each update, and the number of supervised tokens."""
    from transformers.trainer_callback import PrinterCallback

    supervised = 0

    def count(module: Any, args: Any, inputs: Row) -> None:
        nonlocal supervised
        supervised += int((inputs["labels"][:, 1:] != -100).sum())  # the first position predicts nothing

    lines: list[Row] = []
    trainer.model.register_forward_pre_hook(count, with_kwargs=True)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_recorder(lines, log, progress))
    with _head_on_supervised_tokens():
        trainer.train()
    return lines, supervised


def _recorder(lines: list[Row], log: IO[str], progress: Progress) -> Any:
    """A callback that writes a line for each update, tells `progress`, and stops at a loss that is no number."""
    from transformers import TrainerCallback

    class Recorder(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Row | None = None, **_: Any) -> None:
            if not logs or "loss" not in logs:  # the trainer's closing summary
                return
            step, loss = state.global_step, logs["loss"]
            if not math.isfinite(loss):
                raise fail("loss-not-finite", f"the loss became {loss} at update {step}", "lower `learning_rate`")
            lines.append(
                {
                    "step": step,
                    "loss": loss,
                    "learning_rate": logs["learning_rate"],
                    "tokens": int(logs["num_tokens"]),
                }
            )
            log.write(json.dumps(lines[-1]) + "\n")
            log.flush()
            progress(step, state.max_steps, loss)

    return Recorder()


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
