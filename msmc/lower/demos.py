"""Demonstrations: the spec's own examples, and planned chats as question rows, written without the spec, and answer rows."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice

from msmc.build import DemoRow, Message, Prefix, StaticDemo, digest
from msmc.digest import seed_of
from msmc.ir import ArmRule, ArmSpec, Clause, Demos, OwnRows
from msmc.lower.content import REASON_FOR, name_of, node
from msmc.lower.context import Shown, Spans, serves
from msmc.lower.render import Templates
from msmc.lower.shapes import Framing, Shapes
from msmc.prose import one_line
from msmc.source import Span


def static(spec: ArmSpec) -> Iterator[StaticDemo]:
    """The `example` blocks, in the order of their ids."""
    for rule in spec.rules:
        for example in rule.examples:
            messages = tuple(Message(role=m.role, content=m.content) for m in example.messages)
            row_id = "demo-" + digest("static", example.id)[:16]
            yield StaticDemo(id=row_id, about=(rule.id, example.id), messages=messages)


def own(rows: OwnRows, spec: ArmSpec) -> Iterator[StaticDemo]:
    """The author's chats about what an arm has, in the order of their lines; each once."""
    seen = set()
    for row in rows.rows:
        about = spec.meant(row.about)
        messages = tuple(Message(role=turn.role, content=turn.content) for turn in row.messages or ())
        if about and row.chat_id not in seen:
            seen.add(row.chat_id)
            yield StaticDemo(id=row.chat_id, about=about, messages=messages)


def prefixes(block: Demos, spec: ArmSpec, shown: Shown, templates: Templates, spans: Spans) -> Iterator[Prefix]:
    """One prefix for all questions, which shows nothing of the spec, and one for the answers of each node."""
    identity = {"assistant": spec.identity.assistant, "provider": spec.identity.provider}
    content = templates.render("demos/question_prefix.jinja", {**identity, "justify": block.justify})
    yield Prefix(name=_asked_from(block), messages=(Message(role="system", content=content),))
    for node_id in dict.fromkeys(clause.node for clause in spec.about(block.about)):
        values = {
            **shown(node_id),
            "is_rule": isinstance(node(spec, node_id), ArmRule),
            "values": serves(spec, node_id) or not isinstance(node(spec, node_id), ArmRule),
            "justify": block.justify,
            "thinking": block.thinking,
        }
        content = templates.render("demos/answer_prefix.jinja", values, spans.get(node_id))
        yield Prefix(name=f"{block.name}.{node_id}", messages=(Message(role="system", content=content),))


def _asked_from(block: Demos) -> str:
    return f"{block.name}.question"


def planned(
    block: Demos, spec: ArmSpec, counts: Mapping[str, int], shapes: Shapes, templates: Templates, spans: Spans
) -> Callable[[], Iterator[DemoRow]]:
    """The rows of one `demos … chat` block, each behind the row that it needs; `counts` says how many chats a clause has."""

    def make() -> Iterator[DemoRow]:
        for clause in spec.about(block.about):
            answer = templates.render("demos/answer.jinja", {"clause": _shown_by_answers(block, spec, clause)})
            topic = _topics(block, spec, clause)
            for n, framing in enumerate(islice(shapes.of(block.name, clause.id), counts[clause.id])):
                said = partial(_question, topic(n), framing, templates, spans.get(clause.id))
                yield from _chat(block, clause, n, said, answer, second=framing.two_rounds)

    return make


def _chat(
    block: Demos, clause: Clause, n: int, question: Callable[[bool], str], answer: str, second: bool
) -> Iterator[DemoRow]:
    """A question and its answer; in a chat of two rounds the second question, which needs the answer, and the last answer."""
    needs = None
    for asked, said in (("question", "answer"), ("second question", "last answer"))[: 2 if second else 1]:
        for role, kind in ((asked, "ask"), (said, "say")):
            identity = (role, block.name, clause.id, n)
            row_id = f"{kind}-{digest(*identity)[:16]}"
            yield DemoRow(
                id=row_id,
                about=(clause.id,),
                seed=seed_of(*identity),
                prefix=_asked_from(block) if kind == "ask" else f"{block.name}.{clause.node}",
                prompt=question(role == "second question") if kind == "ask" else answer,
                needs=needs,
            )
            needs = row_id


def _question(topic: str, framing: Framing, templates: Templates, here: Span | None, follow_up: bool) -> str:
    values = {"topic": topic, **vars(framing), "two_rounds": framing.two_rounds, "follow_up": follow_up}
    return templates.render("demos/question.jinja", values, here)


def _topics(block: Demos, spec: ArmSpec, clause: Clause) -> Callable[[int], str]:
    """The subject of a clause's n-th chat as a user meets it, and no text of the spec: its title, with a subrule's id as the
    case. A value is met in what the rules that serve it are about: a title of theirs, taken by a digest, so that a new rule
    changes no subject but to its own.
    """
    served_by = {rule.title for rule in spec.rules if clause.node in rule.serves}
    case = clause.id.removesuffix(".rationale").removeprefix(clause.node).removeprefix(".").replace("_", " ")
    own = one_line(node(spec, clause.node).title) + (f" ({case})" if case else "")

    def topic(n: int) -> str:
        chosen = max(served_by, key=lambda title: digest("subject", block.name, clause.id, n, title), default=own)
        return one_line(chosen)

    return topic


def _shown_by_answers(block: Demos, spec: ArmSpec, clause: Clause) -> str:
    """The clause as an answer's prompt calls it. A reason is shown by what it is the reason for, unless answers give it."""
    found = name_of(spec, clause)
    return found if block.justify == "value" else found.removeprefix(REASON_FOR)
