"""The writer `transformers`: a model of this machine, in msmc's own process; slow, and everywhere where msmc trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import CapReached, Meter, Usage
from msmc.backend.score import end_of_turn
from msmc.backend.training import quiet
from msmc.backend.weights import load_tokenizer, load_weights
from msmc.diagnostics import fail
from msmc.writer import Transformers

Prompted = tuple[Request, list[int]]
"""A request with the tokens of its prompt."""


class TransformersWriter:
    """Replies in batches, each drawn by its row's own seed.

    A row's noise is its own (Gumbel-max, from a generator of its seed), and no row is cut earlier for another. So a reply depends
    on the batch it is in by the last bits of its logits alone, which a batch of another size adds up in another order: it is the
    same but where two tokens are that near to each other. In float32 on a CPU; on a GPU in bfloat16, where they more often are.
    """

    def __init__(self, model: Transformers, folder: Path, meter: Meter) -> None:
        """`folder`: the weights. Raises Failed `model-incomplete`."""
        import torch
        from transformers import GenerationConfig

        self.model, self.meter = model, meter
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with quiet():
            self._tokenizer = load_tokenizer(folder)
            loaded = load_weights(folder, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
        if self._tokenizer.chat_template is None:
            hint = f"name a model that was trained on chats: --set {model.part}.model=NAME"
            raise fail("model-incomplete", f"`{model.title}` has no chat template, so that it cannot be asked", hint)
        told = loaded.generation_config.eos_token_id
        turn = self._tokenizer(end_of_turn(self._tokenizer), add_special_tokens=False).input_ids[:1]
        ends = {self._tokenizer.eos_token_id, *(told if isinstance(told, list) else [told]), *turn} - {None}
        self._ends: list[int] = sorted(ends)
        # in place of the model's own, which may draw in ways of its own, or punish repetition
        loaded.generation_config = GenerationConfig(eos_token_id=self._ends, pad_token_id=self._ends[0])
        self._context = int(loaded.config.get_text_config().max_position_embeddings)
        self._loaded = loaded.to(device).eval()

    def close(self) -> None:
        """Gives the memory back."""
        import torch

        del self._loaded
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def send(self, requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        """Raises CapReached before a cap is passed; what was written is handed on first."""
        held: Prompted | None = None
        while True:
            batch = list[Prompted]()
            while len(batch) < self.model.batch_size and (one := held or self._prompted(next(requests, None))):
                request, prompt = held = one
                most = Usage(len(prompt), 0, self.model.max_tokens)
                if not self.meter.admit(request, most):
                    break
                held = None
                batch.append(one)
            if batch:
                written = self._written(batch)
                for request, reply in written:
                    self.meter.arrived(request, reply)
                yield written
            elif held:
                raise CapReached(most)
            else:
                return

    def _prompted(self, request: Request | None) -> Prompted | None:
        if request is None:
            return None
        messages = [message.model_dump() for message in request.prefix.messages]
        messages.append({"role": "user", "content": request.row.prompt})
        try:  # words that look like the template's own marks (`<|im_end|>`) are words
            tokens: list[int] = self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, sanitize_control_tokens=True, return_dict=False
            )
        except Exception as error:  # a template raises what it likes: mostly it takes no system message
            message = f"the chat template of `{self.model.title}` does not take the prompts"
            hint = f"name another model: --set {self.model.part}.model=NAME"
            raise fail("model-incomplete", message, hint, str(error).split("\n")[0]) from error
        return request, tokens

    def _written(self, batch: list[Prompted]) -> list[tuple[Request, Reply]]:
        """One whose prompt leaves the context too little room is alone, and is cut there."""
        most = self.model.max_tokens
        whole = [one for one in batch if len(one[1]) + most <= self._context]
        groups = [whole] if whole else []
        groups += [[one] for one in batch if len(one[1]) + most > self._context]
        return [pair for group in groups for pair in self._generated(group)]

    def _generated(self, batch: list[Prompted]) -> Iterator[tuple[Request, Reply]]:
        import torch
        from transformers import LogitsProcessor

        prompts, temperature, device = [prompt for _, prompt in batch], self.model.temperature, self._loaded.device
        width, pad = max(map(len, prompts)), self._ends[0]
        limit = min(self.model.max_tokens, self._context - width)
        dice = [torch.Generator().manual_seed(request.row.seed) for request, _ in batch]

        class Drawn(LogitsProcessor):  # type: ignore[misc]
            """The likeliest token after a row's own Gumbel noise is a token drawn at that temperature."""

            def __call__(self, input_ids: Any, scores: Any) -> Any:
                noise = [-torch.empty(scores.shape[1]).exponential_(generator=own).log() for own in dice]
                return scores.float() / temperature + torch.stack(noise).to(scores.device)

        said: list[list[int]] = [[] for _ in batch]
        if limit > 0:
            with quiet(), torch.inference_mode():
                out = self._loaded.generate(
                    input_ids=torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=device),
                    attention_mask=torch.tensor(
                        [[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device
                    ),
                    max_new_tokens=limit,
                    do_sample=False,
                    logits_processor=[Drawn()] if temperature > 0 else [],
                )
            said = out[:, width:].tolist()
        for (request, prompt), tokens in zip(batch, said, strict=True):
            end = next((n for n, token in enumerate(tokens) if token in self._ends), None)
            text = self._tokenizer.decode(tokens[:end], skip_special_tokens=True)
            number = len(tokens) if end is None else end + 1
            yield request, Reply(text, "length" if end is None else "stop", len(prompt), None, number)
