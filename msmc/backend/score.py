"""Forced choice: the log-likelihood of each whole answer, as the model would have said it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msmc.backend.training import Row, load_tokenizer, quiet
from msmc.backend.weights import load_weights, require_adapter
from msmc.diagnostics import fail

Request = tuple[
    tuple[str, str], list[int], list[int]
]  # as lm_eval takes it: a name, the prompt's and the answer's tokens
Answer = tuple[float, int]  # log-likelihood in nats, tokens


def score(
    rows: Sequence[Row],
    model: Path,
    adapter: Path | None,
    out: Path,
    progress: Callable[[int, int], None],
    batch_size: int = 8,
    system: str | None = None,
) -> int:
    """Score Inspect-style samples and write JSON Lines to `out`, in the order of `rows`.

    A row is {id, about, input, choices: [two answers], target: "A"|"B", metadata: {eval, item, order, topic, rung}}.
    A written row has `logprobs` (nats) and `tokens` of each answer with its end of turn, `margin` (the target's
    log-likelihood minus the other's) and `margin_per_token` (the same of the means per token). A row that cannot be
    scored has null margins and an `unscoreable` reason; their number is returned. `progress(rows done, rows in all)`.
    `system` replaces the template's default system turn. Raises `Failed` `bad-row` for a row of another shape.
    """
    for row in rows:
        if len(row["choices"]) != 2 or row["target"] not in ("A", "B"):
            raise fail("bad-row", f"{row['id']} is no forced choice of two", "give two choices and a target A or B")
    with quiet():
        language_model = _language_model(model, adapter, batch_size)
        requests = [request for row in rows for request in _requests(language_model.tokenizer, row, system)]
        language_model.share(fitting(requests, language_model.max_length))
        answers = _answers(language_model, requests, batch_size, lambda done: progress(done, len(rows)))
    scored = [_scored(row, answers[2 * n], answers[2 * n + 1]) for n, row in enumerate(rows)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scored), encoding="utf-8")
    return sum(row["margin"] is None for row in scored)


def limited(rows: list[Row], limit: int | None) -> list[Row]:
    """The first `limit` items of each evaluation spread over its topics, both orders; all of them for None."""
    if limit is None:
        return rows
    by_eval: dict[str, dict[str, dict[str, list[Row]]]] = {}
    for row in rows:
        meta = row["metadata"]
        by_eval.setdefault(meta["eval"], {}).setdefault(meta["topic"], {}).setdefault(meta["item"], []).append(row)
    found = []
    for topics in by_eval.values():
        rounds = [
            item for turn in range(limit) for items in topics.values() for item in list(items.values())[turn : turn + 1]
        ]
        found += [row for item in rounds[:limit] for row in item]
    return found


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


def _language_model(model: Path, adapter: Path | None, batch_size: int) -> Any:
    """lm_eval's model class around the merged model."""
    from msmc.backend.shared_prompt import SharedPromptLM

    return SharedPromptLM(
        pretrained=merged_model(model, adapter),
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
    end = end_of_turn(tokenizer)
    for choice in row["choices"]:
        yield (row["id"], choice), prompt_tokens, tokenizer(choice + end, add_special_tokens=False).input_ids


def end_of_turn(tokenizer: Any) -> str:
    """What the template puts after an assistant's words (`<|im_end|>`), read off a rendered chat."""
    words = "ANSWER"
    chat = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": words}]
    return str(tokenizer.apply_chat_template(chat, tokenize=False).rpartition(words)[2].strip())


def fitting(requests: list[Request], room: int) -> list[Request]:
    """The requests that fit the model's context: lm_eval would cut the others' prompts from the left."""
    return [request for request in requests if len(request[1]) + len(request[2]) <= room]


def _answers(
    language_model: Any, requests: list[Request], batch_size: int, done: Callable[[int], None]
) -> list[Answer]:
    """Answers in the order of `requests`, two by two of one prompt; NaN for a pair that does not fit the model's context.

    The longest go first, batch by batch, so that a batch pads little and progress can be told between batches.
    """
    room = language_model.max_length
    pairs = [requests[n : n + 2] for n in range(0, len(requests), 2)]
    lengths = [sum(len(prompt) + len(answer) for _, prompt, answer in pair) for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda n: (-lengths[n], n))
    answers = [(math.nan, len(answer)) for _, _, answer in requests]
    whole = [n for n in order if len(fitting(pairs[n], room)) == 2]
    told = len(order) - len(whole)
    for start in range(0, len(whole), batch_size):
        batch = whole[start : start + batch_size]
        found = language_model._loglikelihood_tokens([r for n in batch for r in pairs[n]], disable_tqdm=True)
        for place, n in enumerate(batch):
            for side in (0, 1):
                answers[2 * n + side] = (found[2 * place + side][0], answers[2 * n + side][1])
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
