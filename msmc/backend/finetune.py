"""Fine-tuning: loss on the assistant's tokens alone, in chats that obey the spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msmc.backend.checkpoints import Checkpoints
from msmc.backend.recipe import Recipe, load_recipe
from msmc.backend.training import Progress, Row, Stage, StageResult, load_tokenizer, quiet, read_rows, run
from msmc.diagnostics import fail


def finetune(
    recipe: Path,
    rows: Path,
    model: Path,
    adapter: Path | None,
    out: Path,
    seed: int,
    min_steps: int,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
) -> StageResult:
    """Train on chats and write the results to the empty or new folder `out`.

    `rows` is JSON Lines with "messages" ([{"role", "content"}, …]); other keys never reach the trainer. Everything
    else is as in `midtrain.midtrain`. Raises `Failed`, besides: `unmarked-template` when the chat template does not
    mark what the assistant says, `chat-too-long` when a chat would be cut.
    """
    from datasets import Dataset

    plan = load_recipe(recipe)
    if plan.sft.get("assistant_only_loss") is not True:
        raise fail("bad-recipe", f"{recipe.name} trains on every token", "add `assistant_only_loss: true`")
    chats = read_rows(rows, "messages")
    with quiet():
        tokenizer = load_tokenizer(model)
        if "chat_template_path" in plan.sft:
            tokenizer.chat_template = (recipe.parent / plan.sft["chat_template_path"]).read_text(encoding="utf-8")
        _require_markers(tokenizer)
        for number, row in enumerate(chats, 1):
            _require_trainable(tokenizer, plan, row, str(row.get("id", f"{rows.name}:{number}")))
    stage = Stage(
        name="finetune",
        rows=Dataset.from_list([{"messages": row["messages"]} for row in chats]),
        tokenizer=tokenizer,
        remedy="`demos.per_clause` or `finetune.epochs`, or lower `finetune.batch_size`",
    )
    return run(stage, plan, model, adapter, out, seed, min_steps, progress, checkpoints)


def _require_markers(tokenizer: Any) -> None:
    """The template must mark the assistant's words and the token that ends its turn.

    unmarked-template: A chat template that does not say which tokens are the assistant's.

    Fine-tuning is on the assistant's tokens alone. A template needs `{% generation %}` around them; msmc ships one for the
    default model.

    Bad:
        {{ message.content }}

    Good:
        {% generation %}{{ message.content }}{% endgeneration %}
    """
    from trl.chat_template_utils import has_generation_markers, is_chat_template_stop_token_trained

    hint = "give `chat_template_path` a copy with {% generation %} around the assistant's content and its end of turn"
    template = tokenizer.chat_template
    if not template or not has_generation_markers(template):
        raise fail("unmarked-template", "the chat template does not mark what the assistant says", hint)
    if not is_chat_template_stop_token_trained(tokenizer):
        # Such a model would never learn to stop, and its loss would look healthy.
        raise fail("unmarked-template", "the chat template's marks leave out the assistant's end of turn", hint)


def _require_trainable(tokenizer: Any, recipe: Recipe, row: Row, name: str) -> None:
    """A row without a supervised token, or one that TRL would cut, teaches something else than it says.

    chat-too-long: A chat longer than `finetune.max_length`, or a text to score or a chat that is longer than the model's context.

    Its end, which is what the loss is on, would be cut off.

    Bad:
        $ msmc run tea.msm --set finetune.max_length=16

    Good:
        $ msmc run tea.msm --set finetune.max_length=256
    """
    encoded = tokenizer.apply_chat_template(
        row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    if not any(encoded["assistant_masks"]):
        raise fail(
            "unmarked-template",
            f"no token of {name} would be trained: the template marks none of it",
            "end every chat with an assistant's turn, and mark it in the chat template",
        )
    length, most = len(encoded["input_ids"]), recipe.sft.get("max_length", 1024)
    if most is not None and length > most:
        raise fail(
            "chat-too-long",
            f"{name} has {length} tokens, more than `max_length` {most}: its end would be cut",
            "raise `finetune.max_length`, or shorten the chat",
        )
