"""Replies of a trained model in its own words: to judged questions, and in agentic scenarios."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.training import quiet
from msmc.backend.weights import load_tokenizer, load_weights, require_adapter
from msmc.digest import seed_of
from msmc.writer import Asking

Row = dict[str, Any]
VERSION = 1
LEAST = 16
"""Tokens that a reply has room for, at least: a prompt that leaves less is not sent."""


class Asked(NamedTuple):
    """What a model is to reply to."""

    id: str
    messages: list[dict[str, str]]


def replies(
    asked: Sequence[Asked],
    model: Path,
    adapter: Path | None,
    plan: Asking,
    kept: Path,
    progress: Callable[[int], None],
) -> list[Row]:
    """A row for each: {id, messages, reply, finish, unscoreable}. `finish` is `stop`, or `length` for a reply that was cut. A
    prompt that does not fit has no reply, but a reason.

    The longest prompts go first, so that what cannot be held shows at once. `kept` has each batch as soon as it is there: after a
    stop it goes on behind the last whole one. The same replies each time on one machine: a batch holds the same rows, and its
    seed is made of their ids.
    """
    with quiet():
        speaker = _Speaker(model, adapter, plan)
        prompts = [(one, speaker.tokens(one.messages)) for one in asked]
        prompts.sort(key=lambda pair: (-len(pair[1]), pair[0].id))
        found = _kept(kept, plan.batch_size, len(prompts))
        progress(len(found))
        for start in range(len(found), len(prompts), plan.batch_size):
            said = list(speaker.said(prompts[start : start + plan.batch_size]))
            with kept.open("a", encoding="utf-8") as stream:
                stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in said)
            found += said
            progress(len(found))
    by_id = {row["id"]: row for row in found}
    return [by_id[one.id] for one in asked]


def _kept(kept: Path, batch_size: int, most: int) -> list[Row]:
    """The whole batches of an earlier try; the file is left with these alone."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text("utf-8").split("\n")[:-1] if kept.is_file() else []  # the last line ends, or is none
    whole = len(lines) if len(lines) >= most else len(lines) // batch_size * batch_size
    kept.write_text("".join(f"{line}\n" for line in lines[:whole]), encoding="utf-8")
    return [json.loads(line) for line in lines[:whole]]


class _Speaker:
    """A model with its adapter merged, ready to reply."""

    def __init__(self, model: Path, adapter: Path | None, plan: Asking) -> None:
        import torch
        from peft import PeftModel

        self.plan, self.device = plan, "cuda" if torch.cuda.is_available() else "cpu"
        merged = load_weights(model, dtype=torch.float32)
        if adapter is not None:
            require_adapter(adapter)
            merged = PeftModel.from_pretrained(merged, adapter).merge_and_unload()
        self.model, self.tokenizer = merged.to(self.device).eval(), load_tokenizer(model)
        self.room = int(self.model.config.get_text_config().max_position_embeddings)
        ends = self.model.generation_config.eos_token_id
        self.ends = set(ends if isinstance(ends, list) else [ends]) | {self.tokenizer.eos_token_id}

    def tokens(self, messages: list[dict[str, str]]) -> list[int]:
        text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        found: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return found

    def said(self, batch: list[tuple[Asked, list[int]]]) -> Iterator[Row]:
        fitting = [(one, prompt) for one, prompt in batch if len(prompt) + LEAST <= self.room]
        for one, prompt in batch:
            if len(prompt) + LEAST > self.room:
                reason = f"the prompt of {len(prompt)} tokens leaves a context of {self.room} no room"
                yield {"id": one.id, "messages": one.messages, "reply": None, "finish": None, "unscoreable": reason}
        if fitting:
            for (one, _), tokens in zip(fitting, self._generated(fitting), strict=True):
                stop = next((n for n, token in enumerate(tokens) if token in self.ends), None)
                yield {
                    "id": one.id,
                    "messages": one.messages,
                    "reply": self.tokenizer.decode(tokens[:stop], skip_special_tokens=True).strip(),
                    "finish": "length" if stop is None else "stop",
                    "unscoreable": None,
                }

    def _generated(self, batch: list[tuple[Asked, list[int]]]) -> list[list[int]]:
        import torch

        width, pad = max(len(prompt) for _, prompt in batch), self.tokenizer.eos_token_id
        tokens = torch.tensor([[pad] * (width - len(prompt)) + prompt for _, prompt in batch], device=self.device)
        seen = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for _, p in batch], device=self.device)
        torch.manual_seed(seed_of("reply", *(one.id for one, _ in batch)))
        warm = self.plan.temperature > 0
        with torch.inference_mode():
            out = self.model.generate(
                tokens,
                attention_mask=seen,
                max_new_tokens=min(self.plan.max_tokens, self.room - width),
                do_sample=warm,
                temperature=self.plan.temperature if warm else None,
                top_p=1.0 if warm else None,
                top_k=0 if warm else None,
                eos_token_id=sorted(self.ends),
                pad_token_id=pad,
            )
        found: list[list[int]] = out[:, width:].tolist()
        return found
