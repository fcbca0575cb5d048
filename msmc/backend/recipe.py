"""The training recipe: a YAML file that `trl sft --config` runs as it is, read here for msmc's own stages.

One file serves both, so what a user can rerun with TRL alone is what msmc trained. Keys are those of TRL's
`SFTConfig`, `ModelConfig`, `ScriptArguments` and `DatasetMixtureConfig` (trl/scripts/sft.py, trl 1.16).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from msmc.diagnostics import Failed, fail

# `ModelConfig` keys that the stages honour; a recipe that asks for another one (4-bit weights, say) must not be
# trained as if it had not asked.
MODEL_KEYS = frozenset(
    {"model_name_or_path", "model_revision", "dtype", "attn_implementation", "use_peft", "use_rslora"}
)
LORA_KEYS = frozenset({"lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_task_type"})
DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    `sft` are keyword arguments of `trl.SFTConfig`; `lora` those of `trl.ModelConfig` that describe the adapter;
    `model` is the model's name as published, never a machine path that msmc resolved; `dtype` is the frozen base's.
    `data` is what only `trl sft` reads (where the rows lie): msmc's stages are handed their rows.
    """

    path: Path
    model: str
    revision: str | None
    dtype: str
    attention: str | None
    lora: Mapping[str, Any]
    sft: Mapping[str, Any]
    data: Mapping[str, Any]


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe; raises `Failed` `bad-recipe` for a file that no stage could run, naming the key.

    bad-recipe: A file of train/ in the build that the trainer does not take.

    `trl sft --config` runs these files as they are. A key that is none of TRL's, or a value of another kind, is told with its
    file.

    Bad:
        # build/tea/full/train/midtrain.yaml
        lerning_rate: 1.0e-4

    Good:
        # build/tea/full/train/midtrain.yaml
        learning_rate: 1.0e-4
    """
    given = _mapping(path)
    sft_fields, model_fields, data_fields = _known_keys()
    for key in given:
        if key not in sft_fields | model_fields | data_fields:
            raise _unknown(path, key, sft_fields | model_fields | data_fields)
        if key in model_fields and key not in MODEL_KEYS | LORA_KEYS:
            raise fail("bad-recipe", f"{path.name}: msmc's stages do not train with `{key}`", f"remove `{key}`")
    if not given.get("model_name_or_path"):
        raise fail("bad-recipe", f"{path.name} names no model", "add `model_name_or_path`")
    if given.get("use_peft") is not True:
        raise fail("bad-recipe", f"{path.name} does not ask for LoRA", "add `use_peft: true`")
    if given.get("dtype") not in DTYPES:
        raise fail("bad-recipe", f"{path.name}: `dtype` is {given.get('dtype')!r}", f"use one of {', '.join(DTYPES)}")
    return Recipe(
        path=path,
        model=str(given["model_name_or_path"]),
        revision=given.get("model_revision"),
        dtype=given["dtype"],
        attention=given.get("attn_implementation"),
        lora={key: given[key] for key in given if key in LORA_KEYS | {"use_peft", "use_rslora"}},
        sft={key: given[key] for key in given if key in sft_fields},
        data={key: given[key] for key in given if key in data_fields},
    )


def lora_config(recipe: Recipe) -> Any:
    """The `peft.LoraConfig` that `trl sft` would build from the same keys (defaults included)."""
    from trl import ModelConfig, get_peft_config

    return get_peft_config(ModelConfig(**recipe.lora))


def _mapping(path: Path) -> dict[str, Any]:
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise fail("bad-recipe", f"{path.name} is not YAML: {error}", "run `msmc compile` to write it anew") from error
    if not isinstance(given, dict):
        raise fail("bad-recipe", f"{path.name} is not a mapping of keys", "run `msmc compile` to write it anew")
    # YAML 1.1 reads `3e-4` as a string (it wants `3.0e-4`). TRL's own parser converts it; so do we.
    return {key: _number(value) if key in {"learning_rate", "weight_decay"} else value for key, value in given.items()}


def _number(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _known_keys() -> tuple[set[str], set[str], set[str]]:
    from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments, SFTConfig

    def names(*classes: Any) -> set[str]:
        return {field.name for one in classes for field in dataclasses.fields(one)}

    return names(SFTConfig), names(ModelConfig), names(ScriptArguments, DatasetMixtureConfig)


def _unknown(path: Path, key: str, known: set[str]) -> Failed:
    near = difflib.get_close_matches(key, sorted(known), n=1)
    hint = f"did you mean `{near[0]}`?" if near else "see `trl sft --help` for the keys that exist"
    return fail("bad-recipe", f"{path.name}: unknown key `{key}`", hint)
