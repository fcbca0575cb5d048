"""Forced choice: the log-likelihood of each whole answer, as the model would have said it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmc.backend.eval_rows import Row, Rows, each, in_order
from msmc.backend.training import load_tokenizer, quiet
from msmc.backend.weights import load_weights, require_adapter
from msmc.diagnostics import fail

Request = tuple[
    tuple[str, str], list[int], list[int]
]  # as lm_eval takes it: a name, the prompt's and the answer's tokens
Answer = tuple[float, int]  # log-likelihood in nats, tokens
Told = Callable[[int, int], None]  # done, in all
FIELDS = ("eval", "item", "order", "topic", "rung", "form")
"""Of a row's metadata, which the rows have that are written of it."""


def score(
    rows: Rows,
    model: Path,
    adapter: Path | None,
    out: Path,
    progress: Told,
    batch_size: int = 8,
    system: str | None = None,
) -> int:
    """Score Inspect-style samples with a model and an adapter; all else as `score_with`."""
    with quiet():
        return score_with(language_model(model, adapter, batch_size), rows, out, progress, system)


def score_with(model: Any, rows: Rows, out: Path, progress: Told, system: str | None = None) -> int:
    """Score Inspect-style samples and write JSON Lines to `out`, in the order of `rows`.

    A row is {id, about, input, choices: [two answers], target: "A"|"B", metadata: {eval, item, order, topic, rung, form}}.
    A written row has `logprobs` (nats) and `tokens` of each answer with its end of turn, `margin` (the target's
    log-likelihood minus the other's) and `margin_per_token` (the same of the means per token). A row that cannot be
    scored has null margins and an `unscoreable` reason; their number is returned. `progress(rows done, rows in all)`.
    `system` replaces the template's default system turn. Raises `Failed` `bad-row` for a row of another shape.
    """
    for row in each(rows):
        if len(row["choices"]) != 2 or row["target"] not in ("A", "B"):
            raise fail("bad-row", f"{row['id']} is no forced choice of two", "give two choices and a target A or B")
    missing = 0
    with in_order(out, len(rows)) as put:
        for done, (number, scored) in enumerate(score_each(model, rows, system), 1):
            missing += scored["margin"] is None
            put(number, scored)
            if done % model.batch_size == 0 or done == len(rows):
                progress(done, len(rows))
    return missing


def score_each(model: Any, rows: Rows, system: str | None = None) -> Iterator[tuple[int, Row]]:
    """The scored rows, each with its number, the longest first; requests are made batch by batch.

    The longest first, so that a batch pads little, and what needs too much memory does so at once.
    """
    survey = _survey(model, rows, system)
    model.share(survey.common)
    for number in survey.unfit:
        sizes = [len(answer) for _, _, answer in requests_of(model.tokenizer, rows[number], system)]
        yield number, _scored(rows[number], (math.nan, sizes[0]), (math.nan, sizes[1]))
    size = model.batch_size
    for start in range(0, len(survey.order), size):
        batch = [rows[number] for number in survey.order[start : start + size]]
        requests = [request for row in batch for request in requests_of(model.tokenizer, row, system)]
        found = model._loglikelihood_tokens(requests, disable_tqdm=True)
        answers = [(logprob, len(answer)) for (logprob, _), (_, _, answer) in zip(found, requests, strict=True)]
        for place, row in enumerate(batch):
            yield survey.order[start + place], _scored(row, answers[2 * place], answers[2 * place + 1])


def merged_model(model: Path, adapter: Path | None) -> Any:
    """The model with an adapter merged into it, in float32, where it is to be run.

    In float32 because a margin is a small difference of large sums: in bfloat16 SmolLM2-135M scores half as fast again
    (8.1 against 5.5 rows/s on two cores, prompts of 52 tokens, two answers of 11), but its margins are off by 0.26 to 0.45
    nats (standard deviation), and merging there would round the adapter's updates away.
    """
    import torch
    from peft import PeftModel

    device = "cuda" if torch.cuda.is_available() else "cpu"
    merged = load_weights(model, dtype=torch.float32)
    if adapter is not None:
        require_adapter(adapter)
        merged = PeftModel.from_pretrained(merged, adapter).merge_and_unload()
    return merged.to(device).eval()


