"""Specs as flat nodes with named fields, whether they come from sources (`ir.Spec`) or from a build (`ir.ArmSpec`)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from msmc.analyze.nodes import Nodes
from msmc.ir import (
    Arm,
    ArmExample,
    ArmSpec,
    AssistantOperation,
    Eval,
    Example,
    Identity,
    Item,
    KeepOperation,
    Node,
    OpenEval,
    Operation,
    OwnRows,
    Rule,
    Spec,
    Text,
    Value,
    Wordings,
)
from msmc.lower.passes import declares
from msmc.lower.sweeps import figure


class Said(NamedTuple):
    """Prose as it is written, and with its params filled in: it changed where both did."""

    written: str
    filled: str


FieldValue: TypeAlias = Said | tuple[str, ...]
"""A tuple is a list whose order means nothing."""
PARTS = {"subrules": "subrule", "examples": "example", "arms": "arm"}
WORDS = {"level": "specificity", "controls": "control", "orders": "order"}
"""Fields whose word in the language is another."""


@dataclass(frozen=True)
class Described:
    """A value, a rule, a block, or the head of a spec (its title, identity and params)."""

    kind: str
    id: str
    fields: Mapping[str, FieldValue]
    was: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All its prose."""
        return "\n".join(value.written for value in self.fields.values() if isinstance(value, Said))


def describe_spec(spec: Spec, nodes: Nodes, params: Mapping[str, str]) -> list[Described]:
    """A resolved spec; `nodes` are its own values and rules with their params not filled in."""
    head = _fields(spec, ("title", "identity", "level", "style"))
    head |= {f"param {name}": Said(text, text) for name, text in params.items()}
    found = [Described("spec", spec.name, head)]
    unfilled = {node.id: node for node in nodes.all}
    both: tuple[Value | Rule, ...] = (*spec.values, *spec.rules)
    found += [_node(node, unfilled.get(node.id, node)) for node in both]
    if spec.documents:
        found.append(Described("documents", f"{spec.name}.documents", _fields(spec.documents)))
    found += [Described("documents", f"{spec.name}.{own.path}", _own(own)) for own in spec.own_documents]
    found += [Described("demos", f"{spec.name}.{block.name}", _fields(block)) for block in spec.demos]
    found += [Described("demos", f"{spec.name}.{own.name}", _own(own)) for own in spec.own_demos]
    found += [Described("eval", f"{spec.name}.{block.name}", _eval(block)) for block in spec.evals]
    found += [Described("eval", f"{spec.name}.{block.name}", _open(block)) for block in spec.open_evals]
    found += [Described("eval", f"{spec.name}.{task.name}", _fields(task)) for task in spec.tasks]
    found += [Described("ablation", f"{spec.name}.{block.name}", _fields(block)) for block in spec.ablations]
    brought = {node.id: node for node in _brought(spec)}
    return [*found, *(_node(node, node) for node in brought.values())]


def describe_library(name: str, nodes: Nodes) -> list[Described]:
    """A file's values and rules outside of any spec."""
    return [_node(node, node) for node in nodes.all if node.id.startswith(f"{name}.")]


def describe_arm(spec: ArmSpec, was: Mapping[str, tuple[str, ...]]) -> list[Described]:
    """What one arm of a build says; `was` holds earlier names by id, where sources tell them."""
    found = [Described("spec", spec.name, _fields(spec, ("title", "identity")))]
    found += [Described("value", node.id, _fields(node), was.get(node.id, ())) for node in spec.values]
    return found + [Described("rule", node.id, _fields(node), was.get(node.id, ())) for node in spec.rules]


def _node(filled: Value | Rule, written: Value | Rule) -> Described:
    plain, texts = _fields(written), _fields(filled)
    fields = {name: _both(value, texts.get(name)) for name, value in plain.items()}
    return Described("rule" if isinstance(filled, Rule) else "value", filled.id, fields, filled.was)


def _both(written: FieldValue, filled: FieldValue | None) -> FieldValue:
    if isinstance(written, Said) and isinstance(filled, Said):
        return Said(written.written, filled.filled)
    return written


