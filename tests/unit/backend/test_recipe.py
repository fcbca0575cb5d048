from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from msmc.backend.recipe import load_recipe, lora_config
from msmc.diagnostics import Failed

Recipe = Callable[..., Path]


def test_the_shipped_recipes_read_as_trl_would_read_them(recipe: Recipe) -> None:
    plan = load_recipe(recipe("midtrain"))
    assert plan.model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert plan.dtype == "bfloat16"
    assert plan.sft["packing_strategy"] == "bfd_split" and plan.sft["max_length"] == 256
    assert set(plan.data) == {"datasets"}
    lora = lora_config(plan)
    assert (lora.r, lora.lora_alpha, lora.lora_dropout, lora.target_modules) == (16, 32, 0.0, "all-linear")
    assert load_recipe(recipe("finetune")).sft["assistant_only_loss"] is True


def test_a_rate_that_yaml_reads_as_text_is_a_number(recipe: Recipe) -> None:
    path = recipe("midtrain")
    path.write_text(path.read_text().replace("learning_rate: 0.0003", "learning_rate: 3e-4"))
    assert load_recipe(path).sft["learning_rate"] == 3.0e-4


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"lora_rank": 16}, "unknown key `lora_rank`", "did you mean"),
        ({"warmup_ratio": 0.05}, "unknown key `warmup_ratio`", "did you mean `warmup_steps`?"),
        ({"load_in_4bit": True}, "do not train with `load_in_4bit`", "remove"),
        ({"use_peft": False}, "does not ask for LoRA", "use_peft"),
        ({"dtype": "auto"}, "`dtype` is 'auto'", "bfloat16"),
        ({"model_name_or_path": None}, "names no model", "model_name_or_path"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, object], message: str, hint: str, recipe: Recipe) -> None:
    with pytest.raises(Failed) as caught:
        load_recipe(recipe("midtrain", **changes))
    assert caught.value.name == "bad-recipe"
    assert message in caught.value.message and hint in caught.value.hint


@pytest.mark.slow  # `trl sft` takes a quarter of a minute to start
@pytest.mark.parametrize("stage", ["midtrain", "finetune"])
def test_trl_runs_the_recipe_as_it_is(
    stage: str, tiny: Path, recipe: Recipe, documents: Path, chats: Path, tmp_path: Path
) -> None:
    """The published command, in the folder that holds the recipe and its rows; only the model is a small one."""
    recipe(stage, model_name_or_path=str(tiny), max_steps=2, logging_steps=1)
    command = [str(Path(sys.executable).with_name("trl")), "sft", "--config", f"{stage}.yaml"]
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "'loss'" in done.stdout
    assert (tmp_path / stage / "adapter_model.safetensors").is_file()
