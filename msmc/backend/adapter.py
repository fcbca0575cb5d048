"""The adapter: float32 LoRA matrices over a frozen base, in the two files that PEFT reads."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from msmc.backend.recipe import Recipe, lora_config
from msmc.backend.weights import load_weights, require_adapter
from msmc.diagnostics import fail


def load_model(recipe: Recipe, folder: Path, adapter: Path | None) -> Any:
    """The base in the recipe's dtype, with the earlier stage's adapter, trainable, if there is one."""
    import torch
    from peft import PeftModel

    if adapter is not None:
        require_adapter(adapter)
    base = load_weights(folder, dtype=getattr(torch, recipe.dtype), attn_implementation=recipe.attention)
    if adapter is None:
        return base
    model = PeftModel.from_pretrained(base, adapter, is_trainable=True)
    _require_same_adapter(model.peft_config["default"], lora_config(recipe))
    return model


def require_precision(model: Any, dtype: str) -> None:
    """A bfloat16 adapter loses small updates without a sound, and a float32 base is half as fast."""
    import torch

    for name, parameter in model.named_parameters():
        wanted = torch.float32 if parameter.requires_grad else getattr(torch, dtype)
        if parameter.dtype != wanted:
            raise TypeError(f"{name} is {parameter.dtype}, expected {wanted}")


def _require_same_adapter(given: Any, wanted: Any) -> None:
    """An adapter of one shape where the recipe wants another.

    Between stages the adapter goes on training; its rank, alpha and modules are those of the stage before.

    Bad:
        midtrain.yaml with lora_r 16, finetune.yaml with lora_r 8

    Good:
        the same lora_r in both
    """
    if (given.r, given.lora_alpha) != (wanted.r, wanted.lora_alpha):
        raise fail(
            "adapter-mismatch",
            f"the earlier stage's adapter has r {given.r} and alpha {given.lora_alpha}, "
            f"this recipe asks for r {wanted.r} and alpha {wanted.lora_alpha}",
            "give both stages the same LoRA, or start a fresh adapter",
        )


def published_name(recipe: Recipe) -> str:
    """The model's name for others to read: a hub id as it is, of a folder on this machine only its last part."""
    path = PurePath(recipe.model)
    return path.name if path.is_absolute() or recipe.model.startswith((".", "~")) else recipe.model


def save_adapter(model: Any, folder: Path, name: str) -> None:
    """Write the two files of a PEFT adapter, the same bytes for the same weights."""
    # PEFT asks the hub whether the vocabulary grew unless told that embeddings are not saved.
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # an empty model card that names a path of this machine
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = name
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set in PEFT: its order changes from process to process
    write_json(folder / "adapter_config.json", config)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
