"""Forced choice: the log-likelihood of each whole answer, as the model would have said it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msmc.backend.failure import Failure
from msmc.backend.training import Row, load_tokenizer, quiet

# What lm_eval takes: a name for its cache, the prompt's tokens, the answer's tokens.
Request = tuple[tuple[str, str], list[int], list[int]]
Answer = tuple[float, int]  # log-likelihood in nats, tokens


def score(
    rows: Sequence[Row],
    model: Path,
    adapter: Path | None,
    out: Path,
    progress: Callable[[int, int], None],
    batch_size: int = 16,
    system: str | None = None,
) -> int:
    """Score Inspect-style samples and write JSON Lines to `out`, whole or not at all, in the order of `rows`.

    A row is {id, about, input, choices: [two answers], target: "A"|"B", metadata: {eval, item, order, topic, rung}}.
    A written row has `logprobs` (nats) and `tokens` of each answer with its end of turn, `margin` (the target's
    log-likelihood minus the other's) and `margin_per_token` (the same of the means per token). A row that cannot be
    scored has null margins and an `unscoreable` reason; their number is returned. `progress(rows done, rows in all)`.
    `system` replaces the template's default system turn. Raises `Failure` `bad-row` for a row of another shape.
    """
    for row in rows:
        if len(row["choices"]) != 2 or row["target"] not in ("A", "B"):
            raise Failure("bad-row", f"{row['id']} is no forced choice of two", "give two choices and a target A or B")
    with quiet():
        language_model = _language_model(model, adapter, batch_size)
        requests = [request for row in rows for request in _requests(language_model.tokenizer, row, system)]
        answers = _answers(language_model, requests, batch_size, lambda done: progress(done // 2, len(rows)))
    scored = [_scored(row, answers[2 * n], answers[2 * n + 1]) for n, row in enumerate(rows)]
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scored), encoding="utf-8")
    part.replace(out)
    return sum(row["margin"] is None for row in scored)


def _language_model(model: Path, adapter: Path | None, batch_size: int) -> Any:
    """lm_eval's `HFLM` around the merged model, in float32.

    In float32 because a margin is a small difference of large sums: in bfloat16 SmolLM2-135M scores twice as fast (5.9
    against 3.0 to 3.5 items/s on two cores, prompts of 62 tokens, answers of 15; batches of 4 are the fastest), but
    its margins are off by 0.45 nats (standard deviation; 1.3 at most in 48 items), and merging there would round the
    adapter's updates away.
    """
    import torch
    from lm_eval.models.huggingface import HFLM
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    merged = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    if adapter is not None:
        merged = PeftModel.from_pretrained(merged, adapter).merge_and_unload()
    return HFLM(
        pretrained=merged.to(device).eval(),
        tokenizer=load_tokenizer(model),
        batch_size=batch_size,
        softmax_dtype="float32",
    )


def _requests(tokenizer: Any, row: Row, system: str | None) -> Iterator[Request]:
    """The row's two (prompt, answer) pairs as tokens.

    As tokens, not through `HFLM.loglikelihood`: that moves white space from the end of the prompt to the answer, so
    the template's line break after `assistant` would be scored as a word of it. Prompt and answer are tokenised
    apart, as in generation, where the prompt's tokens are fixed before the first answer token is drawn.
    """
    turns = [{"role": "system", "content": system}] if system is not None else []
    turns.append({"role": "user", "content": row["input"]})
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    prompt_tokens = tokenizer(prompt, add_special_tokens=False).input_ids
    end = _end_of_turn(tokenizer)
    for choice in row["choices"]:
        yield (row["id"], choice), prompt_tokens, tokenizer(choice + end, add_special_tokens=False).input_ids


def _end_of_turn(tokenizer: Any) -> str:
    """What the template puts after an assistant's words (`<|im_end|>`), read off a rendered chat."""
    words = "ANSWER"
    chat = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": words}]
    return str(tokenizer.apply_chat_template(chat, tokenize=False).rpartition(words)[2].strip())


def _answers(
    language_model: Any, requests: list[Request], batch_size: int, done: Callable[[int], None]
) -> list[Answer]:
    """Answers in the order of `requests`; NaN for one that does not fit the model's context.

    The longest go first, batch by batch, so that a batch pads little and progress can be told between batches.
    """
    room = language_model.max_length
    lengths = [len(prompt) + len(answer) for _, prompt, answer in requests]
    order = sorted(range(len(requests)), key=lambda n: (-lengths[n], n))
    answers = [(math.nan, len(answer)) for _, _, answer in requests]
    fitting = [n for n in order if lengths[n] <= room]  # HFLM would cut the prompt from the left
    told = len(order) - len(fitting)
    for start in range(0, len(fitting), batch_size):
        batch = fitting[start : start + batch_size]
        found = language_model._loglikelihood_tokens([requests[n] for n in batch], disable_tqdm=True)
        for n, (logprob, _) in zip(batch, found, strict=True):
            answers[n] = (logprob, answers[n][1])
        told += len(batch)
        done(told)
    return answers


def _scored(row: Row, first: Answer, second: Answer) -> Row:
    """The written row; an unscoreable one is missing, never zero."""
    target, other = (first, second) if row["target"] == "A" else (second, first)
    finite = math.isfinite(first[0]) and math.isfinite(second[0])
    scored = {
        "id": row["id"],
        "about": row["about"],
        **{key: row["metadata"].get(key) for key in ("eval", "item", "order", "topic", "rung")},
        "logprobs": [logprob if math.isfinite(logprob) else None for logprob, _ in (first, second)],
        "tokens": [first[1], second[1]],
        "margin": target[0] - other[0] if finite else None,
        "margin_per_token": target[0] / target[1] - other[0] / other[1] if finite else None,
    }
    if not finite:
        scored["unscoreable"] = "the log-likelihood of an answer is not finite, or its prompt is too long"
    return scored
