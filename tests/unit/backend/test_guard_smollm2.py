"""Slow: the guard on SmolLM2 itself: plausible for the base model, beyond for a broken one, silent for one that is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.guard import Item, guard, guard_drops
from msmc.backend.weights import model_folder
from msmc.shipped import cache_folder
from tests.project import cpu

pytestmark = [pytest.mark.slow, pytest.mark.smollm2]
PLAN = cpu().evaluate.guard


@pytest.fixture(scope="module")
def smollm2() -> Path:
    return model_folder(cpu().model, cache_folder(), print)


def ask(model: Path, adapter: Path | None = None, prompts: int = PLAN.prompts) -> list[Item]:
    return guard(model, adapter, prompts, lambda done, total: None)


@pytest.fixture(scope="module")
def base(smollm2: Path) -> list[Item]:
    return ask(smollm2)


def drops(base: list[Item], items: list[Item]) -> dict[str, dict[str, Any]]:
    return {drop["what"]: drop for drop in guard_drops(base, items, PLAN.model_dump())}


def test_the_base_model_predicts_neutral_text_and_follows_some_instructions(base: list[Item]) -> None:
    own = drops(base, base)
    assert own["loss"]["n"] == 24 and 2 < own["loss"]["base"] < 4.5
    losses = [item["measures"]["loss"] for item in base if "loss" in item["measures"]]
    assert min(losses) > 0.5 and max(losses) < 6, "no passage is known by heart, and none is noise"
    assert own["instructions"]["n"] == 30 and 0.2 < own["instructions"]["base"] < 0.8, (
        "there is room to fall and to rise"
    )


def test_noise_in_the_weights_is_beyond(smollm2: Path, base: list[Item], tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    broken = Path(shutil.copytree(smollm2, tmp_path / "broken"))
    weights = load_file(broken / "model.safetensors")
    torch.manual_seed(0)
    weights = {n: w + (0.2 * w.float().std() * torch.randn(w.shape)).to(w.dtype) for n, w in weights.items()}
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    loss = drops(base, ask(broken, prompts=0))["loss"]
    assert loss["beyond"] and loss["low"] > PLAN.loss


def test_an_adapter_without_effect_loses_nothing(smollm2: Path, base: list[Item], tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(smollm2)
    get_peft_model(model, LoraConfig(r=4, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")
    same = ask(smollm2, tmp_path / "adapter")
    assert json.dumps(same) == json.dumps(base), "the same bytes"
    assert not any(drop["beyond"] for drop in drops(base, same).values())
