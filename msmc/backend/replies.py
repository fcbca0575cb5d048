"""Replies of a trained model in its own words: to judged questions, and in agentic scenarios."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from msmc.backend.eval_rows import in_order
from msmc.backend.training import quiet
from msmc.backend.weights import load_tokenizer, load_weights, require_adapter
from msmc.digest import seed_of
from msmc.stored import read_jsonl
from msmc.writer import Asking

Row = dict[str, Any]
VERSION = 2
LEAST = 16
"""Tokens that a reply has room for, at least: a prompt that leaves less is not sent."""


class Asked(NamedTuple):
    """What a model is to reply to."""

    id: str
    messages: list[dict[str, str]]


class Prompts(Protocol):
    """A list of them, or what makes them one by one."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Asked: ...


class Draw(NamedTuple):
    """How replies are drawn."""

    plan: Asking
    seed: int | None
    """The training's; None for the untouched model, whose replies all seeds have in common."""


def replies(
    asked: Prompts,
    model: Path,
    adapter: Path | None,
    draw: Draw,
    kept: Path,
    out: Path,
    progress: Callable[[int], None],
) -> dict[str, int]:
    """Writes a row for each: {id, messages, reply, finish, unscoreable}; how many were whole (`stop`) and cut (`length`). A
    prompt that does not fit has no reply, but a reason.

    The longest prompts go first, so that what cannot be held shows at once. `kept` has each batch as soon as it is there: after a
    stop it goes on behind the last whole one. The same replies each time on one machine: a batch holds the same rows, and its
    seed is made of their ids and of the training's. Prompts are made when they are needed: memory does not grow with them.
    """
    size, number = draw.plan.batch_size, len(asked)
    with quiet():
        speaker = _Speaker(model, adapter, draw)
        tokens = array("q", (len(speaker.tokens(asked[n].messages)) for n in range(number)))
        order = sorted(range(number), key=lambda n: (-tokens[n], n))
        done = _kept(kept, size, number)
        progress(done)
        while done < number:
            batch = [asked[n] for n in order[done : done + size]]
            said = speaker.said([(one, speaker.tokens(one.messages)) for one in batch])
            with kept.open("a", encoding="utf-8") as stream:
                stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in said)
            done += len(batch)
            progress(done)
    counts = {"stop": 0, "length": 0}
    with in_order(out, number) as put:
        for n, row in zip(order, read_jsonl(kept) if number else (), strict=True):
            put(n, row)
            if row["finish"]:
                counts[row["finish"]] += 1
    return counts


def _kept(kept: Path, batch_size: int, most: int) -> int:
    """How many rows there are of an earlier try's whole batches; the file is left with these alone."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.touch()
    with kept.open("r+b") as stream:
        ends = array("q", accumulate(len(line) for line in stream if line.endswith(b"\n")))
        whole = len(ends) if len(ends) >= most else len(ends) // batch_size * batch_size
        stream.truncate(ends[whole - 1] if whole else 0)
    return whole


class _Speaker:
    """A model with its adapter merged, ready to reply."""

    def __init__(self, model: Path, adapter: Path | None, draw: Draw) -> None:
        import torch
        from peft import PeftModel

        self.plan, self.seeds = draw.plan, [] if draw.seed is None else [draw.seed]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
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
        torch.manual_seed(seed_of("reply", *self.seeds, *(one.id for one, _ in batch)))
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
