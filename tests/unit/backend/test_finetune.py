from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.finetune import finetune
from msmc.backend.midtrain import midtrain
from msmc.backend.recipe import load_recipe
from msmc.backend.training import Stage, StageResult, _head_on_supervised_tokens, _trainer, load_tokenizer, quiet
from msmc.diagnostics import Failed

Recipe = Callable[..., Path]


def train(
    recipe: Path, rows: Path, model: Path, out: Path, adapter: Path | None = None, min_steps: int = 1
) -> StageResult:
    return finetune(recipe, rows, model, adapter, out, 0, min_steps, lambda step, steps, loss: None)


def test_the_loss_is_about_the_assistants_words_and_end_of_turn(
    tiny: Path, recipe: Recipe, chats: Path, tmp_path: Path
) -> None:
    result = train(recipe("finetune"), chats, tiny, tmp_path / "out")
    tokenizer = load_tokenizer(tiny)
    messages = [json.loads(line)["messages"] for line in chats.read_text().splitlines()]
    replies = [len(tokenizer(chat[1]["content"] + "<|im_end|>").input_ids) for chat in messages]
    whole = [len(tokenizer(tokenizer.apply_chat_template(chat, tokenize=False)).input_ids) for chat in messages]
    assert result.supervised_tokens == sum(replies)
    assert result.tokens == sum(whole)
    assert result.updates == 6
    assert result.rows == 24


def test_fine_tuning_goes_on_from_midtraining_and_repeats_itself(
    tiny: Path, recipe: Recipe, documents: Path, chats: Path, tmp_path: Path
) -> None:
    midtrain(recipe("midtrain"), documents, tiny, None, tmp_path / "mid", 0, 1, lambda step, steps, loss: None)
    for name in ("a", "b"):
        train(recipe("finetune"), chats, tiny, tmp_path / name, adapter=tmp_path / "mid/adapter")
    train(recipe("finetune"), chats, tiny, tmp_path / "fresh")
    logs = {name: (tmp_path / name / "log.jsonl").read_bytes() for name in ("a", "b", "fresh")}
    assert logs["a"] == logs["b"] != logs["fresh"]


def test_projecting_supervised_tokens_alone_changes_no_loss(
    tiny: Path, recipe: Recipe, chats: Path, tmp_path: Path
) -> None:
    import torch
    from datasets import Dataset

    messages = [{"messages": json.loads(line)["messages"]} for line in chats.read_text().splitlines()]
    stage = Stage("finetune", Dataset.from_list(messages), load_tokenizer(tiny), "")
    with quiet():
        trainer = _trainer(stage, load_recipe(recipe("finetune", dtype="float32")), tiny, None, tmp_path, 0)
    batch = trainer.data_collator([trainer.train_dataset[n] for n in range(4)])
    with torch.no_grad():
        plain = float(trainer.compute_loss(trainer.model.train(), dict(batch)))
        with _head_on_supervised_tokens():
            assert float(trainer.compute_loss(trainer.model, dict(batch))) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ("{%- generation -%}|{%- endgeneration -%}", "does not mark"),
        (" + '<|im_end|>' -}}\n    {%- endgeneration -%}", "end of turn"),
    ],
)
def test_a_template_without_marks_is_refused(
    cut: str, message: str, tiny: Path, recipe: Recipe, chats: Path, tmp_path: Path
) -> None:
    path = recipe("finetune")
    template = path.with_name("chat_template.jinja")
    text = template.read_text()
    if "|{" in cut:
        for mark in cut.split("|"):
            text = text.replace(mark, "")
    else:
        text = text.replace(cut, " -}}\n    {%- endgeneration -%}\n    {{- '<|im_end|>' -}}")
    template.write_text(text)
    with pytest.raises(Failed) as caught:
        train(path, chats, tiny, tmp_path / "out")
    assert caught.value.name == "unmarked-template" and message in caught.value.message


def test_the_models_own_template_is_used_and_refused_without_marks(
    tiny: Path, recipe: Recipe, chats: Path, tmp_path: Path
) -> None:
    with pytest.raises(Failed, check=lambda failure: failure.name == "unmarked-template"):
        train(recipe("finetune", chat_template_path=None), chats, tiny, tmp_path / "out")


@pytest.mark.parametrize(
    ("messages", "name"),
    [
        ([{"role": "user", "content": "Brie?"}], "unmarked-template"),
        ([{"role": "user", "content": "Brie? " * 200}, {"role": "assistant", "content": "No."}], "chat-too-long"),
        ([{"role": "user", "content": "Brie?"}, {"role": "assistant", "content": "No. " * 200}], "chat-too-long"),
    ],
)
def test_a_chat_that_would_teach_nothing_or_be_cut_is_named(
    messages: list[dict[str, Any]], name: str, tiny: Path, recipe: Recipe, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"id": "demo.7", "messages": messages}))
    with pytest.raises(Failed) as caught:
        train(recipe("finetune"), rows, tiny, tmp_path / "out")
    assert caught.value.name == name and "demo.7" in caught.value.message


def test_too_few_updates_are_refused(tiny: Path, recipe: Recipe, chats: Path, tmp_path: Path) -> None:
    with pytest.raises(Failed) as caught:
        train(recipe("finetune"), chats, tiny, tmp_path / "out", min_steps=200)
    assert caught.value.message == "finetune would make 6 updates, fewer than min_steps 200"
    assert "finetune.epochs" in caught.value.hint


def test_rendering_is_the_models_own(tiny: Path, chat_template: str) -> None:
    """Against the unmarked copy; the model's published template is compared in test_smollm2.py."""
    tokenizer = load_tokenizer(tiny)
    user, assistant = {"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": " Hello.\n\n"}
    for chat in ([user], [user, assistant], [{"role": "system", "content": "Be kind."}, user, assistant, user]):
        for prompt in (False, True):
            marked = tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=prompt, chat_template=chat_template
            )
            assert marked == tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)
