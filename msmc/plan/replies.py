"""How long a writer's replies will be: of `template` by writing some, of a served one by its past, else by what it is asked."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msmc.backend.ledger import Reply
from msmc.backend.ledger import past as past_replies
from msmc.backend.tokens import TEMPLATE, Tokens
from msmc.backend.writers.drafts import document_of
from msmc.plan.estimate import Estimate, total
from msmc.writer import ModelWriter

ENOUGH = 20
"""Replies from which a writer's past says more than what it is asked for."""
MOST = 500
"""Replies of the past that are looked at."""
ASKED = re.compile(r"\b(\d+) to (\d+) words\b")
"""As `templates/documents/prefix.jinja` has it."""

Found = Sequence[tuple[str, str, Reply]]
"""Replies of the past, each with the messages of its prefix and its prompt."""


@dataclass(frozen=True)
class Replies:
    """To all rows of one arm."""

    total: Estimate
    """In the writer's own tokens."""
    shortest: float
    """Tokens of all, were each as short as a tenth of them is, or as the shortest that was asked for."""
    longest: float
    text: Estimate
    """In the target's tokens, each with the end that midtraining gives it."""
    lengths: tuple[float, ...]
    """The same of some."""
    prompt: float = 1.0
    """The server's tokens of a prompt for one of the target's."""
    cached: float | None = None
    """The share of prompts that the server had from before; None where it never said."""
    how: str = ""


def of_template(texts: Sequence[str], rows: int, tokens: Tokens) -> Replies:
    lengths = tuple(tokens.count(text) + 1 for text in texts)
    every = total([n - 1 for n in lengths], rows)
    return Replies(every, rows * min(lengths), rows * max(lengths), total(lengths, rows), lengths)


@dataclass(frozen=True)
class Past:
    """What the ledger has of a served writer's documents."""

    replies: tuple[int, ...]
    lengths: tuple[float, ...]
    prompt: float
    cached: float | None

    @classmethod
    def read(cls, place: Path, served: ModelWriter, tokens: Tokens) -> "Past | None":
        """None where there is too little."""
        found = past_replies(place, served.sampling, "doc-", MOST)
        if len(found) < ENOUGH:
            return None
        return cls(
            tuple(reply.completion_tokens or 0 for _, _, reply in found),
            tuple(tokens.count(document_of(reply.raw, reply.finish).text or reply.raw) + 1 for _, _, reply in found),
            *sent(found, tokens),
        )

    def of(self, rows: int, served: ModelWriter) -> Replies:
        mean = total(self.replies, 10**9)  # of as many as one likes: the sample's own error
        every = Estimate(rows * mean.value / 10**9, rows * mean.error / 10**9)
        short = sorted(self.replies)[len(self.replies) // 10]
        how = f"as {len(self.replies)} replies of this writer in the ledger"
        longest, text = rows * served.max_tokens, _text(self.lengths, rows, every)
        return Replies(every, rows * short, longest, text, self.lengths, self.prompt, self.cached, how)


def sent(found: Found, tokens: Tokens) -> tuple[float, float | None]:
    """A server's tokens of a prompt for one of the target's, and the share of them that it had from before, if it said."""
    counted = sum(
        tokens.of_messages(m["content"] for m in json.loads(messages)) + tokens.count(prompt) + TEMPLATE
        for messages, prompt, _ in found
    )
    prompts = sum(reply.prompt_tokens or 0 for _, _, reply in found)
    cached = [reply.cached_tokens for _, _, reply in found if reply.cached_tokens is not None]
    return prompts / counted, sum(cached) / prompts if cached else None


def of_served(
    served: ModelWriter, past: Past | None, texts: Sequence[str], prefix: str, rows: int, tokens: Tokens
) -> Replies:
    """`texts`: what `template` writes, for the tokens of a word."""
    if past:
        return past.of(rows, served)
    words, lengths = [len(text.split()) for text in texts], [tokens.count(text) for text in texts]
    a_word = sum(lengths) / sum(words)
    asked = ASKED.search(prefix)
    if asked is None:
        most = served.max_tokens
        how = "as long as writer.max_tokens lets them be: the prompts ask for no number of words"
        return Replies(Estimate(rows * most), rows, rows * most, Estimate(rows * (most + 1)), (most + 1.0,), how=how)
    low, high = (int(number) * a_word for number in asked.groups())
    middle = min((low + high) / 2, served.max_tokens)
    scale = middle * len(lengths) / sum(lengths)
    every = Estimate(rows * middle, rows * (high - low) / 2)  # an error that more rows do not make smaller
    likely = tuple(n * scale + 1 for n in lengths)
    how = f"as the prompts ask, {asked[1]} to {asked[2]} words of {a_word:.2f} tokens"
    text = _text(likely, rows, every)
    return Replies(every, rows * min(low, middle), rows * served.max_tokens, text, likely, how=how)


def _text(lengths: Sequence[float], rows: int, replies: Estimate) -> Estimate:
    """Of all rows, as sure as their replies are."""
    value = rows * sum(lengths) / len(lengths)
    return Estimate(value, value * replies.share)