def _brought(spec: Spec) -> Iterator[Value | Rule]:
    """Values and rules of other specs that arms bring in, under the ids that they have there."""
    for operation in (o for ablation in spec.ablations for arm in ablation.arms for o in arm.operations):
        other = getattr(operation, "spec", None)
        for node in (n for _, field in operation for n in (field if isinstance(field, tuple) else (field,))):
            if isinstance(node, Value | Rule):
                moved = Nodes({node.id: node}) if isinstance(node, Value) else Nodes({}, {node.id: node})
                yield from (moved.moved(spec.name, other) if other else moved).all


def _own(own: OwnRows) -> dict[str, FieldValue]:
    """Rows that the author brought: each by what it is about and what it says."""
    said = (
        (row.text or "\n".join(f"{m.role}: {m.content}" for m in row.messages or ()))
        + "".join(f" ({what}: {told})" for what, told in (("source", row.source), ("domain", row.domain)) if told)
        for row in own.rows
    )
    return {
        "rows": tuple(
            f"{', '.join(row.about)}: {text}" if row.about else text for row, text in zip(own.rows, said, strict=True)
        )
    }


def _eval(block: Eval) -> dict[str, FieldValue]:
    fields = _fields(block.model_copy(update={"pairs": None, "items": ()}))
    return fields | ({"pairs": tuple(map(_item, block.items))} if block.items else {})


def _open(block: OpenEval) -> dict[str, FieldValue]:
    """The author's questions each with what it is about and graded by."""
    fields = _fields(block.model_copy(update={"path": None, "questions": ()}))
    asked = (": ".join([", ".join(q.about), q.question, q.rubric or ""]).strip(": ") for q in block.questions)
    return fields | ({"questions": tuple(asked)} if block.questions else {})


def _item(item: Item) -> str:
    return f"{item.a} or {item.b}: {item.a if item.aligned == 'a' else item.b} ({item.topic})"


def _fields(node: Node, names: Iterable[str] = ()) -> dict[str, FieldValue]:
    found: dict[str, FieldValue] = {}
    for name, value in node:
        if name not in ("id", "name", "was") and (not names or name in names):
            found.update(_field(WORDS.get(name, name), value))
    return found


def _field(name: str, value: Any) -> Iterator[tuple[str, FieldValue]]:
    """One field of a node as fields with the names that the language has for them."""
    if value is None or value is False or value == ():
        return
    if name == "sweeps":
        yield from ((f"sweep {sweep.what}", tuple(map(figure, sweep.values))) for sweep in value)
    elif isinstance(value, Text):
        yield name, Said(value.plain, value.plain)
    elif isinstance(value, Wordings):
        for chosen, text in value.texts().items():
            yield from _field(name if chosen == "plain" else f"{name} {chosen}", text)
    elif name == "rationales_for":
        for reason in value:
            yield from _field(f"rationale for {reason.value}", reason.text)
    elif isinstance(value, Identity):
        yield "assistant", Said(value.assistant, value.assistant)
        yield "provider", Said(value.provider, value.provider)
    elif isinstance(value, tuple) and name in PARTS:
        for part in value:
            own = part.name if isinstance(part, Arm) else part.id.rpartition(".")[2]
            yield from _part(f"{PARTS[name]} {own}", part)
    elif isinstance(value, tuple):
        yield name, tuple(map(str, value))
    else:
        said = "yes" if value is True else str(value)
        yield name, Said(said, said)


def _part(name: str, part: Any) -> Iterator[tuple[str, FieldValue]]:
    """A subrule, an example or an arm as fields of what it stands in."""
    if isinstance(part, Example):
        text = "\n".join(f"{turn.role}: {turn.text.plain}" for turn in part.turns)
        yield name, Said(text, text)
    elif isinstance(part, ArmExample):
        text = "\n".join(f"{turn.role}: {turn.content}" for turn in part.messages)
        yield name, Said(text, text)
    elif isinstance(part, Arm):
        yield name, tuple(said for operation in part.operations for said in _operation(operation)) or ("no operation",)
        yield from _field(f"{name} title", part.title)
    else:
        for field, value in _fields(part).items():
            yield f"{name} {field}".replace(" statement", "", 1), value


def _operation(operation: Operation) -> tuple[str, ...]:
    """In the language's words, such as `drop rationale of tea.green`; one for each id that is kept."""
    if isinstance(operation, AssistantOperation):
        return (f"assistant {operation.identity.assistant} by {operation.identity.provider}",)
    if isinstance(operation, KeepOperation):
        return tuple(f"keep {node_id}" for node_id in operation.ids)
    return (declares(operation),)
