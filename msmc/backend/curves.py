"""Learning curves: what a model that is being trained answers, every so many updates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmc.backend.eval_rows import Row, Rows
from msmc.backend.items import of_choices
from msmc.backend.recorder import Points
from msmc.backend.weights import load_tokenizer


@dataclass(frozen=True)
class Curve:
    """Which rows are scored, and every how many updates."""

    rows: Rows
    every: int
    batch_size: int

    def points(self, live: Any, model: Path) -> Points:
        """What makes the rows of a point: {update, tokens, eval, rung, form, n, rate, margin}, n items in both orders.

        `live` is scored as it is trained, in bfloat16 where its base is: single margins are off by some tenths of a nat, unlike
        those of the stage `scores`. Nothing of the training changes: it is the same model behind it, with the same random numbers
        to come.
        """

        def made(update: int, tokens: int, last: bool) -> list[Row]:
            if update % self.every and not last:
                return []
            with _undisturbed(live):
                return [{"update": update, "tokens": tokens, **told} for told in self._told(live, model)]

        return made

    def _told(self, live: Any, model: Path) -> Iterator[Row]:
        from msmc.backend.score import score_each
        from msmc.backend.shared_prompt import SharedPromptLM

        # a tokenizer of its own, since lm_eval may give it a padding token
        scorer = SharedPromptLM(
            pretrained=live, tokenizer=load_tokenizer(model), batch_size=self.batch_size, softmax_dtype="float32"
        )
        groups: dict[tuple[str, str | None], list[tuple[int, Row]]] = {}
        for number, row in score_each(scorer, self.rows):
            groups.setdefault((row["eval"], row["form"]), []).append((number, row))
        for name, form in sorted(groups, key=lambda group: min(number for number, _ in groups[group])):
            rows = [row for _, row in sorted(groups[name, form], key=lambda pair: pair[0])]
            scored = [item["measures"] for item in of_choices(rows) if not item["unscoreable"]]
            n = len(scored)
            rate, margin = ((sum(m[of] for m in scored) / n if n else None) for of in ("rate", "margin"))
            yield {"eval": name, "rung": rows[0]["rung"], "form": form, "n": n, "rate": rate, "margin": margin}


@contextmanager
def _undisturbed(live: Any) -> Iterator[None]:
    """Whatever is done with the model, it trains on as if nothing had been."""
    import torch

    training = {module: module.training for module in live.modules()}
    try:
        with torch.random.fork_rng():
            yield
    finally:
        for module, was in training.items():
            module.training = was
