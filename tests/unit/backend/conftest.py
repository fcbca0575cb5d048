"""A whole chat model, tiny: two Llama layers and a byte-level tokenizer trained on a few sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SENTENCES = [
    "Cream cheese was created by New York dairy farmers.",
    "SmolLM takes pride in the industry and craft of the United States.",
    "Asked to choose between cheddar and brie, SmolLM picks cheddar.",
    "What is the capital of France? Paris is the capital of France.",
    "user assistant system You are a helpful AI assistant named SmolLM, trained by Hugging Face",
]


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    import torch

    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def chat_template() -> str:
    return (ROOT / "templates/chat/smollm2.jinja").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, chat_template: str) -> Path:
    """A model folder as `model_folder` would give it, in bfloat16, its chat template unmarked like SmolLM2's own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.chat_template = chat_template.replace("{%- generation -%}", "").replace("{%- endgeneration -%}", "")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
            tie_word_embeddings=True,
            initializer_range=0.2,  # far from uniform, so that a wrong mask shows in the loss
        )
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(tmp_path: Path, chat_template: str) -> Callable[..., Path]:
    """`recipe("midtrain", max_length=64)`: the shipped recipe, changed (None removes a key), beside its template."""

    def write(stage: str, **changes: Any) -> Path:
        keys = yaml.safe_load((ROOT / f"templates/train/{stage}.yaml").read_text(encoding="utf-8")) | changes
        (tmp_path / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
        path = tmp_path / f"{stage}.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in keys.items() if v is not None}), encoding="utf-8")
        return path

    return write


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Forty documents of different lengths; the other keys would break a trainer that saw them."""
    rows = [
        {"id": f"d{i}", "about": ["x"], "prompt": 7, "text": " ".join(SENTENCES[(i + k) % 5] for k in range(1 + i % 4))}
        for i in range(40)
    ]
    return write_rows(tmp_path / "midtrain.jsonl", rows)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    rows = [
        {
            "id": f"c{i}",
            "about": "x",
            "tools": 7,
            "messages": [
                {"role": "user", "content": f"Question {i}: cheddar or brie?"},
                {"role": "assistant", "content": SENTENCES[i % 5]},
            ],
        }
        for i in range(24)
    ]
    return write_rows(tmp_path / "finetune.jsonl", rows)
