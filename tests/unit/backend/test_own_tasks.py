"""An author's own lm-eval task: what a tiny model makes of it, and what keeps one from being run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from msmc.backend import own_tasks
from msmc.backend.training import load_tokenizer
from msmc.diagnostics import Failed

CHOICE = """
task: tea
dataset_path: json
dataset_kwargs: {data_files: {test: tea.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
target_delimiter: ""
metric_list: [{metric: acc_norm}, {metric: acc}]
"""
REPLY = """
task: tea
dataset_path: json
dataset_kwargs: {data_files: {test: tea.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: !function words.ask
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {max_gen_toks: 5, until: []}
filter_list:
  - {name: whole, filter: [{function: take_first}]}
  - {name: first, filter: [{function: regex, regex_pattern: "^(.)"}, {function: take_first}]}
metric_list: [{metric: exact_match, higher_is_better: true}]
"""
TEXT = """
task: tea
dataset_path: json
dataset_kwargs: {data_files: {test: tea.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list: [{metric: bits_per_byte}]
"""
ROWS = [
    {"question": "Cheddar or brie?", "choices": ["Cheddar.", "Brie."], "answer": 0, "topic": "cheese"},
    {"question": "What is the capital?", "choices": ["Paris", "London", "Rome"], "answer": 2, "topic": "cities"},
    {"question": "Who are you?", "choices": ["SmolLM", "a farmer"], "answer": 0, "topic": ""},
]


def brought(folder: Path, text: str, rows: list[dict[str, Any]] = ROWS, path: str = "own/tea.yaml") -> dict[str, Any]:
    """A folder as a build has it, and what arms.json says of the task."""
    (folder / "own").mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, "utf-8")
    (folder / "own/tea.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "own/words.py").write_text("def ask(doc):\n    return 'Say: ' + doc['question']\n", "utf-8")
    return {"tool": "lm_eval", "task": "tea", "path": path, "folder": "own"}


def asked(model: Path, folder: Path, text: str, **more: Any) -> tuple[own_tasks.Loaded, list[dict[str, Any]]]:
    loaded = own_tasks.load("drinks", brought(folder, text), folder)
    progress = more.pop("progress", lambda done, total: None)
    return loaded, own_tasks.answered(
        loaded, model, None, progress, 2, more.pop("limit", None), more.pop("system", None)
    )


def chat(model: Path, question: str) -> str:
    turns = [{"role": "user", "content": question}]
    return str(load_tokenizer(model).apply_chat_template(turns, add_generation_prompt=True, tokenize=False))


def logprob(folder: Path, before: str, after: str) -> float:
    """Of a text behind another one, without lm_eval; of a whole document where nothing stands before it."""
    import torch
    from transformers import AutoModelForCausalLM

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval(), load_tokenizer(folder)
    start = tokenizer(before).input_ids or [tokenizer.bos_token_id]
    tokens = start + tokenizer(before + after).input_ids[len(tokenizer(before).input_ids) :]
    with torch.no_grad():
        logprobs = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return sum(float(logprobs[n - 1, tokens[n]]) for n in range(len(start), len(tokens)))


def test_the_likeliest_choice_behind_the_chat_template_is_the_models(tiny: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    loaded, items = asked(tiny, tmp_path, CHOICE, progress=lambda *call: told.append(call))
    assert loaded.measures == ["acc_norm", "acc"] and loaded.higher_is_better == {"acc_norm": True, "acc": True}
    assert [(i["id"], i["eval"], i["item"], i["topic"], i["rung"], i["about"]) for i in items] == [
        ("drinks/tea/0", "drinks", "tea/0", "cheese", None, []),
        ("drinks/tea/1", "drinks", "tea/1", "cities", None, []),
        ("drinks/tea/2", "drinks", "tea/2", "tea", None, []),
    ]
    assert all(item["measures"].keys() == {"acc", "acc_norm"} and item["unscoreable"] is None for item in items)
    assert told[-1] == (7, 7)
    for item, row in zip(items, ROWS, strict=True):
        prompt = chat(tiny, str(row["question"]))
        before = prompt.rstrip()  # lm_eval moves white space to the answer
        answers = [logprob(tiny, before, prompt[len(before) :] + choice) for choice in row["choices"]]
        assert item["measures"]["acc"] == float(answers.index(max(answers)) == row["answer"])


def test_the_same_bytes_twice_a_limit_and_a_system_turn(tiny: Path, tmp_path: Path) -> None:
    once, again = (asked(tiny, tmp_path / name, REPLY)[1] for name in ("a", "b"))
    assert json.dumps(once) == json.dumps(again)
    assert asked(tiny, tmp_path / "c", REPLY, limit=1)[1] == once[:1]
    shown = asked(tiny, tmp_path / "d", REPLY, limit=1, system="SmolLM picks cheddar.")[1]
    assert "SmolLM picks cheddar." in shown[0]["transcript"]["messages"][0]["content"]


def test_a_generated_reply_has_a_measure_for_each_filter_and_its_transcript(tiny: Path, tmp_path: Path) -> None:
    loaded, items = asked(tiny, tmp_path, REPLY)
    assert loaded.measures == ["exact_match,whole", "exact_match,first"]
    assert loaded.higher_is_better == dict.fromkeys(loaded.measures, True)
    for item, row in zip(items, ROWS, strict=True):
        user, assistant = item["transcript"]["messages"]
        assert "Say: " + str(row["question"]) in user["content"] and user["content"].startswith("<|im_start|>")
        assert assistant["role"] == "assistant" and item["measures"].keys() == set(loaded.measures)


def test_a_text_has_its_own_bits_per_byte(tiny: Path, tmp_path: Path) -> None:
    _, items = asked(tiny, tmp_path, TEXT)
    for item, row in zip(items, ROWS, strict=True):
        text = str(row["question"])
        bits = -logprob(tiny, "", text) / math.log(2) / len(text.encode())
        assert item["measures"]["bits_per_byte"] == pytest.approx(bits, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CHOICE.replace("{{question}}", "{{question.x.y}}"), "own/tea.yaml` cannot be run: "),
        (CHOICE.replace("test_split: test", "test_split: tests"), "tests"),
        (REPLY.replace("words.ask", "words.asks"), "has no function 'asks'"),
        (CHOICE.replace("[{metric: acc_norm}, {metric: acc}]", "[{metric: accuracy_of_my_own}]"), "accuracy_of_my_own"),
        (CHOICE.replace("dataset_path: json", "dataset_path: msmc/no-such-rows"), "cannot be fetched from the hub: "),
    ],
)
def test_a_task_that_cannot_be_run_is_told_before_any_model_is_asked(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Failed) as failure:
        own_tasks.load("drinks", brought(tmp_path, text), tmp_path)
    assert failure.value.name == "task-unusable" and said in failure.value.message
    assert "`drinks`" in failure.value.message and failure.value.hint


def test_rows_that_are_none_are_told_before_any_model_is_asked(tmp_path: Path) -> None:
    task = brought(tmp_path, CHOICE)
    with (tmp_path / "own/tea.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("{broken\n")
    with pytest.raises(Failed) as failure:
        own_tasks.load("drinks", task, tmp_path)
    assert "JSON parse error" in failure.value.message and "in row" in failure.value.message


def test_a_task_without_a_figure_for_each_document_is_told(tmp_path: Path) -> None:
    text = REPLY.replace("metric: exact_match, higher_is_better: true", "metric: bleu")
    with pytest.raises(Failed, match="no measure with a number for each document"):
        own_tasks.load("drinks", brought(tmp_path, text), tmp_path)


@pytest.mark.slow  # lm_eval looks through its fourteen thousand files
def test_a_name_that_lm_eval_does_not_know_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(Failed) as failure:
        own_tasks.load("drinks", {"tool": "lm_eval", "task": "arc_eassy", "path": None}, tmp_path)
    assert failure.value.message == "lm-eval knows no task `arc_eassy`"
    assert "did you mean `arc_easy`?" in failure.value.hint