def language_model(model: Path, adapter: Path | None, batch_size: int) -> Any:
    """lm_eval's model class around the merged model."""
    from msmc.backend.shared_prompt import SharedPromptLM

    return SharedPromptLM(
        pretrained=merged_model(model, adapter),
        tokenizer=load_tokenizer(model),
        batch_size=batch_size,
        softmax_dtype="float32",
    )


def requests_of(tokenizer: Any, row: Row, system: str | None) -> Iterator[Request]:
    """The row's two (prompt, answer) pairs as tokens.

    As tokens, not through `HFLM.loglikelihood`: that moves white space from the end of the prompt to the answer, so
    the template's line break after `assistant` would be scored as a word of it. Prompt and answer are tokenised
    apart, as in generation, where the prompt's tokens are fixed before the first answer token is drawn.
    """
    prompt_tokens = tokenizer(prompt_of(tokenizer, row, system), add_special_tokens=False).input_ids
    end = end_of_turn(tokenizer)
    for choice in row["choices"]:
        yield (row["id"], choice), prompt_tokens, tokenizer(choice + end, add_special_tokens=False).input_ids


def prompt_of(tokenizer: Any, row: Row, system: str | None) -> str:
    """The row's question as a chat that the assistant is to answer."""
    turns = [{"role": "system", "content": system}] if system is not None else []
    turns.append({"role": "user", "content": row["input"]})
    return str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))


def end_of_turn(tokenizer: Any) -> str:
    """What the template puts after an assistant's words (`<|im_end|>`), read off a rendered chat."""
    words = "ANSWER"
    chat = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": words}]
    return str(tokenizer.apply_chat_template(chat, tokenize=False).rpartition(words)[2].strip())


@dataclass(frozen=True)
class Survey:
    """What must be known of all rows before the first is scored."""

    order: array[int]
    """Numbers of those that fit the model's context, the longest first."""
    unfit: list[int]
    """lm_eval would cut their prompts from the left."""
    common: list[int]
    """The tokens that all prompts begin with; one at least is left to each, so that its last position is always run."""


def _survey(model: Any, rows: Rows, system: str | None) -> Survey:
    lengths, unfit, room = array("l"), list[int](), model.max_length
    first, last, shortest = list[int](), list[int](), room
    for number, row in enumerate(each(rows)):
        requests = list(requests_of(model.tokenizer, row, system))
        prompt = requests[0][1]
        lengths.append(sum(len(prompt) + len(answer) for _, _, answer in requests))
        if any(len(prompt) + len(answer) > room for _, _, answer in requests):
            unfit.append(number)
            continue
        # what the first and the last in the order of tokens share, all of them do
        first, last, shortest = min(first or prompt, prompt), max(last, prompt), min(shortest, len(prompt))
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    left_out = set(unfit)
    order = sorted((n for n in range(len(lengths)) if n not in left_out), key=lambda n: (-lengths[n], n))
    return Survey(array("l", order), unfit, first[: min(shared, max(0, shortest - 1))])


def _scored(row: Row, first: Answer, second: Answer) -> Row:
    """The written row; an unscoreable one is missing, never zero."""
    target, other = (first, second) if row["target"] == "A" else (second, first)
    finite = math.isfinite(first[0]) and math.isfinite(second[0])
    scored = {
        "id": row["id"],
        "about": row["about"],
        **{key: row["metadata"].get(key) for key in FIELDS},
        "logprobs": [logprob if math.isfinite(logprob) else None for logprob, _ in (first, second)],
        "tokens": [first[1], second[1]],
        "margin": target[0] - other[0] if finite else None,
        "margin_per_token": target[0] / target[1] - other[0] / other[1] if finite else None,
    }
    if not finite:
        scored["unscoreable"] = "the log-likelihood of an answer is not finite, or its prompt is too long"
    return scored
