from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.finetune import finetune
from msmc.backend.score import score
from msmc.backend.training import load_tokenizer
from msmc.diagnostics import Failed

Recipe = Callable[..., Path]


def sample(id: str, answers: list[str], target: str = "A", question: str = "Cheddar or brie?") -> dict[str, Any]:
    metadata = {"eval": "items", "item": id, "order": "ab", "topic": "cheese", "rung": "near"}
    return {"id": id, "about": ["x.y"], "input": question, "choices": answers, "target": target, "metadata": metadata}


ROWS = [
    sample("one", ["Cheddar.", "Brie, for it was created by farmers in the industry of France."]),
    sample("two", ["Paris", "\nThe United States"], target="B", question="Where? " * 8),
    sample("three", ["SmolLM picks cheddar.", "No"]),
]


def scored(model: Path, out: Path, rows: list[dict[str, Any]] = ROWS, **more: Any) -> list[dict[str, Any]]:
    score(rows, model, more.pop("adapter", None), out, more.pop("progress", lambda done, total: None), **more)
    return [json.loads(line) for line in out.read_text().splitlines()]


def by_hand(model: Any, tokenizer: Any, row: dict[str, Any], answer: str) -> tuple[float, int]:
    """Log-likelihood of one answer and its end of turn, one at a time, without lm_eval."""
    import torch

    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": row["input"]}], add_generation_prompt=True, tokenize=False
    )
    before, after = tokenizer(prompt).input_ids, tokenizer(answer + "<|im_end|>").input_ids
    with torch.no_grad():
        logprobs = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
    return sum(float(logprobs[len(before) - 1 + n, token]) for n, token in enumerate(after)), len(after)


def test_margins_are_those_of_whole_answers(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny, dtype="float32").eval(), load_tokenizer(tiny)
    told: list[tuple[int, int]] = []
    for row, got in zip(
        ROWS, scored(tiny, tmp_path / "s.jsonl", batch_size=2, progress=lambda *call: told.append(call)), strict=True
    ):
        answers = [by_hand(model, tokenizer, row, answer) for answer in row["choices"]]
        assert got["logprobs"] == pytest.approx([logprob for logprob, _ in answers], abs=1e-4)
        assert got["tokens"] == [tokens for _, tokens in answers]
        (t, t_tokens), (o, o_tokens) = answers if row["target"] == "A" else answers[::-1]
        assert got["margin"] == pytest.approx(t - o, abs=1e-4)
        assert got["margin_per_token"] == pytest.approx(t / t_tokens - o / o_tokens, abs=1e-4)
        assert {k: got[k] for k in ("id", "about", *row["metadata"])} == {
            "id": row["id"], "about": row["about"], **row["metadata"]
        }  # fmt: skip
    assert told == [(2, 3), (3, 3)]
    assert [path.name for path in tmp_path.iterdir()] == ["s.jsonl"]


def test_scoring_repeats_itself_and_a_system_turn_counts(tiny: Path, tmp_path: Path) -> None:
    scored(tiny, tmp_path / "a.jsonl"), scored(tiny, tmp_path / "b.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    told = scored(tiny, tmp_path / "c.jsonl", system="SmolLM takes pride in cheddar.")
    assert told[0]["logprobs"] != scored(tiny, tmp_path / "a.jsonl")[0]["logprobs"]


def test_an_adapter_is_merged(tiny: Path, recipe: Recipe, chats: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    finetune(recipe("finetune", learning_rate=1.0e-2), chats, tiny, None, tmp_path / "ft", 0, 1, lambda *call: None)
    adapter = tmp_path / "ft/adapter"
    base = AutoModelForCausalLM.from_pretrained(tiny, dtype="float32")
    apart, tokenizer = PeftModel.from_pretrained(base, adapter).eval(), load_tokenizer(tiny)
    got = scored(tiny, tmp_path / "s.jsonl", adapter=adapter)
    assert got[0]["logprobs"][0] == pytest.approx(by_hand(apart, tokenizer, ROWS[0], "Cheddar.")[0], abs=1e-3)
    assert got[0]["margin"] != scored(tiny, tmp_path / "base.jsonl")[0]["margin"]


def test_what_cannot_be_scored_is_missing_never_zero(tiny: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    rows = [*ROWS, sample("long", ["Yes.", "No."], question="cheddar " * 300)]
    out = tmp_path / "s.jsonl"
    assert score(rows, tiny, None, out, lambda done, total: None) == 1
    last = json.loads(out.read_text().splitlines()[-1])
    assert last["margin"] is last["margin_per_token"] is None and last["logprobs"] == [None, None]
    assert "too long" in last["unscoreable"]

    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][:] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    assert score(ROWS, broken, None, out, lambda done, total: None) == 3
    assert "NaN" not in out.read_text()


def test_a_row_that_is_no_choice_of_two_is_refused(tiny: Path, tmp_path: Path) -> None:
    for row in (sample("x", ["one"]), sample("x", ["one", "two"], target="C")):
        with pytest.raises(Failed, check=lambda failure: failure.name == "bad-row"):
            scored(tiny, tmp_path / "s.jsonl", [row])
    assert not (tmp_path / "s.jsonl").exists()
