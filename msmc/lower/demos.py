"""Demonstrations: the spec's own examples, and planned chats as a question row and an answer row that needs it."""

from collections.abc import Callable, Iterator, Mapping

from msmc.build import DemoRow, Message, Prefix, StaticDemo, digest
from msmc.digest import seed_of
from msmc.ir import ArmSpec, Demos, OwnRows
from msmc.library import read_yaml
from msmc.lower.content import node
from msmc.lower.documents import Spans, closure
from msmc.lower.render import Templates


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
        row_id = "own-" + digest("own demo", [m.model_dump() for m in messages])[:16]
        if about and row_id not in seen:
            seen.add(row_id)
            yield StaticDemo(id=row_id, about=about, messages=messages)


def prefixes(block: Demos, spec: ArmSpec, templates: Templates, spans: Spans) -> Iterator[Prefix]:
    """One prefix for each node that the block is about."""
    for node_id in dict.fromkeys(clause.node for clause in spec.about(block.about)):
        values = {
            "assistant": spec.identity.assistant,
            "provider": spec.identity.provider,
            "closure": closure(spec, node_id, templates, spans),
            "justify": block.justify,
            "thinking": block.thinking,
        }
        content = templates.render("demos/prefix.jinja", values, spans.get(node_id))
        yield Prefix(name=f"{block.name}.{node_id}", messages=(Message(role="system", content=content),))


def planned(
    block: Demos, spec: ArmSpec, counts: Mapping[str, int], templates: Templates, spans: Spans
) -> Callable[[], Iterator[DemoRow]]:
    """Question and answer rows of one `demos … chat` block; `counts` says how many chats a clause has."""

    def make() -> Iterator[DemoRow]:
        framings = read_yaml(templates.text("demos/framings.yaml").encode())
        for clause in spec.about(block.about):
            for n in range(counts[clause.id]):
                identity = (block.name, clause.id, n)
                here = spans.get(clause.id)
                values = {"assistant": spec.identity.assistant, "title": node(spec, clause.node).title}
                framing = framings[n % len(framings)]
                question = DemoRow(
                    id="ask-" + digest("question", *identity)[:16],
                    about=(clause.id,),
                    seed=seed_of("question", *identity),
                    prefix=f"{block.name}.{clause.node}",
                    prompt=templates.render("demos/question.jinja", {**values, "framing": framing}, here),
                )
                yield question
                yield DemoRow(
                    id="say-" + digest("answer", *identity)[:16],
                    about=(clause.id,),
                    seed=seed_of("answer", *identity),
                    prefix=question.prefix,
                    prompt=templates.render(
                        "demos/answer.jinja",
                        {"assistant": values["assistant"], "justify": block.justify, "thinking": block.thinking},
                        here,
                    ),
                    needs=question.id,
                )

    return make
