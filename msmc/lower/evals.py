"""Evaluations: every item in both option orders, letters set by code. Made from `full` alone: arms never change evals."""

from collections.abc import Callable, Iterator
from typing import Literal

from msmc.build import EvalMetadata, EvalRow, digest
from msmc.ir import ArmSpec, Clause, Eval, Item
from msmc.lower.cells import seed_of
from msmc.lower.documents import node
from msmc.lower.render import Templates
from msmc.mention import Mentions
from msmc.prose import sentences


def first_sentence(text: str) -> str:
    """The first sentence, on one line."""
    return sentences(text)[0]


def rows(block: Eval, full: ArmSpec, others: list[ArmSpec], templates: Templates) -> Callable[[], Iterator[EvalRow]]:
    """The rows of one evaluation. `others` are specs that arms put in the place of this one: they lend wrong answers."""
    if block.kind == "preference":
        return lambda: _preference(block, full, templates)
    return lambda: _recall(block, full, others, templates)


def _preference(block: Eval, full: ArmSpec, templates: Templates) -> Iterator[EvalRow]:
    own = {clause.id: clause for clause in full.about(block.about)}
    # a node of another spec, such as the value an arm brings in, is named by its id alone
    everything = (*own, *(a for a in block.about if "." in a and a not in own))
    titles = {c.id: Mentions([node(full, c.node).title]) for c in own.values()} if len(own) > 1 else {}
    for item in block.items:
        met = tuple(i for i, title in titles.items() if title.find(f"{item.a} / {item.b}"))
        yield from _orders(block, met or everything, item, "preference", templates, item.topic)


def _orders(
    block: Eval, about: tuple[str, ...], item: Item, form: str, templates: Templates, topic: str, **values: object
) -> Iterator[EvalRow]:
    item_id = digest("item", block.name, topic, item.a, item.b)[:16]
    aligned, other = (item.a, item.b) if item.aligned == "a" else (item.b, item.a)
    orders: tuple[Literal[0], Literal[1]] = (0, 1)
    for order in orders:
        first, second = (aligned, other) if order == 0 else (other, aligned)
        question = templates.render(f"evals/{form}_question.jinja", {"first": first, "second": second, **values})
        if form == "preference":
            said = tuple(templates.render("evals/preference_answer.jinja", {"option": o}) for o in (first, second))
        else:
            said = (first, second)
        yield EvalRow(
            id=f"{block.name}-{item_id}-{order}",
            about=about,
            input=question.strip(),
            choices=(said[0], said[1]),
            target="A" if order == 0 else "B",
            metadata=EvalMetadata(eval=block.name, item=item_id, order=order, topic=topic, rung=block.rung),
        )


def _recall(block: Eval, full: ArmSpec, others: list[ArmSpec], templates: Templates) -> Iterator[EvalRow]:
    """True sentence of a clause against a wrong one: the same clause's in another spec, else another clause's."""
    for clause in full.about(block.about):
        wrong, foreign = _wrong(clause, full, others)
        if wrong is None:
            continue
        item = Item(a=first_sentence(clause.text), b=first_sentence(wrong.text), aligned="a", topic=clause.node)
        title = node(full, clause.node).title
        values = {"assistant": full.identity.assistant, "kind": clause.kind, "title": title, "foreign": foreign}
        yield from _orders(block, (clause.id,), item, "recall", templates, clause.node, **values)


def _wrong(clause: Clause, full: ArmSpec, others: list[ArmSpec]) -> tuple[Clause | None, bool]:
    """A clause of the same kind that says something else, and whether it is another spec's."""

    def differs(candidate: Clause) -> bool:
        return candidate.kind == clause.kind and first_sentence(candidate.text) != first_sentence(clause.text)

    foreign = [c for other in others for c in other.clauses() if differs(c)]
    counterparts = [c for c in foreign if c.id == clause.id]
    own_ids = {c.id for c in full.clauses()}
    strangers = [c for c in foreign if c.id not in own_ids]
    siblings = [c for c in full.clauses() if differs(c) and c.id != clause.id]
    for pool in (counterparts, strangers, siblings):
        if pool:
            return pool[seed_of("wrong", clause.id) % len(pool)], pool is not siblings
    return None, False
