"""A document's way from its cell to the corpus: drafted, gated, criticised, written anew, and tried again where it fails.

The cells of an arm go that way together, wave by wave, so that as many requests as the target allows are on their way. Each try
of a cell has a seed of its own, made of the row's: the same cells go the same ways each time, and the ledger has every step.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

from msmc.backend.ledger import FAILED, Reply, Request
from msmc.backend.tree import Arm
from msmc.backend.writers.drafts import document_of
from msmc.backend.writers.verdicts import SCHEMA, Said, Unparsed, Verdict, read_verdict
from msmc.build import CRITIQUE, REWRITE, DocumentRow, JudgeRow, Prefix
from msmc.digest import seed_of

Part = Literal["writer", "critic", "rewriter"]
Gate = Callable[[DocumentRow, str], str]
"""Why a text may not be trained on; empty where it may."""
Rejected = tuple[Request, str, str]
"""A request whose reply cannot be used, the kind of the reason, and what there is to say."""
DROPPED, AGAIN, UNPARSED = "dropped by the critic", "not good when written anew", "unparsed"
MARKS = re.compile(r"\{(request|document|reason|problems)\}")


class Wave(Protocol):
    """Requests to one model, each with its reply, in their order."""

    def __call__(
        self, part: Part, requests: Iterable[Request], number: int, what: str
    ) -> Iterator[tuple[Request, Reply]]: ...


class Drafted(NamedTuple):
    """A planned document as it was written."""

    row: DocumentRow
    text: str
    reason: str
    """Why it may not be trained on: of the last try. Empty where it may."""
    source: dict[str, Any]
    """Who wrote it, and what of a model's: `attempt` counts from 0, `failed` has the reason of each try that failed, `verdict` is
    the critic's last."""


@dataclass
class Way:
    """A cell on its way."""

    row: DocumentRow
    attempt: int = 0
    text: str = ""
    reason: str = ""
    verdict: Verdict | None = None
    criticised: tuple[str, Verdict] | None = None
    """Of a document that is written anew: what it was, and what the critic said."""
    failed: list[str] = field(default_factory=list)
    unanswered: set[Part] = field(default_factory=set)
    """Models whose server gave it no reply while it answered others."""

    @property
    def tried(self) -> DocumentRow:
        """The row with the seed of the try."""
        if not self.attempt:
            return self.row
        return self.row.model_copy(update={"seed": seed_of("attempt", self.row.seed, self.attempt)})


@dataclass(frozen=True)
class Each:
    """Requests for some cells, made when they are sent: each holds the whole of its prefix."""

    make: Callable[[Way], Request]
    ways: list[Way]

    def __iter__(self) -> Iterator[Request]:
        return map(self.make, self.ways)


