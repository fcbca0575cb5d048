"""What a critic and a rewriter are asked for beyond the drafts: as much as is likely, and at worst."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from msmc.backend.tokens import TEMPLATE, Tokens
from msmc.build import CRITIQUE, REWRITE, Build
from msmc.plan.rows import rows_of
from msmc.plan.writing import Writing
from msmc.target import Target
from msmc.writer import ModelWriter

WORDS = "The second sentence gives a reason that the part of the spec does not give."
"""As a critic writes, for the tokens of a word."""
VERDICT = 60
"""Words of a critic's reply: a sentence, and a fault or two."""


class Asked(NamedTuple):
    """Of one model, beside the writer."""

    part: str
    model: ModelWriter
    expected: int
    """Requests: a critique of each document, and no rewrite. How many it takes of a writer is known when it has written."""
    worst: int
    """Of every try, also of the reserve's: each is written anew, and each critique asked for again and again."""
    prompt: float
    """Tokens of a request."""
    reply: float
    """Tokens that are likely."""

    @property
    def costs(self) -> tuple[float, float] | None:
        """Expected, nothing cached, and at worst; None where nobody knows the price."""
        if (price := self.model.known_price) is None:
            return None
        expected = price.cost(self.expected * self.prompt, 0, 0, self.expected * self.reply)
        return expected, price.most(self.worst * self.prompt, self.worst * self.model.max_tokens)


def criticising(
    builds: Sequence[Build], writing: Sequence[Writing], text: float, target: Target, tokens: Tokens
) -> tuple[Asked, ...]:
    """`text`: tokens of a document."""
    if target.critic is None or not writing:
        return ()
    rows, tries = sum(w.rows for w in writing), target.documents.attempts
    reserve = sum(w.reserve for w in writing)
    frames = [p for build in builds for p in rows_of(build, "documents/prefixes.jsonl") if "frame" in p]
    heads = {
        what: _mean([_tokens(p, tokens) for p in frames if p["name"].startswith(what)]) for what in (CRITIQUE, REWRITE)
    }
    worst, request = (rows + reserve) * tries, _mean([w.prompt.value / w.rows for w in writing if w.rows])
    verdict = VERDICT * tokens.count(WORDS) / len(WORDS.split())
    critic = Asked(
        "critic", target.critic, rows, 2 * tries * worst, heads[CRITIQUE] + text, min(verdict, target.critic.max_tokens)
    )
    rewriter = target.rewriter or target.model_writer
    if rewriter is None:
        return (critic,)
    return critic, Asked("rewriter", rewriter, 0, worst, max(request, heads[REWRITE]) + text + verdict, text)


def _tokens(prefix: dict[str, object], tokens: Tokens) -> float:
    messages = json.loads(json.dumps(prefix["messages"]))
    return tokens.of_messages(m["content"] for m in messages) + tokens.count(str(prefix["frame"])) + TEMPLATE


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / max(1, len(numbers))
