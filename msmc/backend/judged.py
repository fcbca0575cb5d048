"""Judging: what a judge makes of replies, as items. Raw judge replies are kept, and one that cannot be read is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.eval_rows import Rows, each
from msmc.backend.ledger import FAILED, Ledger, Reply, Request
from msmc.backend.meter import CapReached, Meter
from msmc.backend.senders import hosted
from msmc.build import JudgeRow, Message, Prefix
from msmc.diagnostics import fail
from msmc.digest import seed_of
from msmc.stored import read_jsonl
from msmc.writer import Judge

Row = dict[str, Any]
VERSION = 2


def required(judge: Judge | None, name: str) -> Judge:
    """The judge that an evaluation needs.

    judge-missing: A judged or an agentic evaluation, and a target that names no judge.

    Open replies are graded by a model that the target names: any server that speaks OpenAI's chat API, or Anthropic's messages
    API (`judge.kind=anthropic`). Nothing is trained before it is known who judges.

    Bad:
        $ msmc run tea.msm    # with: eval open judged { about rules }

    Good:
        $ msmc run tea.msm --set judge.model=NAME --set judge.base_url=http://127.0.0.1:8000/v1
    """
    if judge is None:
        hint = "name one: --set judge.model=NAME, and --set judge.base_url=http://…/v1 for a server other than OpenAI's"
        raise fail("judge-missing", f"`{name}` is graded by a judge, and the target names none", hint)
    return judge


class Kind(NamedTuple):
    """How one kind of evaluation asks the model, asks its judge, and reads the judge."""

    primary: str
    measures: tuple[str, ...]
    asked: Callable[[Row], list[dict[str, str]]]
    judge_asked: Callable[[Row, str], list[dict[str, str]]]
    read: Callable[[Row, str, str], dict[str, float]]
    """Raises ValueError with the reason where the judge's reply says nothing."""


class Grading(NamedTuple):
    """One reply of the judge, and what it comes to."""

    raw: str
    measures: dict[str, float] | None
    unparsed: str | None


def kind_of(kind: str, evals: Path) -> Kind:
    """By the build's own code, which its Inspect tasks run too."""
    if kind == "judged":
        judging = _module(evals / "judging.py")
        return Kind(
            "grade",
            ("grade",),
            lambda row: [{"role": "user", "content": row["input"]}],
            lambda row, reply: judging.asked(row["input"], reply, row["target"]),
            lambda row, reply, said: {"grade": judging.grade(said)},
        )
    agentic = _module(evals / "agentic.py")
    return Kind(
        "decision",
        ("decision", "action"),
        lambda row: agentic.asked(row["metadata"]),
        lambda row, reply: agentic.judge_asked(row["metadata"], reply),
        lambda row, reply, said: agentic.verdict(row["metadata"], reply, said),
    )


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"msmc_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Said:
    """Rows and the replies to them, those that are planted last, read from the disk at each going through."""

    def __init__(self, asked: Rows, replies: Path, planted: Rows) -> None:
        self._asked, self._replies, self._planted = asked, replies, planted

    def __iter__(self) -> Iterator[tuple[Row, Row]]:
        yield from zip(each(self._asked), read_jsonl(self._replies), strict=True)
        for row in each(self._planted):
            messages = [{"role": "user", "content": row["input"]}]
            reply = {"messages": messages, "reply": row["metadata"]["reply"], "finish": None, "unscoreable": None}
            yield row, reply


def items(
    kind: Kind,
    said: Said,
    judge: Judge,
    ledger: Path,
    meter: Meter,
    told: Callable[[int], None],
    say: Callable[[str], None],
) -> Iterator[Row]:
    """A row of items.jsonl for each reply; what is not there is not graded."""
    there = Gradable(said)
    graded = gradings(kind, there, judge, ledger, meter, told, say)
    for row, reply in said:
        yield item(kind, row, reply, [] if reply["reply"] is None else next(graded))


