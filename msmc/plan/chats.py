"""Planned chats, as a served writer will be asked for them turn by turn: each turn is sent with those before it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from msmc.backend.chats import content_of, said
from msmc.backend.ledger import past
from msmc.backend.tokens import TEMPLATE, Tokens
from msmc.build import Build, Message
from msmc.lower.chat import Chat
from msmc.plan.estimate import Estimate, total
from msmc.plan.replies import ENOUGH, MOST, sent
from msmc.plan.rows import rows_of
from msmc.plan.writing import SAMPLE, Writing
from msmc.writer import ModelWriter

WORDS = {"question": (10, 35, 90), "answer": (15, 45, 120), "thought": (30, 70, 130)}
"""Fewest, likely and most, as `templates/demos/*_prefix.jinja` ask for them in lines and sentences."""


class Chats(NamedTuple):
    """What is fine-tuned on."""

    rows: float
    tokens: Estimate


class Kind(NamedTuple):
    """Of a turn."""

    role: str
    """`user` or `assistant`."""
    thinking: bool


class Row(NamedTuple):
    """One turn that is asked for."""

    kind: Kind
    before: tuple[Kind, ...]
    """The turns that it is sent with."""
    prefix: str
    prompt: str
    key: int
    """Of all that it is written from: arms that share a chat share its replies."""


@dataclass(frozen=True)
class Turn:
    """What a writer says in a turn of one kind, on the average."""

    reply: Estimate
    """In the writer's own tokens, with its tags and its thought."""
    short: float
    said: float
    """Tokens of the target in the prompts of later turns."""
    learned: float
    """The same with its thought, as it is trained on."""
    usable: float
    """The share of replies that a chat can go on with."""


@dataclass(frozen=True)
class Asked:
    """The planned chats of one arm."""

    writing: Writing
    """Turns by rows."""
    chats: int
    learned: Chats


