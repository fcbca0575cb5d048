"""Evaluations: every question in both option orders, letters set by code. Made from `full` alone: arms never change evals."""

from collections.abc import Callable, Iterator
from typing import Literal

from msmc.build import EvalMetadata, EvalRow, digest
from msmc.ir import ArmSpec, Eval
from msmc.lower.context import Spans
from msmc.lower.questions import Question, questions
from msmc.lower.render import Templates


def rows(
    block: Eval, full: ArmSpec, others: list[ArmSpec], templates: Templates, spans: Spans
) -> Callable[[], Iterator[EvalRow]]:
    """The rows of one evaluation."""
    return lambda: (row for asked in questions(block, full, others) for row in _orders(block, asked, templates, spans))


def _orders(block: Eval, asked: Question, templates: Templates, spans: Spans) -> Iterator[EvalRow]:
    item, form = asked.item, asked.form
    # a clause's own question, whatever its wording, so that an edit makes its rows stale and no new ones
    identity = (*asked.about, *(["cloze"] if form == "cloze" else [])) if form else (item.topic, item.a, item.b)
    item_id = digest("item", block.name, *identity)[:16]
    template = "evals/recall_cloze.jinja" if form == "cloze" else f"evals/{block.kind}_question.jinja"
    aligned, other = (item.a, item.b) if item.aligned == "a" else (item.b, item.a)
    orders: tuple[Literal[0], Literal[1]] = (0, 1)
    for order in orders:
        first, second = (aligned, other) if order == 0 else (other, aligned)
        shown = {} if form == "cloze" else {"first": first, "second": second}
        here = spans.get(asked.about[0])
        said = [first, second]
        if block.kind == "preference":
            said = [templates.render("evals/preference_answer.jinja", {"option": option}, here) for option in said]
        yield EvalRow(
            id=f"{block.name}-{item_id}-{order}",
            about=asked.about,
            input=templates.render(template, shown | asked.values, here).strip(),
            choices=(said[0], said[1]),
            target="A" if order == 0 else "B",
            metadata=EvalMetadata(
                eval=block.name,
                item=item_id,
                order=order,
                topic=item.topic,
                rung=block.rung,
                form=form,
                options=(first, second) if said != [first, second] else None,
            ),
        )