class Gradable:
    """Rows with the text of the reply to them, where there is one."""

    def __init__(self, said: Said) -> None:
        self._said = said

    def __iter__(self) -> Iterator[tuple[Row, str]]:
        return ((row, reply["reply"]) for row, reply in self._said if reply["reply"] is not None)


def gradings(
    kind: Kind,
    said: Iterable[tuple[Row, str]],
    judge: Judge,
    ledger: Path,
    meter: Meter,
    told: Callable[[int], None],
    say: Callable[[str], None],
) -> Iterator[list[Grading]]:
    """Of each reply what the judge makes of it, `judge.repeats` times. `said` is gone through again and again. A judge's reply is
    in the ledger before anyone reads it, and none is asked for twice. `told`: how many replies are graded. Raises Failed
    `no-key`, `writer-failed`, `cap-reached`."""
    with closing(Ledger(ledger)) as kept, ExitStack() as stack:
        of_row: list[Grading] = []
        rows = (pair for pair in said for _ in range(judge.repeats))

        def send(requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
            """What is in the ledger needs no key and no server."""
            return stack.enter_context(closing(hosted(judge, meter, ledger, say))).send(requests)

        try:
            every = kept.replies(Requests(kind, said, judge), send, lambda number: told(number // judge.repeats))
            for (row, reply), (_, answer) in zip(rows, every, strict=True):
                of_row.append(_graded(kind, row, reply, answer))
                if len(of_row) == judge.repeats:
                    yield of_row
                    of_row = []
        except CapReached as reached:
            message = f"the next request to the judge may take {reached.most.tokens:,.0f} tokens, and pass {meter.caps}"
            hint = "every reply is kept, and the same command goes on from here, with a cap of its own"
            raise fail("cap-reached", message, hint) from None


@dataclass(frozen=True)
class Requests:
    """What the judge is asked, made anew at each going through."""

    kind: Kind
    said: Iterable[tuple[Row, str]]
    judge: Judge

    def __iter__(self) -> Iterator[Request]:
        for row, reply in self.said:
            *head, last = self.kind.judge_asked(row, reply)
            prefix = Prefix(name="judge", messages=tuple(Message.model_validate(message) for message in head))
            for n in range(self.judge.repeats):
                asked = JudgeRow(id=f"judge-{row['id']}-{n}", seed=seed_of("judge", n), prompt=last["content"])
                yield Request(asked, prefix, self.judge.sampling)


def _graded(kind: Kind, row: Row, reply: str, answer: Reply) -> Grading:
    if answer.finish == "length":
        return Grading(answer.raw, None, "the judge was cut at judge.max_tokens")
    if answer.finish in ("content_filter", "refusal"):
        return Grading(answer.raw, None, "the judge's server kept its reply back")
    if answer.finish == FAILED:
        return Grading(answer.raw, None, "the judge's server gave no reply")
    try:
        return Grading(answer.raw, kind.read(row, reply, answer.raw), None)
    except ValueError as error:
        return Grading(answer.raw, None, str(error))


def item(kind: Kind, row: Row, reply: Row, graded: list[Grading]) -> Row:
    """A row of items.jsonl: the means over the gradings that could be read. Without any it is missing, never 0."""
    read = [g.measures for g in graded if g.measures is not None]
    unscoreable = reply["unscoreable"]
    if not read and unscoreable is None:
        unscoreable = graded[0].unparsed
    messages = reply["messages"]
    if reply["reply"] is not None:
        messages = [*messages, {"role": "assistant", "content": reply["reply"]}]
    meta = row["metadata"]
    return {
        "id": row["id"],
        **{key: meta[key] for key in ("eval", "item", "topic", "rung")},
        "kind": meta["kind"],
        "about": row["about"],
        "measures": {m: sum(r[m] for r in read) / len(read) if read else None for m in kind.measures},
        "unscoreable": unscoreable,
        **{key: meta[key] for key in ("scenario", "goal", "temperature") if key in meta},
        "finish": reply["finish"],
        "transcript": {"messages": messages, "judge": [g._asdict() for g in graded]},
    }
