"""Values and rules: their declarations to `ir` nodes, written over what was inherited."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from msmc.diagnostics import Diagnostic, Label, did_you_mean, not_yet
from msmc.ir import CLAUSE_WORDS, Example, Rule, Subrule, Text, Turn, Value, Wordings
from msmc.source import Span
from msmc.syntax import ast

IDENTITY = ("assistant", "provider")
RESERVED = {*CLAUSE_WORDS, "examples", "statement", "rationale", "serves", "priority", "was", "title", "prefixes"}
"""No ids: the words of `about`, the fields, since a child's id must not look like one, and a file of the build tree."""


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
        return node_id in self.values or node_id in self.rules or node_id in self._ids()

    def ids(self) -> set[str]:
        """Every id: nodes, rationales, subrules, examples."""
        return set(self._ids())

    def _ids(self) -> Iterator[str]:
        for node in self.all:
            yield node.id
            if node.rationale is not None:
                yield f"{node.id}.rationale"
        for rule in self.rules.values():
            for subrule in rule.subrules:
                yield subrule.id
                if subrule.rationale is not None:
                    yield f"{subrule.id}.rationale"
            yield from (example.id for example in rule.examples)

    def moved(self, old: str, new: str) -> "Nodes":
        """The same nodes with ids under `new` instead of `old`."""
        values = [move_value(v, old, new) for v in self.values.values()]
        rules = [move_rule(r, old, new) for r in self.rules.values()]
        return Nodes({v.id: v for v in values}, {r.id: r for r in rules})


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

    def value(self, decl: ast.ValueDecl) -> None:
        node_id = self._declare(self.spec, decl.name)
        inherited = self.nodes.values.get(node_id)
        self._clash(decl.name, node_id, self.nodes.rules)
        fields = self._wordings(node_id, decl.items)
        self._leftovers(decl.items)
        empty = inherited or Value.model_construct(
            id=node_id,
            title=Text.model_construct(parts=(decl.name.word.replace("_", " "),)),
            statement=Wordings.model_construct(),
        )
        self.nodes.values[node_id] = empty.model_copy(update=fields | self._title(decl.title) | _was(decl.items))

    def rule(self, decl: ast.RuleDecl, find_value: Callable[[ast.Path], str | None]) -> None:
        node_id = self._declare(self.spec, decl.name)
        inherited = self.nodes.rules.get(node_id)
        self._clash(decl.name, node_id, self.nodes.values)
        rule = inherited or Rule.model_construct(
            id=node_id,
            title=Text.model_construct(parts=(decl.name.word.replace("_", " "),)),
            statement=Wordings.model_construct(),
        )
        fields = {**self._wordings(node_id, decl.items), **self._title(decl.title), **_was(decl.items)}
        serves = [path for item in decl.items if isinstance(item, ast.Serves) for path in item.values]
        if serves:
            fields["serves"] = tuple(sorted({v for path in serves if (v := find_value(path))}))
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
        self._leftovers(decl.items)
        fields |= {
            "subrules": tuple(subrules[k] for k in sorted(subrules)),
            "examples": tuple(examples[k] for k in sorted(examples)),
        }
        self.nodes.rules[node_id] = rule.model_copy(update=fields)

    def _declare(self, parent: str, name: ast.Name) -> str:
        node_id = f"{parent}.{name.word}"
        if name.word in RESERVED:
            message = f"`{name.word}` cannot be an id"
            note = "it is the word for a field, for all clauses of a kind, or for a file of the build"
            self.problems.append(Diagnostic("reserved-id", message, Label(name.span, "reserved"), note=note))
        if node_id in self.declared:
            first = Label(self.declared[node_id], "first here")
            message = f"`{name.word}` is declared twice"
            hint = "rename one of them"
            self.problems.append(
                Diagnostic("duplicate-id", message, Label(name.span, "again here"), (first,), hint=hint)
            )
        self.declared.setdefault(node_id, name.span)
        self.spans.setdefault(node_id, name.span)
        return node_id

    def _clash(self, name: ast.Name, node_id: str, others: Mapping[str, object]) -> None:
        """An inherited node of another kind cannot be overridden, only met."""
        if node_id in others and self.declared.get(node_id, name.span) == name.span:
            first = Label(self.spans[node_id], "of another kind here")
            message = f"`{name.word}` is inherited as something else"
            where = Label(name.span, "again here")
            self.problems.append(Diagnostic("duplicate-id", message, where, (first,), hint="rename one of them"))

    def _title(self, title: ast.Quoted | None) -> dict[str, object]:
        return {} if title is None else {"title": self.text(title)}

    def text(self, quoted: ast.Quoted) -> Text:
        """The text, after a look at its placeholders."""
        known = {*IDENTITY, *self.params}
        if not any(char.isalnum() for char in quoted.plain):
            empty = not quoted.plain.strip()
            message = "this text is empty" if empty else "this text has no word in it"
            where = Label(quoted.span, "nothing here" if empty else "no letter and no number")
            self.problems.append(Diagnostic("field-missing", message, where, hint="write it, or leave it out"))
        for hole in quoted.holes:
            if hole.word not in known:
                message = f"`{{{hole.word}}}` stands for nothing"
                hint = did_you_mean(hole.word, known)
                note = "for braces as text write \\{"
                label = Label(hole.span, "unknown placeholder")
                self.problems.append(Diagnostic("unknown-placeholder", message, label, note=note, hint=hint))
        return quoted.text

    def _wordings(self, node_id: str, items: tuple[ast.Ast, ...]) -> dict[str, object]:
        """The fields `statement` and `rationale`, where written."""
        found: dict[str, dict[str, Text]] = {}
        spans: dict[tuple[str, str], Span] = {}
        for item in items:
            if not isinstance(item, ast.Statement | ast.Rationale):
                continue
            name = type(item).__name__.lower()
            if isinstance(item.wording, ast.StyleWording):
                self.problems.append(not_yet("a wording by `style`", item.wording.span))
                continue
            level = item.wording.level.word if item.wording else "plain"
            clash = next(
                (
                    w
                    for w in (level, "plain", "general", "specific")
                    if (name, w) in spans and (w == level or "plain" in (w, level))
                ),
                None,
            )
            if clash:
                first = Label(spans[name, clash], "first here")
                message = (
                    f"`{name}` is worded twice" if clash == level else f"`{name}` is both plain and worded by level"
                )
                hint = "a text is plain, or given as `general` and/or `specific`"
                self.problems.append(
                    Diagnostic("field-twice", message, Label(item.span, "again here"), (first,), hint=hint)
                )
                continue
            spans[name, level] = item.span
            found.setdefault(name, {})[level] = self.text(item.text)
            # a clause is where its words are: the first wording's place, in this spec or in the one it extends
            clause = f"{node_id}.rationale" if name == "rationale" else node_id
            if len(found[name]) == 1:
                self.spans[clause] = item.span
        return {name: Wordings.model_construct(None, **texts) for name, texts in found.items()}

    def _subrule(self, node_id: str, item: ast.Subrule | ast.SubruleBlock) -> Subrule:
        subrule_id = self._declare(node_id, item.name)
        self.spans[subrule_id] = item.name.span
        if isinstance(item, ast.Subrule):
            return Subrule.model_construct(
                id=subrule_id, statement=Wordings.model_construct(plain=self.text(item.text))
            )
        fields = self._wordings(subrule_id, item.items)
        if "statement" not in fields:
            where = Label(item.name.span, "no statement")
            self.problems.append(
                Diagnostic("field-missing", f"`{item.name.word}` says nothing", where, hint='add: statement "…"')
            )
            fields["statement"] = Wordings.model_construct()
        return Subrule.model_construct(id=subrule_id, **fields)  # type: ignore[arg-type]

    def _example(self, node_id: str, item: ast.Example) -> Example:
        example_id = self._declare(node_id, item.name)
        self.spans[example_id] = item.name.span
        turns = tuple(Turn.model_construct(role=t.role.word, text=self.text(t.text)) for t in item.turns)  # type: ignore[arg-type]
        if turns[-1].role != "assistant":
            where = Label(item.turns[-1].span, "the last turn")
            message = f"the example `{item.name.word}` does not end with the assistant"
            hint = 'add: assistant "…"'
            self.problems.append(Diagnostic("field-missing", message, where, hint=hint))
        return Example.model_construct(id=example_id, turns=turns)

    def _leftovers(self, items: tuple[ast.Ast, ...]) -> None:
        for item in items:
            if isinstance(item, ast.RationaleFor):
                self.problems.append(not_yet("`rationale for`", item.span))
            elif isinstance(item, ast.Priority):
                self.problems.append(not_yet("`priority`", item.span))


def _was(items: tuple[ast.Ast, ...]) -> dict[str, object]:
    names = tuple(name.word for item in items if isinstance(item, ast.Was) for name in item.names)
    return {"was": names} if names else {}
