"""What a model lost besides what it was to learn: measured on a tiny model, judged against the base model item by item."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from msmc.backend.guard import MOST_TOKENS, PASSAGES, Item, drops_of_run, guard, guard_drops, guard_lines
from msmc.backend.training import load_tokenizer

THRESHOLDS = {"loss": 0.1, "instructions": 0.1, "tasks": 0.1}


def ask(model: Path, adapter: Path | None = None, prompts: int = 4, **more: Any) -> list[Item]:
    return guard(model, adapter, prompts, more.pop("progress", lambda done, total: None), **more)


@pytest.fixture(scope="module")
def asked(tiny: Path) -> list[Item]:
    return ask(tiny)


def noised(model: Path, folder: Path, scale: float) -> Path:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    torch.manual_seed(0)
    weights = load_file(folder / "model.safetensors")
    weights = {name: weight + scale * torch.randn_like(weight) for name, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_the_loss_of_a_passage_is_that_of_a_document_by_itself(tiny: Path, asked: list[Item]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny, dtype="float32").eval(), load_tokenizer(tiny)
    texts = {text["topic"]: text["text"] for text in yaml.safe_load(PASSAGES.read_text("utf-8"))}
    losses = {item["topic"]: item["measures"] for item in asked if "loss" in item["measures"]}
    assert losses.keys() == texts.keys() and len(texts) == 24
    compared = 0
    for topic, text in texts.items():
        tokens = tokenizer(text).input_ids
        if len(tokens) >= 256:  # lm_eval reads longer ones in windows, as the tiny model's context asks for
            continue
        with torch.no_grad():
            logits = model(torch.tensor([[tokenizer.bos_token_id, *tokens]])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens)).item()
        assert losses[topic]["loss"] == pytest.approx(loss, abs=1e-4)
        assert losses[topic]["loss_per_byte"] == pytest.approx(loss * len(tokens) / len(text.encode()), abs=1e-4)
        compared += 1
    assert compared


def test_a_reply_is_what_the_model_greedily_says_behind_its_chat_template(tiny: Path, asked: list[Item]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny, dtype="float32").eval(), load_tokenizer(tiny)
    told = [item for item in asked if "followed" in item["measures"]]
    assert len(told) == 4
    for item in told:
        user, assistant = item["transcript"]["messages"]
        assert (user["role"], assistant["role"]) == ("user", "assistant") and item["measures"]["followed"] in (0, 1)
        prompt = tokenizer.apply_chat_template(
            [user], add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        with torch.no_grad():
            out = model.generate(**prompt, max_new_tokens=MOST_TOKENS, do_sample=False)
        said = tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)
        assert assistant["content"] == said


def test_it_repeats_itself_to_the_byte_and_counts_as_it_goes(tiny: Path, asked: list[Item]) -> None:
    told: list[tuple[int, int]] = []
    again = ask(tiny, progress=lambda *call: told.append(call))
    assert json.dumps(again) == json.dumps(asked)
    assert told == [(n, 28) for n in range(1, 29)]


def test_a_broken_model_is_beyond_and_the_same_model_is_not(tiny: Path, asked: list[Item], tmp_path: Path) -> None:
    worse = ask(noised(tiny, tmp_path / "worse", 0.3))
    loss, _ = guard_drops(asked, worse, THRESHOLDS)
    assert loss["what"] == "loss" and loss["beyond"] and loss["low"] > 0.1 and loss["n"] == 24
    loss, replies = guard_drops(asked, asked, THRESHOLDS)
    assert not loss["beyond"] and loss["drop"] == loss["low"] == loss["high"] == 0
    assert not replies["beyond"] and replies["drop"] == 0 and replies["low"] < 0 < replies["high"], (
        "few prompts show little"
    )


def test_a_model_without_finite_weights_has_no_figures_and_is_beyond(
    tiny: Path, asked: list[Item], tmp_path: Path
) -> None:
    nothing = ask(noised(tiny, tmp_path / "nan", float("nan")), prompts=0)
    assert all(item["measures"] == {"loss": None, "loss_per_byte": None} and item["unscoreable"] for item in nothing)
    assert "NaN" not in json.dumps(nothing)
    loss, replies = guard_drops(asked, nothing, THRESHOLDS)
    assert loss["beyond"] and loss["drop"] is None and loss["missing"] == 24
    assert replies["beyond"] and replies["missing"] == 4, "of items that are not there nothing is known"


def test_a_prompt_that_does_not_fit_is_missing_and_never_failed(tiny: Path, asked: list[Item]) -> None:
    shown = ask(tiny, system="SmolLM picks cheddar. " * 40)
    told = [item for item in shown if "followed" in item["measures"]]
    assert all(item["measures"]["followed"] is None and "longer than" in item["unscoreable"] for item in told)
    assert shown[:24] == asked[:24], "passages stand by themselves"


# ---- what is made of it ------------------------------------------------------------------------------------------------


def items(losses: list[float | None], followed: list[float | None]) -> list[Item]:
    told = [("text", {"loss": loss}) for loss in losses] + [("asked", {"followed": f}) for f in followed]
    return [{"item": f"{kind}{n}", "topic": f"{kind}{n % 3}", "measures": m} for n, (kind, m) in enumerate(told)]


def test_a_drop_is_a_rise_of_the_loss_or_a_fall_of_the_rate_of_the_same_items() -> None:
    base = items([3.0, 2.0, 4.0], [1, 1, 0, 1])
    loss, followed = guard_drops(base, items([3.3, 2.1, 4.2], [0, 1, 1, 0]), THRESHOLDS)
    assert loss["drop"] == pytest.approx(0.2) and loss["beyond"] and loss["low"] < 0.2 < loss["high"]
    assert (loss["base"], loss["model"]) == (3.0, 3.2)
    assert followed["drop"] == pytest.approx(0.25) and followed["beyond"] and followed["low"] < 0
    better = guard_drops(base, items([2.0, 1.0, 3.0], [1, 1, 1, 1]), THRESHOLDS)
    assert [drop["drop"] for drop in better] == [-1.0, -0.25] and not any(drop["beyond"] for drop in better)


def test_what_one_of_the_two_cannot_be_asked_is_left_out_of_both_and_counted() -> None:
    base = items([3.0, 2.0, None], [None, None])
    (loss,) = guard_drops(base, items([3.05, None, 9.0], [1, 1]), THRESHOLDS)
    assert (loss["n"], loss["missing"], loss["base"], loss["beyond"]) == (1, 1, 3.0, False)


def test_lines_name_each_drop_beyond_its_threshold_or_say_that_there_is_none() -> None:
    run = {"run": "full", "seed": 1}
    base = items([3.0, 2.0, 4.0], [1, 1, 0, 1])
    bad = [run | drop for drop in guard_drops(base, items([3.3, 2.1, 4.2], [0, 1, 1, 0]), THRESHOLDS)]
    assert [line for line, warning in guard_lines(bad) if warning] == [
        "Guard: full (seed 1) has a loss of 3.20 against the base model's 3.00 on neutral text, a rise of 0.20 [-0.05 0.45] "
        "nats a token, which may be none (n 3, permitted 0.1).",
        "Guard: full (seed 1) follows 0.50 against the base model's 0.75 of the instructions, a fall of 0.25 [-1.00 1.00], "
        "which may be none (n 4, permitted 0.1).",
    ]
    good = [run | drop for drop in guard_drops(base, items([3.05, 2.05, 4.05], [1, 1, 0, 1]), THRESHOLDS)]
    assert guard_lines(good) == [
        ("Guard: no model lost more than the target permits (loss +0.05 at worst, in full; "
         "instructions followed +0.00 at worst, in full).", False)
    ]  # fmt: skip
    gone = [run | drop for drop in guard_drops(base, items([None] * 3, [1, 1, 0, 1]), THRESHOLDS)]
    assert guard_lines(gone) == [
        ("Guard: full (seed 1) has no figure for loss any more: none of 3 items can be scored.", True)
    ]
    assert guard_lines([]) == []


# ---- own tasks ---------------------------------------------------------------------------------------------------------


def run_with_a_quiz(folder: Path, values: tuple[list[float], list[float]], tasks: Any, better: dict[str, bool]) -> Any:
    """What the model of a run lost in an own task, by its stage's files: the base model's values, and its own."""
    (folder / "lm_eval-quiz").mkdir(parents=True)
    for name, of in zip(("base.jsonl", "items.jsonl"), values, strict=True):
        told = [{"item": f"quiz/{n}", "topic": f"{n % 3}", "measures": {"acc": value}} for n, value in enumerate(of)]
        (folder / "lm_eval-quiz" / name).write_text("".join(json.dumps(item) + "\n" for item in told), "utf-8")
    stage = {"kind": "lm_eval", "eval": "quiz", "primary_measure": "acc", "higher_is_better": better}
    target = {"evaluate": {"guard": THRESHOLDS | {"tasks": tasks}}}
    return drops_of_run(
        folder, {"run": {"name": "full"}, "seed": 1, "stages": {"lm_eval-quiz": stage}, "target": target}
    )


KNOWN, FORGOTTEN = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]


def test_an_own_task_that_fell_beyond_its_threshold_is_told_as_the_guards_own_figures_are(tmp_path: Path) -> None:
    (drop,) = run_with_a_quiz(tmp_path, (KNOWN, FORGOTTEN), 0.1, {"acc": True})
    assert (drop["run"], drop["seed"], drop["what"], drop["eval"], drop["measure"]) == (
        "full",
        1,
        "quiz",
        "quiz",
        "acc",
    )
    assert drop["drop"] == 0.5 and drop["beyond"] and (drop["base"], drop["model"]) == (0.833333, 0.333333)
    ((line, warns),) = guard_lines([drop])
    assert warns and line.startswith(
        "Guard: full (seed 1) has 0.33 against the base model's 0.83 in acc of quiz, a fall of 0.50 ["
    )
    assert "permitted 0.1" in line


@pytest.mark.parametrize("tasks", [0.6, {"quiz": 0.5}])
def test_within_its_threshold_it_is_told_at_worst(tmp_path: Path, tasks: Any) -> None:
    (drop,) = run_with_a_quiz(tmp_path, (KNOWN, FORGOTTEN), tasks, {"acc": True})
    assert guard_lines([drop]) == [
        ("Guard: no model lost more than the target permits (quiz acc -0.50 at worst, in full).", False)
    ]


def test_whether_more_is_better_is_the_tasks_to_say(tmp_path: Path) -> None:
    (better,) = run_with_a_quiz(tmp_path / "a", (KNOWN, FORGOTTEN), 0.1, {"acc": False})
    assert better["drop"] == -0.5 and not better["beyond"], "of an error rate, less is no loss"
    (worse,) = run_with_a_quiz(tmp_path / "b", ([20.0, 30.0], [21.0, 33.0]), {"quiz": 1.0}, {"acc": False})
    assert worse["drop"] == 2 and worse["beyond"]
    assert "has 27.00 against the base model's 25.00 in acc of quiz, a rise of 2.00 [" in guard_lines([worse])[0][0]
    assert run_with_a_quiz(tmp_path / "c", (KNOWN, FORGOTTEN), 0.1, {}) == [], "a direction is never guessed"


def test_where_some_tasks_have_a_threshold_the_others_have_none(tmp_path: Path) -> None:
    assert run_with_a_quiz(tmp_path, (KNOWN, FORGOTTEN), {"sums": 0.1}, {"acc": True}) == []