class Writer:
    """A served writer of chats: its past, or what the prompts ask for."""

    def __init__(self, served: ModelWriter, place: Path, tokens: Tokens, template: Chat) -> None:
        self.served, self._tokens, self._template = served, tokens, template
        self._past = {what: past(place, served.sampling, what, MOST) for what in ("ask-", "say-")}
        found = [reply for of_kind in self._past.values() for reply in of_kind]
        self._enough = len(found) >= ENOUGH
        self.prompt, self.cached = sent(found, tokens) if self._enough else (1.0, None)
        self.how = "as long as the prompts ask in lines and sentences"
        if self._enough:
            self.how = f"as {len(found)} turns of chats by this writer in the ledger"
        self._turns = dict[Kind, Turn]()

    def turn(self, kind: Kind, prefix: str) -> Turn:
        """`prefix`: of such a request, for the tokens of a word."""
        if kind not in self._turns:
            self._turns[kind] = (self._enough and self._seen(kind)) or self._wanted(kind, prefix)
        return self._turns[kind]

    def _seen(self, kind: Kind) -> Turn | None:
        of_role = self._past["ask-" if kind.role == "user" else "say-"]
        raw = [(messages, reply) for messages, _, reply in of_role if ("<think>" in messages) == kind.thinking]
        if not raw:
            return None
        used = [reply.completion_tokens or 0 for _, reply in raw]
        # a clause's words stand in its prefix
        contents = [content_of(reply, kind.role, kind.thinking, own) for own, reply in raw]
        good = [Message(role="user", content=content) for content, fault in contents if not fault]
        if kind.role == "assistant":
            good = [message.model_copy(update={"role": "assistant"}) for message in good]
        mean = total(used, 10**9).times(1e-9)  # of as many as one likes: the sample's own error
        lengths = [(self._tokens.count(said(turn)), self._tokens.count(turn.content)) for turn in good]
        in_prompts, learned = (sum(n) / len(good) for n in zip(*lengths, strict=True)) if good else (0.0, 0.0)
        return Turn(mean, sorted(used)[len(used) // 10], in_prompts, learned, len(good) / len(raw))

    def _wanted(self, kind: Kind, prefix: str) -> Turn:
        a_word = self._tokens.count(prefix) / max(1, len(prefix.split()))
        own = [WORDS["question" if kind.role == "user" else "answer"]]
        low, likely, most = (sum(n) * a_word for n in zip(*own, *([WORDS["thought"]] * kind.thinking), strict=True))
        tags = self._tokens.count("<message>\n\n</message>") * (1 + kind.thinking)
        reply = Estimate(min(likely + tags, self.served.max_tokens), (most - low) / 2)
        return Turn(reply, min(low, reply.value), own[0][1] * a_word, likely, 1.0)

    def around(self, rounds: int) -> float:
        """Tokens that the chat template adds to the turns of a chat."""
        empty = [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}] * rounds
        return self._tokens.count(self._template.render(empty))


def asked(build: Build, writer: Writer, tokens: Tokens, seen: set[int]) -> Asked | None:
    """An arm's chats. `seen`: what arms before it have asked for, to which this one's is added."""
    prefixes = {p["name"]: p["messages"][0]["content"] for p in rows_of(build, "demos/prefixes.jsonl")}
    every = list(_rows(build, prefixes))
    if not every:
        return None
    turns = {row.kind: writer.turn(row.kind, row.prefix) for row in every}
    new = [row for row in every if row.key not in seen]
    seen.update(row.key for row in new)
    attempts = build.manifest["target"]["demos"]["attempts"]
    return Asked(_writing(build.arm, new, len(every), turns, writer, tokens, attempts), *_learned(every, turns, writer))


def _rows(build: Build, prefixes: dict[str, str]) -> Iterator[Row]:
    for name, block in build.manifest["demos"].items():
        before, key = tuple[Kind, ...](), 0
        for row in rows_of(build, f"demos/{name}.jsonl"):
            if "needs" not in row:
                before, key = (), 0
            role = "assistant" if len(before) % 2 else "user"
            kind, prefix = Kind(role, role == "assistant" and block["thinking"]), prefixes[row["prefix"]]
            key = hash((key, prefix, row["prompt"], row["seed"]))
            yield Row(kind, before, prefix, row["prompt"], key)
            before = (*before, kind)


def _writing(
    arm: str, rows: list[Row], number: int, turns: dict[Kind, Turn], writer: Writer, tokens: Tokens, attempts: int
) -> Writing:
    if not rows:
        return Writing(arm, 0, Estimate(0), 0.0, Estimate(0), shared=number)
    sample = random.Random(0).sample(rows, min(len(rows), SAMPLE))
    around = {role: tokens.count(f"\n<{role}>\n\n</{role}>") for role in ("user", "assistant")}
    heads = {row.prefix: tokens.of_messages([row.prefix]) for row in sample}

    def prompt_of(row: Row) -> float:
        earlier = sum(turns[kind].said + around[kind.role] for kind in row.before)
        return (heads[row.prefix] + tokens.count(row.prompt) + TEMPLATE + earlier) * _reached(row.before, turns)

    prompt = total([prompt_of(row) for row in sample], len(rows))
    kept = total([heads[row.prefix] * _reached(row.before, turns) for row in sample], len(rows)).value
    again = kept * max(0, len(rows) - len({row.prefix for row in rows})) / len(rows)
    reply, shortest, longest = Estimate(0), 0.0, 0.0
    for (kind, before), count in Counter((row.kind, row.before) for row in rows).items():
        reached, turn = count * _reached(before, turns), turns[kind]
        reply += turn.reply.times(reached)
        shortest, longest = shortest + reached * turn.short, longest + count * writer.served.max_tokens
    return Writing(
        arm,
        len(rows),
        prompt.times(writer.prompt),
        again / prompt.value,
        reply,
        shared=number - len(rows),
        shortest=shortest,
        longest=longest,
        expected_cached=again / prompt.value if writer.cached is None else writer.cached,
        attempts=attempts,
        how=writer.how,
    )


def _learned(rows: list[Row], turns: dict[Kind, Turn], writer: Writer) -> tuple[int, Chats]:
    """Chats, and what of them is trained on."""
    whole = Counter((*row.before, row.kind) for row in rows if row.kind.role == "assistant")
    ends = whole.copy()  # a chat of two rounds has an end in its first one too
    for chain, count in whole.items():
        for first in (other for other in whole if len(other) < len(chain) and chain[: len(other)] == other):
            ends[first] -= count
    trained, tokens = 0.0, Estimate(0)
    for chain, count in ends.items():
        number = count * _reached(chain, turns)
        length = writer.around(len(chain) // 2) + sum(turns[kind].learned for kind in chain)
        trained += number
        tokens += Estimate(number * length, number * length * max(turns[kind].reply.share for kind in chain))
    return ends.total(), Chats(trained, tokens)


def _reached(before: tuple[Kind, ...], turns: dict[Kind, Turn]) -> float:
    """The share of chats that come so far."""
    share = 1.0
    for kind in before:
        share *= turns[kind].usable
    return share
