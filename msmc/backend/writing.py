"""Planned rows to texts: from the ledger where they were asked for before, else from the target's writer, within the caps."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msmc.backend import template_writer
from msmc.backend.chats import asked_next, chains
from msmc.backend.chatting import Chatted, chatted
from msmc.backend.drafting import Drafted, Drafting, Part
from msmc.backend.gates import Gates, own_words
from msmc.backend.ledger import Ledger, Reply, Request
from msmc.backend.meter import CapReached, Meter, Usage
from msmc.backend.senders import Senders
from msmc.backend.tree import Arm, Tree
from msmc.backend.writers import drafts
from msmc.backend.writers.keys import api_key
from msmc.build import DemoRow, DocumentRow, digest
from msmc.diagnostics import Failed, fail
from msmc.library import Library
from msmc.writer import Remote

NONE: Mapping[str, int] = MappingProxyType({})
TOGETHER = 256
"""Documents of the `template` writer that are kept together."""
Arrived = list[tuple[Request, Reply]]
Advance = Callable[[int, int, str], None]
"""done, in all, a note"""


class Writing:
    """What a command writes of a build tree."""

    def __init__(self, tree: Tree, ledger: Path, library: Library, meter: Meter, senders: Senders) -> None:
        self.tree, self.ledger, self.library, self.meter, self.senders = tree, ledger, library, meter, senders
        self.target = tree.full.target
        others = {"critic": self.target.critic, "rewriter": self.target.rewriter}
        self._others = {part: meter.beside(model.known_price) for part, model in others.items() if model}

    @cached_property
    def writer(self) -> str:
        """What besides a row's input determines the writer's reply to it."""
        model = self.target.model_writer
        return model.sampling if model else f"template {template_writer.VERSION} {self.library.fingerprint[:16]}"

    @cached_property
    def writers(self) -> list[Any]:
        """What besides the rows and the gates determines an arm's texts: who writes them, who criticises them, and how often a
        row is tried."""
        target = self.target
        others = [model.sampling if model else None for model in (target.critic, target.rewriter)]
        tried = target.model_writer or target.critic
        return [self.writer, *([drafts.VERSION, *others, target.documents.attempts] if tried else [])]

    def documents(
        self, arm: Arm, gates: Gates, advance: Advance, rows: Iterable[DocumentRow] | None = None
    ) -> Iterator[Drafted]:
        """Each of the given rows as it was written; without any, all that are planned."""
        with self._asking(arm, advance) as asking:
            drafting = Drafting(arm, self.writer, gates.reason, asking.wave, asking.ledger.quarantine)
            yield from drafting.documents(arm.documents() if rows is None else rows)

    def chats(self, arm: Arm, advance: Advance) -> Chatted:
        """An arm's planned chats, as far as they may be trained on."""
        with self._asking(arm, advance) as asking:
            return chatted(arm, self.writer, asking.wave, asking.ledger.quarantine)

    @contextmanager
    def _asking(self, arm: Arm, advance: Advance) -> Iterator["Asking"]:
        with closing(Ledger(self.ledger)) as ledger:
            yield Asking(self, arm, ledger, advance)

    def send(self, part: Part, arm: Arm, requests: Iterator[Request]) -> Iterator[Arrived]:
        """To the model that does a part of the writing."""
        model, meter = self.target.model_writer, self.meter
        if part == "critic" or (part == "rewriter" and self.target.rewriter):
            model, meter = getattr(self.target, part), self._others[part]
        if model is None:
            return self._templated(arm, requests)
        for other in (self.target.critic, self.target.rewriter):
            if isinstance(other, Remote):
                api_key(other)  # before anything is paid for that they are needed for
        return self.senders.of(model, meter).send(requests)

    def _templated(self, arm: Arm, requests: Iterator[Request]) -> Iterator[Arrived]:
        writer, written = template_writer.TemplateWriter(arm.spec, self.library), list[tuple[Request, Reply]]()
        for request in requests:
            assert isinstance(request.row, DocumentRow), "it writes no chats, and is asked for none"
            reply = Reply(writer.write(request.row))
            counted = self.meter.count(request, reply)
            if not self.meter.allows(counted):
                yield written
                raise CapReached(counted)
            self.meter.add(counted, counted)
            written.append((request, reply))
            if len(written) == TOGETHER:
                yield written
                written = []
        yield written

    def left(self, first: Mapping[str, int] = NONE) -> tuple[dict[str, int], int]:
        """Of this experiment's documents those without a reply, by arm, and how many have one. What arms share counts once:
        for those that are named `first`, in their order and with so many rows of their reserve, then for the others."""
        names = dict.fromkeys((*first, *(run.documents for run in self.tree.runs if run.documents)))
        left, every = dict[str, int](), set[str]()

        def further(arm: Arm) -> Iterator[Request]:
            rows = chain(arm.documents(), islice(arm.reserve_in_turns(), first.get(arm.name, 0)))
            for request in arm.requests(self.writer, rows):
                if request.key not in every:
                    every.add(request.key)
                    yield request

        with closing(Ledger(self.ledger)) as ledger:
            for name in names:
                left[name] = sum(1 for _ in ledger.missing(further(self.tree.arms[name])))
        return left, len(every) - sum(left.values())

    def chats_left(self, first: Iterable[str] = ()) -> dict[str, int]:
        """Of this experiment's planned rows of chats those without a reply, by arm; what arms share counts once, as in `left`."""
        names = dict.fromkeys((*first, *(run.demos for run in self.tree.runs if run.demos)))
        left, every = dict[str, int](), set[str]()
        with closing(Ledger(self.ledger)) as ledger:
            for name in names if self.target.model_writer else ():
                found = self._unanswered(self.tree.arms[name], ledger)
                left[name] = len(found - every)
                every |= found
        return left

    def _unanswered(self, arm: Arm, ledger: Ledger) -> set[str]:
        """Keys of an arm's rows of chats that have no reply, each of all that is planned of its chat so far."""
        keys, left, own = dict[str | None, str](), set[str](), own_words(arm.spec)
        for thinking, rows in arm.planned_chats():
            for request in arm.requests(self.writer, rows):
                assert isinstance(request.row, DemoRow)
                keys[request.row.id] = digest(request.key, keys.get(request.row.needs))
            replies, going = dict[str, Reply](), list(chains(rows))
            while going:
                asked = [(chat, row) for chat in going if (row := asked_next(chat, replies, thinking, own))]
                known = ledger.known(arm.requests(self.writer, (row for _, row in asked)))
                replies |= {request.row.id: reply for request, reply in known}
                going = [chat for chat, row in asked if row.id in replies]
                for chat in (chat for chat, row in asked if row.id not in replies):
                    left |= {keys[row.id] for row in chat if row.id not in replies}
        return left

    def capped(self, most: Usage) -> Failed:
        """A cap on tokens or money that the next request could pass.

        cap-reached: A cap that was given with --max-tokens or --max-cost, and that the next reply could pass.

        Caps are for the new replies of one command, prompts included; no request is sent that could pass one, however long its
        reply. What was received is kept in the ledger: the same command goes on, with a cap of its own.

        Bad:
            $ msmc run tea.msm --max-tokens 2000

        Good:
            $ msmc run tea.msm --max-tokens 2000000
        """
        used, price = sum((meter.used for meter in self.meter.every), Usage()), self.meter.price
        documents = sum(self.left()[0].values())
        chats = sum(self.chats_left().values())
        left = documents + chats
        paid = price if price and price.most(1, 1) else None
        cost = sum(meter.used.cost(meter.price) for meter in self.meter.every if meter.price)
        took = f"{used.prompt:,.0f} tokens of prompts and {used.reply:,.0f} of replies"
        took += f", {cost:.3g} {paid.currency}" if paid else ""
        message = f"the next request may take {most.tokens:,.0f} tokens, and pass {self.meter.caps}"
        message += f": {used.replies:,} new replies took {took}; {documents:,} documents"
        message += f" and {chats:,} rows of chats are left" if chats else " are left"
        message += " to draft" if self.target.critic else ""
        hint = "the same command goes on from here, with a cap of its own"
        if used.replies:
            each = left / used.replies
            hint += f"; what is left takes about {used.tokens * each:,.0f} tokens"
            hint += f" and {cost * each:.3g} {paid.currency}" if paid else ""
        return fail("cap-reached", message, hint, f"every reply is in {self.ledger}")


@dataclass(frozen=True)
class Asking:
    """One arm's texts, on their way."""

    writing: Writing
    arm: Arm
    ledger: Ledger
    advance: Advance

    def wave(self, part: Part, requests: Iterable[Request], number: int, what: str) -> Iterator[tuple[Request, Reply]]:
        """Requests to one model, each with its reply, in their order."""
        send = partial(self.writing.send, part, self.arm)
        try:
            yield from self.ledger.replies(requests, send, lambda done: self.advance(done, number, what))
        except CapReached as reached:
            raise self.writing.capped(reached.most) from None