class Drafting:
    """The documents of one arm. `writer`: what besides a row its drafts depend on; `reject` keeps what cannot be used."""

    def __init__(self, arm: Arm, writer: str, gate: Gate, wave: Wave, reject: Callable[[list[Rejected]], None]) -> None:
        self._arm, self._target, self._writer = arm, arm.target, writer
        self._rewriter = arm.target.rewriter or arm.target.model_writer
        self._gate, self._wave, self._keep = gate, wave, reject

    def documents(self, rows: Iterable[DocumentRow]) -> Iterator[Drafted]:
        """Each row as it was written, in their order."""
        ways = left = [Way(row) for row in rows]
        for attempt in range(self._target.documents.attempts if self._target.model_writer else 1):
            for way in left:
                way.attempt, way.text, way.reason, way.verdict, way.criticised = attempt, "", "", None, None
            if left:
                self._go(left, f", try {attempt + 1}" if attempt else "")
            left = [way for way in left if way.reason]
        return (Drafted(way.row, way.text, way.reason, self._source(way)) for way in ways)

    def _go(self, ways: list[Way], which: str) -> None:
        """One try of each."""
        self._write("writer", ways, f"documents{which}")
        if self._target.critic is None:
            return
        self._criticise(_good(ways), f"critiques{which}")
        mended = [way for way in _good(ways) if _says("rewrite", way)]
        if self._rewriter is None:
            self._fail([(way, DROPPED) for way in mended])
            return
        for way in mended:
            assert way.verdict
            way.criticised = way.text, way.verdict
        self._write("rewriter", mended, f"rewrites{which}")
        self._criticise(_good(mended), f"critiques of rewrites{which}")
        self._fail([(way, AGAIN) for way in _good(mended) if _says("rewrite", way)])

    def _write(self, part: Part, ways: list[Way], what: str) -> None:
        """A text for each, and why it cannot be used."""
        rejected = list[Rejected]()
        for way, (request, reply) in self._asked(part, self._writing, ways, what):
            if self._target.model_writer or part == "rewriter":
                way.text, way.reason = document_of(reply.raw, reply.finish)
            else:
                way.text = reply.raw
            if way.reason:
                way.text = reply.raw  # as it came, for whoever reads what was quarantined
            else:
                way.reason = self._gate(way.row, way.text)
            if way.reason:
                way.failed.append(way.reason)
                rejected.append((request, way.reason, ""))
        self._reject(rejected)

    def _criticise(self, ways: list[Way], what: str) -> None:
        """A verdict on each. A critic who cannot be read is asked again; an unread document is not kept."""
        left = ways
        for again in range(self._target.documents.attempts):
            rejected, unparsed = list[Rejected](), list[Way]()
            for way, (request, reply) in self._asked("critic", partial(self._critique, again), left, what):
                found = read_verdict(reply.raw, reply.finish)
                if isinstance(found, Unparsed):
                    rejected.append((request, UNPARSED, found.why))
                    unparsed.append(way)
                way.verdict = None if isinstance(found, Unparsed) else found
            self._reject(rejected)
            left = unparsed
        self._fail([(way, UNPARSED) for way in left])
        self._fail([(way, DROPPED) for way in _good(ways) if _says("drop", way)])

    def _fail(self, ways: list[tuple[Way, str]]) -> None:
        """By what a critic says."""
        for way, reason in ways:
            way.reason = reason
            way.failed.append(reason)
        told = [(way, reason, way.verdict.reason if way.verdict else "") for way, reason in ways]
        self._reject([(self._writing(way), reason, said) for way, reason, said in told])

    def _reject(self, rejected: list[Rejected]) -> None:
        if rejected:
            self._keep(rejected)

    def _asked(
        self, part: Part, make: Callable[[Way], Request], ways: list[Way], what: str
    ) -> Iterator[tuple[Way, tuple[Request, Reply]]]:
        if not ways:
            return
        requests = Each(lambda way: replace(make(way), tried=part in way.unanswered), ways)
        for way, (request, reply) in zip(ways, self._wave(part, requests, len(ways), what), strict=True):
            if reply.finish == FAILED:
                way.unanswered.add(part)
            yield way, (request, reply)

    # ---- what is asked --------------------------------------------------------------------------------------------------

    def _writing(self, way: Way) -> Request:
        """Whose reply the text of a cell is."""
        if way.criticised is None:
            return next(iter(self._arm.requests(self._writer, [way.tried])))
        document, verdict = way.criticised
        problems = "\n".join(f"- {problem}" for problem in verdict.problems)
        texts = {"request": way.row.prompt, "document": document, "reason": verdict.reason, "problems": problems}
        assert self._rewriter
        return self._framed(REWRITE, way, seed_of(REWRITE, way.tried.seed), texts, self._rewriter.sampling)

    def _critique(self, again: int, way: Way) -> Request:
        """`again`: how often the critic was asked before."""
        assert self._target.critic
        texts = {"request": way.row.prompt, "document": way.text}
        seed = seed_of(CRITIQUE, way.tried.seed, again)
        request = self._framed(CRITIQUE, way, seed, texts, self._target.critic.sampling)
        return replace(request, schema=SCHEMA)

    def _framed(self, what: str, way: Way, seed: int, texts: dict[str, str], writer: str) -> Request:
        prefix = self._arm.prefixes[f"{what}:{way.row.prefix}"]
        row = JudgeRow(id=f"{what}-{way.row.id}", seed=seed, prompt=framed(prefix, texts))
        return Request(row, prefix, writer)

    # ---- what is told ---------------------------------------------------------------------------------------------------

    def _source(self, way: Way) -> dict[str, Any]:
        target = self._target
        source: dict[str, Any] = {"writer": target.writer_name, "seed": way.tried.seed}
        if target.model_writer:
            source["attempt"] = way.attempt
        if target.critic and way.verdict:
            source |= {"critic": target.critic.title, "verdict": way.verdict._asdict()}
        if way.criticised and self._rewriter:
            source["rewriter"] = self._rewriter.title
        return source | ({"failed": way.failed} if way.failed and target.model_writer else {})


def framed(prefix: Prefix, texts: dict[str, str]) -> str:
    """The prompt that a prefix has a frame for. What is put in is not looked through for marks."""
    assert prefix.frame is not None
    return MARKS.sub(lambda mark: texts[mark[1]], prefix.frame)


def _says(verdict: Said, way: Way) -> bool:
    return way.verdict is not None and way.verdict.verdict == verdict


def _good(ways: list[Way]) -> list[Way]:
    return [way for way in ways if not way.reason]
