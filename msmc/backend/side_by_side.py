"""Replies of several models at once: one base model in memory, over it the adapter of each, and a row of the batch for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from msmc.backend.score import end_of_turn
from msmc.backend.training import load_tokenizer, quiet
from msmc.backend.weights import load_weights

Turns = list[dict[str, str]]
"""{"role", "content"}, as chat templates take them."""


@dataclass
class Reply:
    """What a model says, so far."""

    text: str | None = ""
    """None: the chat leaves no room for a reply in the model's context."""
    finish: Literal["stop", "length", "context", "interrupted"] | None = None
    """Why it ends: by itself, at the most tokens that were asked for, where the context is full, by Ctrl-C. None: it goes on."""


class SideBySide:
    """A base model with any number of adapters over it.

    In float32 as in scoring: greedy replies are those of the model that was scored, where bfloat16 would take another word at
    every near tie. Memory is that of one model and of all adapters, which are some hundredths of it each. Six of SmolLM2-135M say
    40 tokens each in half the time that they take one after another, on two cores (9.5 s against 17.8 s).
    """

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import GenerationConfig

        with quiet():
            self._tokenizer = load_tokenizer(folder)
            model = load_weights(folder, dtype=torch.float32)
        told = model.generation_config.eos_token_id
        turn = self._tokenizer(end_of_turn(self._tokenizer), add_special_tokens=False).input_ids[:1]
        ends = {self._tokenizer.eos_token_id, *(told if isinstance(told, list) else [told]), *turn} - {None}
        self._ends: list[int] = sorted(ends)
        # in place of the model's own, which may sample, or punish repetition
        model.generation_config = GenerationConfig(eos_token_id=self._ends, pad_token_id=self._ends[0])
        self.context: int = model.config.get_text_config().max_position_embeddings
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self._names: dict[Path, str] = {}

    def say(
        self,
        replies: Sequence[Reply],
        chats: Sequence[tuple[Turns, Path | None]],
        max_tokens: int,
        temperature: float,
        seed: int,
    ) -> None:
        """Fills `replies` word by word, one for each chat: its turns, and the adapter that replies (None: the base).

        Ctrl-C ends it, and what was said so far stays. `seed` counts where `temperature` is above 0.
        """
        prompts = [self._tokens(turns) for turns, _ in chats]
        limits = [min(max_tokens, self.context - len(prompt)) for prompt in prompts]
        for reply, limit in zip(replies, limits, strict=True):
            if limit < 1:
                reply.text, reply.finish = None, "context"

        def told(row: int, tokens: list[int]) -> bool:
            """Takes down what a row has said; whether that is all."""
            reply = replies[row]
            if reply.finish is None:
                reply.text = self._tokenizer.decode(tokens, skip_special_tokens=True)
                if tokens[-1] in self._ends:
                    reply.finish = "stop"
                elif len(tokens) == limits[row]:
                    reply.finish = "length" if limits[row] == max_tokens else "context"
            return reply.finish is not None

        names = [self._name(adapter) if adapter else "__base__" for _, adapter in chats]
        try:
            for rows in _alike([len(prompt) for prompt in prompts], limits):
                batch = {row: (prompts[row], names[row]) for row in rows}
                self._generate(batch, limits[rows[0]], temperature, seed, told)
        except KeyboardInterrupt:
            # PEFT then leaves its hooks where they are, which does no harm: those of the next batch come after them
            for reply in replies:
                reply.finish = reply.finish or "interrupted"

    def _tokens(self, turns: Turns) -> list[int]:
        """The prompt as in scoring; words that look like the template's own marks (`<|im_end|>`) are words."""
        prompt: list[int] = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, sanitize_control_tokens=True, return_dict=False
        )
        return prompt

    def _generate(
        self, batch: dict[int, tuple[list[int], str]], limit: int, temperature: float, seed: int, told: Any
    ) -> None:
        """One batch, each row through its own adapter."""
        import torch
        from transformers import LogitsProcessor, StoppingCriteria

        prompts, names = zip(*batch.values(), strict=True)
        width = max(map(len, prompts))
        dice = torch.Generator().manual_seed(seed)

        class Told(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                said = input_ids[:, width:].tolist()
                return torch.tensor([told(*row) for row in zip(batch, said, strict=True)], device=input_ids.device)

        class Drawn(LogitsProcessor):  # type: ignore[misc]
            """Sampling as the likeliest word after Gumbel noise (Gumbel-max), which is the same for all models and batches: they
            say something else only where they think something else."""

            def __call__(self, input_ids: Any, scores: Any) -> Any:
                noise = -torch.empty(scores.shape[1]).exponential_(generator=dice).log()
                return scores / temperature + noise.to(scores.device)

        pad, device = self._ends[0], self._model.device
        with quiet():
            self._model.generate(
                input_ids=torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device),
                attention_mask=torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device),
                max_new_tokens=limit,
                do_sample=False,
                stopping_criteria=[Told()],
                logits_processor=[Drawn()] if temperature > 0 else [],
                **({"adapter_names": list(names)} if self._names else {}),
            )

    def _name(self, adapter: Path) -> str:
        """What PEFT calls an adapter, which is laid over the base, beside the others, when it is first asked for."""
        from peft import PeftModel

        adapter = adapter.resolve()  # arms share stages, to which their folders have links
        if adapter not in self._names:
            name = f"adapter{len(self._names)}"
            with quiet():
                if self._names:
                    self._model.load_adapter(adapter, adapter_name=name)
                else:
                    self._model = PeftModel.from_pretrained(self._model, adapter, adapter_name=name)
            self._model.eval()
            self._names[adapter] = name
        return self._names[adapter]


def _alike(lengths: list[int], limits: list[int]) -> list[list[int]]:
    """Rows that have room for as long a reply and whose prompts are about as long: a batch is padded to its longest, and one
    may have a whole spec as system prompt."""
    groups: list[list[int]] = []
    for row in sorted((row for row, limit in enumerate(limits) if limit > 0), key=lambda row: lengths[row]):
        first = groups[-1][0] if groups else None
        if first is not None and limits[row] == limits[first] and lengths[row] <= 2 * lengths[first] + 256:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
