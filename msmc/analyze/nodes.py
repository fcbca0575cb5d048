"""Values and rules: their declarations to `ir` nodes, written over what was inherited."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from msmc.analyze.problems import (
    duplicate_id,
    field_missing,
    field_twice,
    idle_override,
    reserved_id,
    unknown_placeholder,
)
from msmc.analyze.wordings import rationales_for, wordings
from msmc.diagnostics import Diagnostic, Label
from msmc.ir import CLAUSE_WORDS, Example, Node, Rule, Subrule, Text, Turn, Value, Wordings
from msmc.source import Span
from msmc.syntax import ast

WORD = re.compile(r"[^\W_]")
IDENTITY = ("assistant", "provider")
FIELDS = ("statement", "rationale", "serves", "priority", "was", "title")
RESERVED = {*CLAUSE_WORDS, "examples", *FIELDS, "prefixes", "own_documents"}
"""No ids: the words of `about`, the fields, since a child's id must not look like one, and files of the build tree."""


NodeT = TypeVar("NodeT", Value, Rule)


@dataclass
class Nodes:
    """The values and rules of one spec or library, by id."""

    values: dict[str, Value] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)

    @property
    def all(self) -> tuple[Value | Rule, ...]:
        return (*self.values.values(), *self.rules.values())

    def examples(self) -> set[str]:
        return {example.id for rule in self.rules.values() for example in rule.examples}

    def __contains__(self, node_id: str) -> bool:
        own = ".".join(node_id.split(".")[:2])  # a spec's or library's name and the node's
        return any(node_id in _ids(nodes[own]) for nodes in (self.values, self.rules) if own in nodes)

    def ids(self) -> set[str]:
        """Every id: nodes, rationales, subrules, examples."""
        return {node_id for node in self.all for node_id in _ids(node)}

    def moved(self, old: str, new: str) -> "Nodes":
        """The same nodes with ids under `new` instead of `old`."""
        values = [move_value(v, old, new) for v in self.values.values()]
        rules = [move_rule(r, old, new) for r in self.rules.values()]
        return Nodes({v.id: v for v in values}, {r.id: r for r in rules})


def _ids(node: Value | Rule) -> Iterator[str]:
    yield node.id
    if node.rationale is not None or (isinstance(node, Rule) and node.rationales_for):
        yield f"{node.id}.rationale"
    for subrule in node.subrules if isinstance(node, Rule) else ():
        yield subrule.id
        if subrule.rationale is not None:
            yield f"{subrule.id}.rationale"
    yield from (example.id for example in (node.examples if isinstance(node, Rule) else ()))


def move_id(node_id: str, old: str, new: str) -> str:
    return new + node_id.removeprefix(old) if node_id.startswith(old + ".") else node_id


def move_value(value: Value, old: str, new: str) -> Value:
    return value.model_copy(update={"id": move_id(value.id, old, new)})


def move_rule(rule: Rule, old: str, new: str) -> Rule:
    def move(part: Subrule | Example) -> Subrule | Example:
        return part.model_copy(update={"id": move_id(part.id, old, new)})

    return rule.model_copy(
        update={
            "id": move_id(rule.id, old, new),
            "serves": tuple(move_id(v, old, new) for v in rule.serves),
            "rationales_for": tuple(
                r.model_copy(update={"value": move_id(r.value, old, new)}) for r in rule.rationales_for
            ),
            "subrules": tuple(map(move, rule.subrules)),
            "examples": tuple(map(move, rule.examples)),
        }
    )


