"""The target's training stages as configurations that `trl sft --config` runs as they are."""

from typing import Any

import yaml

from msmc.library import read_yaml
from msmc.lower.render import Templates
from msmc.target import Stage, Target


def recipe(stage: str, target: Target, templates: Templates) -> str:
    """`templates/train/<stage>.yaml` with the target's values; the keys it had, in its order."""
    plan: Stage = getattr(target, stage)
    values: dict[str, Any] = {
        "model_name_or_path": target.model.name,
        "lora_r": target.lora.r,
        "lora_alpha": target.lora.alpha,
        "max_length": plan.max_length,
        "per_device_train_batch_size": plan.batch_size,
        "gradient_accumulation_steps": plan.accumulation,
        "num_train_epochs": plan.epochs,
        "learning_rate": plan.learning_rate,
    }
    base = read_yaml(templates.text(f"train/{stage}.yaml").encode())
    assert values.keys() <= base.keys(), "a value of the target has no place in the recipe"
    if target.model.revision:
        values["model_revision"] = target.model.revision
    return yaml.safe_dump({**base, **values}, sort_keys=False, allow_unicode=True)
