"""Planned rows to texts: from the ledger where they were asked for before, else from the target's writer, within the caps."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msmc.backend import template_writer
from msmc.backend.chats import asked_next, assemble, chains
from msmc.backend.gates import Rows, own_words
from msmc.backend.ledger import Ledger, Reply, Request, Send
from msmc.backend.meter import CapReached, Meter, Usage
from msmc.backend.senders import Senders
from msmc.backend.tree import Arm, Tree
from msmc.build import DemoRow, DocumentRow, JudgeRow, digest
from msmc.diagnostics import Failed, fail
from msmc.library import Library

NONE: Mapping[str, int] = MappingProxyType({})
TOGETHER = 256
"""Documents of the `template` writer that are kept together."""
Advance = Callable[[int, int, str], None]
"""done, in all, a note"""


class Writing:
    """What a command writes of a build tree."""

    def __init__(self, tree: Tree, ledger: Path, library: Library, meter: Meter, senders: Senders) -> None:
        self.tree, self.ledger, self.library, self.meter, self.senders = tree, ledger, library, meter, senders
        self.target = tree.full.target

    @cached_property
    def writer(self) -> str:
        """What besides a row's input determines the writer's reply to it."""
        model = self.target.model_writer
        return model.sampling if model else f"template {template_writer.VERSION} {self.library.fingerprint[:16]}"

    def documents(
        self, arm: Arm, advance: Advance, rows: Iterable[DocumentRow] | None = None
    ) -> Iterator[tuple[DocumentRow, Reply]]:
        """Each of the given rows with its reply; without any, all that are planned."""
        total = sum(1 for _ in (arm.documents() if rows is None else rows))
        told = _told(advance, 0, total, "documents")
        for row, reply in self._replies(arm, rows, told):
            assert isinstance(row, DocumentRow)
            yield row, reply

    def chats(self, arm: Arm, advance: Advance) -> tuple[Rows, Rows]:
        """An arm's planned chats that may be trained on, and the others with the reason: turn by turn, since each turn is asked
        for with those before it."""
        kept, quarantined = list[dict[str, Any]](), list[dict[str, Any]]()
        done, total, own = 0, arm.num_planned_chats(), own_words(arm.spec)
        for thinking, rows in arm.planned_chats():
            replies = dict[str, str]()
            while turn := [row for chat in chains(rows) if (row := asked_next(chat, replies, thinking, own))]:
                told = _told(advance, done, total, "turns of chats")
                replies |= {row.id: reply.raw for row, reply in self._replies(arm, turn, told)}
                done += len(turn)
            of_block = assemble(rows, replies, thinking, arm.spec, self.target.writer_name)
            kept, quarantined = kept + of_block[0], quarantined + of_block[1]
        return kept, quarantined

    def _replies(
        self, arm: Arm, rows: Iterable[DocumentRow | DemoRow] | None, told: Callable[[int], None]
    ) -> Iterator[tuple[DocumentRow | DemoRow, Reply]]:
        """`told`: how many rows have a reply."""
        with closing(Ledger(self.ledger)) as ledger:
            try:
                for request, reply in ledger.replies(arm.requests(self.writer, rows), self._sending(arm), told):
                    assert not isinstance(request.row, JudgeRow)
                    yield request.row, reply
            except CapReached as reached:
                raise self._capped(reached.most) from None

    def _sending(self, arm: Arm) -> Send:
        def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
            model = self.target.model_writer
            return self.senders.of(model, self.meter).send(requests) if model else self._templated(arm, requests)

        return send

    def _templated(self, arm: Arm, requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
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
            replies, going = dict[str, str](), list(chains(rows))
            while going:
                asked = [(chat, row) for chat in going if (row := asked_next(chat, replies, thinking, own))]
                known = ledger.known(arm.requests(self.writer, (row for _, row in asked)))
                replies |= {request.row.id: reply.raw for request, reply in known}
                going = [chat for chat, row in asked if row.id in replies]
                for chat in (chat for chat, row in asked if row.id not in replies):
                    left |= {keys[row.id] for row in chat if row.id not in replies}
        return left

    def _capped(self, most: Usage) -> Failed:
        """A cap on tokens or money that the next request could pass.

        cap-reached: A cap that was given with --max-tokens or --max-cost, and that the next reply could pass.

        Caps are for the new replies of one command, prompts included; no request is sent that could pass one, however long its
        reply. What was received is kept in the ledger: the same command goes on, with a cap of its own.

        Bad:
            $ msmc run tea.msm --max-tokens 2000

        Good:
            $ msmc run tea.msm --max-tokens 2000000
        """
        used, price, documents = self.meter.used, self.meter.price, sum(self.left()[0].values())
        chats = sum(self.chats_left().values())
        left = documents + chats
        paid = price if price and price.cost(1, 0, 1) else None
        cost = used.cost(paid) if paid else 0.0
        took = f"{used.prompt:,.0f} tokens of prompts and {used.reply:,.0f} of replies"
        took += f", {cost:.3g} {paid.currency}" if paid else ""
        message = f"the next request may take {most.tokens:,.0f} tokens, and pass {self.meter.caps}"
        message += f": {used.replies:,} new replies took {took}; {documents:,} documents"
        message += f" and {chats:,} rows of chats are left" if chats else " are left"
        hint = "the same command goes on from here, with a cap of its own"
        if used.replies:
            each = left / used.replies
            hint += f"; what is left takes about {used.tokens * each:,.0f} tokens"
            hint += f" and {cost * each:.3g} {paid.currency}" if paid else ""
        return fail("cap-reached", message, hint, f"every reply is in {self.ledger}")


def _told(advance: Advance, done: int, total: int, what: str) -> Callable[[int], None]:
    return lambda number: advance(min(done + number, total), total, what)