@dataclass
class NodeReader:
    """Reads declarations into `nodes`; what is written replaces what was inherited, field by field."""

    spec: str
    params: dict[str, str]
    declared: dict[str, Span]
    nodes: Nodes
    problems: list[Diagnostic]
    spans: dict[str, Span]
    earlier: dict[str, Span] = field(default_factory=dict)
    """Ids of earlier, to where they are given up."""

    def value(self, decl: ast.ValueDecl) -> None:
        node_id = self._declare(self.spec, decl.name)
        inherited = self.nodes.values.get(node_id)
        self._clash(decl.name, node_id, self.nodes.rules)
        fields = {**wordings(self, node_id, decl.items), **self._earlier(decl)}
        for item in decl.items:
            if isinstance(item, ast.RationaleFor):
                message = "a value serves no value that it could have a reason for"
                where = Label(item.span, "in a value")
                hint = "write it in the rules that serve both, or leave out `for`"
                self.problems.append(Diagnostic("unknown-value", message, where, hint=hint))
        empty = inherited or Value.model_construct(
            id=node_id,
            title=Text.model_construct(parts=(decl.name.word.replace("_", " "),)),
            statement=Wordings.model_construct(),
        )
        fields |= self._title(decl.title)
        self._idle(decl, inherited, fields)
        self.nodes.values[node_id] = empty.model_copy(update=fields)

    def rule(self, decl: ast.RuleDecl, find_value: Callable[[ast.Path], str | None]) -> None:
        node_id = self._declare(self.spec, decl.name)
        inherited = self.nodes.rules.get(node_id)
        self._clash(decl.name, node_id, self.nodes.values)
        rule = inherited or Rule.model_construct(
            id=node_id,
            title=Text.model_construct(parts=(decl.name.word.replace("_", " "),)),
            statement=Wordings.model_construct(),
        )
        fields: dict[str, object] = {**wordings(self, node_id, decl.items), **self._title(decl.title)}
        fields |= {**self._earlier(decl), **self._priority(decl), **rationales_for(self, node_id, decl, find_value)}
        if {"rationale", "rationales_for"} & fields.keys():  # one field in all its forms: it replaces the inherited one
            fields = {"rationale": None, "rationales_for": (), **fields}
        serves = [path for item in decl.items if isinstance(item, ast.Serves) for path in item.values]
        if serves:
            fields["serves"] = tuple(sorted({v for path in serves if (v := find_value(path))}))
        self._idle(decl, inherited, fields)
        subrules = {s.id: s for s in rule.subrules}
        examples = {e.id: e for e in rule.examples}
        for item in decl.items:
            if isinstance(item, ast.Subrule | ast.SubruleBlock):
                self._clash(item.name, f"{node_id}.{item.name.word}", examples)
                subrule = self._subrule(node_id, item)
                subrules[subrule.id] = subrule
            elif isinstance(item, ast.Example):
                self._clash(item.name, f"{node_id}.{item.name.word}", subrules)
                example = self._example(node_id, item)
                examples[example.id] = example
        fields |= {
            "subrules": tuple(subrules[k] for k in sorted(subrules)),
            "examples": tuple(examples[k] for k in sorted(examples)),
        }
        self.nodes.rules[node_id] = rule.model_copy(update=fields)

    def _declare(self, parent: str, name: ast.Name) -> str:
        node_id = f"{parent}.{name.word}"
        if name.word in RESERVED:
            note = "it is the word for a field, for all clauses of a kind, or for a file of the build"
            self.problems.append(reserved_id(f"`{name.word}` cannot be an id", name.span, note=note))
        if node_id in self.declared:
            message = f"`{name.word}` is declared twice"
            self.problems.append(duplicate_id(message, name.span, self.declared[node_id], "rename one of them"))
        self.declared.setdefault(node_id, name.span)
        self.spans.setdefault(node_id, name.span)
        return node_id

    def _clash(self, name: ast.Name, node_id: str, others: Mapping[str, object]) -> None:
        """An inherited node of another kind cannot be overridden, only met."""
        if node_id in others and self.declared.get(node_id, name.span) == name.span:
            message, first = f"`{name.word}` is inherited as something else", self.spans[node_id]
            problem = duplicate_id(message, name.span, first, "rename one of them", "of another kind here")
            self.problems.append(problem)

    def _idle(
        self, decl: ast.ValueDecl | ast.RuleDecl, inherited: Value | Rule | None, fields: Mapping[str, object]
    ) -> None:
        """An override that says what was inherited."""
        same = [
            name for name, written in fields.items() if inherited and written and getattr(inherited, name) == written
        ]
        if same and self.declared[f"{self.spec}.{decl.name.word}"] == decl.name.span:  # else it is declared twice
            first = self.spans[inherited.id] if inherited else None
            self.problems.append(idle_override(decl.name, same, first))

    def _title(self, title: ast.Quoted | None) -> dict[str, object]:
        return {} if title is None else {"title": self.text(title)}

    def text(self, quoted: ast.Quoted) -> Text:
        """The text, after a look at its placeholders."""
        if not WORD.search(quoted.plain):
            empty = not quoted.plain.strip()
            message = "this text is empty" if empty else "this text has no word in it"
            label = "nothing here" if empty else "no letter and no number"
            self.problems.append(field_missing(message, quoted.span, label, "write it, or leave it out"))
        for hole in quoted.holes:
            if hole.word not in IDENTITY and hole.word not in self.params:
                self.problems.append(unknown_placeholder(hole, {*IDENTITY, *self.params}))
        return quoted.text

    def _subrule(self, node_id: str, item: ast.Subrule | ast.SubruleBlock) -> Subrule:
        subrule_id = self._declare(node_id, item.name)
        self.spans[subrule_id] = item.name.span
        if isinstance(item, ast.Subrule):
            return Subrule.model_construct(
                id=subrule_id, statement=Wordings.model_construct(plain=self.text(item.text))
            )
        fields = wordings(self, subrule_id, item.items)
        if "statement" not in fields:
            message = f"`{item.name.word}` says nothing"
            self.problems.append(field_missing(message, item.name.span, "no statement", 'add: statement "…"'))
            fields["statement"] = Wordings.model_construct()
        return Subrule.model_construct(id=subrule_id, **fields)  # type: ignore[arg-type]

    def _example(self, node_id: str, item: ast.Example) -> Example:
        example_id = self._declare(node_id, item.name)
        self.spans[example_id] = item.name.span
        turns = tuple(Turn.model_construct(role=t.role.word, text=self.text(t.text)) for t in item.turns)  # type: ignore[arg-type]
        if turns[-1].role != "assistant":
            message, last = f"the example `{item.name.word}` does not end with the assistant", item.turns[-1].span
            self.problems.append(field_missing(message, last, "the last turn", 'add: assistant "…"'))
        return Example.model_construct(id=example_id, turns=turns)

    def _earlier(self, decl: ast.ValueDecl | ast.RuleDecl) -> dict[str, object]:
        names = [name for item in decl.items if isinstance(item, ast.Was) for name in item.names]
        for name in names:
            first = self.earlier.setdefault(name.word, name.span)
            if first != name.span:
                message = f"`{name.word}` was one node, and cannot have become two"
                self.problems.append(duplicate_id(message, name.span, first, "leave it where its history goes on"))
            if name.word == decl.name.word:
                message = f"`{name.word}` is its id today, not an earlier one"
                self.problems.append(reserved_id(message, name.span, "remove it", label=""))
        return {"was": tuple(sorted({name.word for name in names}))} if names else {}

    def _priority(self, decl: ast.RuleDecl) -> dict[str, object]:
        written = [item for item in decl.items if isinstance(item, ast.Priority)]
        for again in written[1:]:
            self.problems.append(field_twice("`priority` stands twice", again.span, written[0].span))
        return {"priority": written[0].degree.word} if written else {}


def fill_params(node: NodeT, params: dict[str, str]) -> NodeT:
    """The node with every text's params filled in."""

    def fill(item: object) -> object:
        if isinstance(item, Text):
            return item.partly(params)
        if isinstance(item, tuple):
            parts = tuple(fill(part) for part in item)
            return item if all(a is b for a, b in zip(item, parts, strict=True)) else parts
        if isinstance(item, Node):
            fields = {name: fill(value) for name, value in item}
            changed = {name: value for name, value in fields.items() if value is not getattr(item, name)}
            return item.model_copy(update=changed) if changed else item
        return item

    filled = fill(node) if params else node
    assert isinstance(filled, type(node))
    return filled


def by_id(nodes: Iterable[NodeT]) -> tuple[NodeT, ...]:
    return tuple(sorted(nodes, key=lambda node: node.id))
