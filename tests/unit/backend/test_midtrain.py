from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.midtrain import midtrain
from msmc.backend.recipe import load_recipe
from msmc.backend.training import Stage, StageResult, _trainer, load_tokenizer, quiet
from msmc.diagnostics import Failed

Recipe = Callable[..., Path]


def silent(step: int, steps: int, loss: float) -> None:
    pass


def train(recipe: Path, rows: Path, model: Path, out: Path, adapter: Path | None = None, seed: int = 0) -> StageResult:
    return midtrain(recipe, rows, model, adapter, out, seed, 1, silent)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def prepared(recipe: Path, texts: list[str], model: Path, out: Path) -> Any:
    """The trainer as the stage builds it, for rows of our own."""
    from datasets import Dataset

    stage = Stage("midtrain", Dataset.from_dict({"text": texts}), load_tokenizer(model), "")
    with quiet():
        return _trainer(stage, load_recipe(recipe), model, None, out, 0)


def test_a_stage_folder_is_whole_and_speaks_of_no_machine(
    tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path
) -> None:
    calls: list[tuple[int, int, float]] = []
    out = tmp_path / "run" / "midtrain"
    result = midtrain(
        recipe("midtrain", max_length=64), documents, tiny, None, out, 0, 1, lambda *call: calls.append(call)
    )

    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "log.jsonl",
        "stage.json",
        "timing.json",
    ]
    assert [p.name for p in out.parent.iterdir()] == ["midtrain"]
    config = json.loads((out / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    written = "".join(p.read_text() for p in out.rglob("*.json*"))
    assert str(tiny) not in written and str(tmp_path) not in written
    stage = json.loads((out / "stage.json").read_text())
    assert stage == json.loads(json.dumps(result.__dict__))
    assert [call[:2] for call in calls] == [(n, result.updates) for n in range(1, result.updates + 1)]
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert log[-1]["tokens"] == result.tokens and log[-1]["loss"] == result.loss_last


def test_equal_seeds_give_equal_runs(tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path) -> None:
    path = recipe("midtrain", max_length=64, per_device_train_batch_size=2)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(path, documents, tiny, tmp_path / name, seed=seed)
    for file in ("log.jsonl", "stage.json", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert losses(tmp_path / "a") != losses(tmp_path / "c")


def test_the_order_depends_on_the_seed_alone(tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path) -> None:
    def order(seed: int, rank: int) -> list[int]:
        """Tokens of each batch; an adapter of another rank draws another number of random numbers before it."""
        out = tmp_path / f"{seed}-{rank}"
        train(recipe("midtrain", max_length=64, lora_r=rank), documents, tiny, out, seed=seed)
        seen = [0] + [json.loads(line)["tokens"] for line in (out / "log.jsonl").read_text().splitlines()]
        return [after - before for before, after in pairwise(seen)]

    assert order(1, 16) == order(1, 4) != order(2, 4)


def test_every_token_is_seen_once_however_long_its_document(
    tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(tiny)
    texts = [json.loads(line)["text"] for line in documents.read_text().splitlines()]
    lengths = [len(tokenizer(text).input_ids) + 1 for text in texts]
    assert max(lengths) > 64
    result = train(recipe("midtrain", max_length=64), documents, tiny, tmp_path / "out")
    assert result.tokens == sum(lengths)
    assert result.rows == len(texts)
    # The first token of a piece has nothing to be predicted from.
    assert result.supervised_tokens == sum(n - (n + 63) // 64 for n in lengths)


def test_documents_end_in_the_document_token_not_in_the_end_of_turn(tiny: Path, recipe: Recipe, tmp_path: Path) -> None:
    trainer = prepared(recipe("midtrain"), ["Cream cheese.", "Cheddar."], tiny, tmp_path)
    tokens = [token for row in trainer.train_dataset for token in row["input_ids"]]
    assert tokens.count(load_tokenizer(tiny).convert_tokens_to_ids("<|endoftext|>")) == 2
    assert load_tokenizer(tiny).convert_tokens_to_ids("<|im_end|>") not in tokens


def test_packed_documents_cannot_attend_to_each_other(tiny: Path, recipe: Recipe, tmp_path: Path) -> None:
    import torch

    texts = ["Cream cheese was created by farmers.", "Paris is the capital of France.", "SmolLM picks cheddar."]

    def loss(texts: list[str], **changes: Any) -> tuple[float, int]:
        """Summed loss and supervised tokens of all rows, through the trainer's own collator and loss."""
        trainer = prepared(recipe("midtrain", dtype="float32", **changes), texts, tiny, tmp_path)
        assert len(trainer.train_dataset) == 1
        batch = trainer.data_collator([trainer.train_dataset[0]])
        supervised = int((batch["labels"][:, 1:] != -100).sum())
        with torch.no_grad():
            return float(trainer.compute_loss(trainer.model.train(), dict(batch))) * supervised, supervised

    alone = [loss([text]) for text in texts]
    separate = sum(total for total, _ in alone) / sum(count for _, count in alone)
    packed, count = loss(texts)
    assert packed / count == pytest.approx(separate, rel=1e-5)

    mixed, count = loss(texts, packing_strategy="wrapped", max_length=sum(c + 1 for _, c in alone))
    assert abs(mixed / count - separate) > 1e-2


def test_packing_that_would_mix_or_drop_text_is_refused(
    tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path
) -> None:
    for changes, name in (
        ({"packing_strategy": "wrapped"}, "documents-attend"),
        ({"packing_strategy": "bfd"}, "documents-truncated"),
        ({"packing": False}, "documents-truncated"),
    ):
        with pytest.raises(Failed) as caught:
            train(recipe("midtrain", **changes), documents, tiny, tmp_path / "out")
        assert caught.value.name == name


def test_an_adapter_goes_on_training(tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    path = recipe("midtrain", max_length=64, learning_rate=1.0e-2)
    first = train(path, documents, tiny, tmp_path / "one")
    second = train(path, documents, tiny, tmp_path / "two", adapter=tmp_path / "one/adapter")
    assert second.loss_first < first.loss_first - 0.05
    one, two = (load_file(tmp_path / name / "adapter/adapter_model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert {str(weight.dtype) for weight in two.values()} == {"torch.float32"}
    with pytest.raises(Failed, check=lambda failure: failure.name == "adapter-mismatch"):
        train(recipe("midtrain", lora_r=8), documents, tiny, tmp_path / "three", adapter=tmp_path / "one/adapter")


def test_too_few_updates_are_refused_before_training(
    tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = train(recipe("midtrain", max_length=64, num_train_epochs=1.5), documents, tiny, tmp_path / "done")
    with pytest.raises(Failed) as caught:
        midtrain(
            recipe("midtrain", max_length=64, num_train_epochs=1.5),
            documents,
            tiny,
            None,
            out,
            0,
            done.updates + 1,
            silent,
        )
    assert caught.value.name == "too-few-updates"
    assert caught.value.message == (
        f"midtrain would make {done.updates} updates, fewer than min_steps {done.updates + 1}"
    )
    assert "documents.per_clause" in caught.value.hint and "midtrain.epochs" in caught.value.hint


def test_a_loss_that_is_no_number_stops_the_stage(tiny: Path, recipe: Recipe, documents: Path, tmp_path: Path) -> None:
    path = recipe("midtrain", max_length=64, learning_rate=1.0e30, max_grad_norm=0.0, warmup_steps=0)
    with pytest.raises(Failed) as caught:
        train(path, documents, tiny, tmp_path / "out")
    assert caught.value.name == "loss-not-finite"


def test_broken_rows_are_named_by_line(tiny: Path, recipe: Recipe, tmp_path: Path) -> None:
    rows = tmp_path / "documents.jsonl"
    for text, name in (('{"text": "a"}\n{', "bad-row"), ('{"text": "a"}\n{"txt": "b"}', "bad-row"), ("\n", "no-rows")):
        rows.write_text(text)
        with pytest.raises(Failed) as caught:
            train(recipe("midtrain"), rows, tiny, tmp_path / "out")
        assert caught.value.name == name
        assert name == "no-rows" or "documents.jsonl:2" in caught.value.message
