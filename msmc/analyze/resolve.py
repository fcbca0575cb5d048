"""`ast.File`s to `ir.Spec`: names, duplicates, inheritance, what is missing, what is not lowered yet."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from msmc.analyze.blocks import BlockReader
from msmc.analyze.files import Files
from msmc.analyze.nodes import IDENTITY, NodeReader, Nodes, by_id, fill_params, move_id
from msmc.analyze.problems import (
    duplicate_id,
    field_missing,
    field_twice,
    import_circle,
    reserved_id,
    unknown_name,
    unknown_value,
)
from msmc.diagnostics import Diagnostic
from msmc.ir import Identity, Level, Rule, Spec, Text, Value, Wordings
from msmc.library import Library
from msmc.source import Sources, Span
from msmc.syntax import ast

NodeT = TypeVar("NodeT", Value, Rule)
COMPARED = 100_000
"""Known names that unknown ones are compared with, for hints; a file of nothing but strangers would never end."""


@dataclass
class _Open:
    """A spec or library whose params are not filled in yet: what `extends` inherits."""

    name: str
    title: Text = field(default_factory=lambda: Text.model_construct(parts=()))
    identity: Identity | None = None
    level: Level | None = None
    style: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    nodes: Nodes = field(default_factory=Nodes)
    declared: dict[str, Span] = field(default_factory=dict)
    """Ids declared in this very spec, for duplicates."""


class Resolver:
    """Resolves the specs of a set of files; `problems` and `spans` (id to place) fill as it goes."""

    def __init__(self, files: Files, sources: Sources, library: Library) -> None:
        self.files, self.sources, self.library = files, sources, library
        self.problems: list[Diagnostic] = []
        self.spans: dict[str, Span] = {}
        self._declared: dict[str, dict[str, ast.SpecDecl]] = {}
        self._open: dict[tuple[str, str], _Open | None] = {}
        self._libraries: dict[str, _Open] = {}
        self._foreign: dict[str, dict[str, str]] = {}
        self._compared = 0

    # ---- finding ------------------------------------------------------------------------------------------------------

    def spec_decls(self, path: str) -> list[ast.SpecDecl]:
        tree = self.files.trees.get(path)
        return [item for item in tree.items if isinstance(item, ast.SpecDecl)] if tree else []

    def find_spec(self, file: str, path: ast.Path) -> tuple[str, ast.SpecDecl] | None:
        """The spec that `alias.name` or a name of this file stands for; else a problem is noted."""
        if found := self._spec(file, path):
            return found
        if self._import_failed(file, path.words[0].word):
            return None
        known = [d.name.word for d in self.spec_decls(file)]
        for (importer, alias), target in self.files.imports.items():
            known += [f"{alias}.{d.name.word}" for d in self.spec_decls(target)] if importer == file else []
        self.problems.append(unknown_name(path, "spec", known, "no spec with this name"))
        return None

    def _spec(self, file: str, path: ast.Path) -> tuple[str, ast.SpecDecl] | None:
        words = [name.word for name in path.words]
        where, name = (self.files.imports.get((file, words[0])), words[1]) if len(words) == 2 else (file, words[0])
        if where is None or len(words) > 2:
            return None
        if where not in self._declared:
            self._declared[where] = {decl.name.word: decl for decl in reversed(self.spec_decls(where))}
        decl = self._declared[where].get(name)
        return (where, decl) if decl else None

    def _import_failed(self, file: str, alias: str) -> bool:
        """Is it the name of an import of this file that could not be read? Its own error is already told."""
        tree = self.files.trees[file]
        declared = any(isinstance(i, ast.ImportDecl) and i.alias.word == alias for i in tree.items)
        return declared and self.files.imports.get((file, alias)) not in self.files.trees

    def find_node(
        self, file: str, spec: str, nodes: Nodes, path: ast.Path, what: str = "value, rule or clause"
    ) -> str | None:
        """The id that a dotted path means inside a spec (or library) called `spec`; else a problem is noted."""
        words = [name.word for name in path.words]
        candidates = [".".join([spec, *words]), ".".join(words) if words[0] == spec else ""]
        for candidate in candidates:
            if candidate in (nodes.values if what == "value" else nodes):
                return candidate
        foreign = self._foreign_ids(file)
        if path.dotted in foreign and (what != "value" or self.value(foreign[path.dotted])):
            return foreign[path.dotted]
        if self._import_failed(file, words[0]):
            return None
        known = self._known(spec, nodes, foreign, what)
        self.problems.append(unknown_value(path, known) if what == "value" else unknown_name(path, what, known))
        return None

    def _known(self, spec: str, nodes: Nodes, foreign: dict[str, str], what: str) -> list[str]:
        """What a name that nothing has may have meant; nothing once too much was compared."""
        if self._compared > COMPARED:
            return []
        only = nodes.values.keys() if what == "value" else nodes.ids()
        known = [i.removeprefix(spec + ".") for i in only]
        known += [i for i in foreign if what != "value" or i.count(".") == 1]
        self._compared += len(known)
        return known

    def _foreign_ids(self, file: str) -> dict[str, str]:
        """What the file's imports offer: dotted path as written here, to id."""
        if file in self._foreign:
            return self._foreign[file]
        found = self._foreign[file] = {}
        for (importer, alias), target in self.files.imports.items():
            if importer != file or target not in self.files.trees:
                continue
            opened = self.library_of(target)
            found |= {i.replace(opened.name, alias, 1): i for i in opened.nodes.ids()}
            for decl in self.spec_decls(target):
                if inner := self.open_spec(target, decl):
                    found |= {f"{alias}.{i}": i for i in inner.nodes.ids()}
        return found

    def roots(self) -> None:
        """Every id begins with a spec's name or a library's stem: no two may be the same."""
        seen: dict[str, Span] = {}
        for path, tree in self.files.trees.items():
            nodes = [item for item in tree.items if isinstance(item, ast.ValueDecl | ast.RuleDecl)]
            stem = posixpath.splitext(posixpath.basename(path))[0]
            found = [(stem, nodes[0].name.span)] if nodes else []
            for name, span in [*found, *((d.name.word, d.name.span) for d in self.spec_decls(path))]:
                if name in seen:
                    message = f"two specs or libraries are called `{name}`, so their ids would be the same"
                    self.problems.append(
                        duplicate_id(message, span, seen[name], "rename the spec, or the library's file")
                    )
                seen.setdefault(name, span)

    # ---- specs and libraries --------------------------------------------------------------------------------------------

    def library_of(self, path: str) -> _Open:
        """A file's top-level values and rules; their ids begin with the file's stem."""
        if path not in self._libraries:
            opened = _Open(posixpath.splitext(posixpath.basename(path))[0])
            self._libraries[path] = opened
            items = [i for i in self.files.trees[path].items if isinstance(i, ast.ValueDecl | ast.RuleDecl)]
            self._read_nodes(path, opened, items)
            self._finish(opened)
        return self._libraries[path]

    def open_spec(self, path: str, decl: ast.SpecDecl) -> _Open | None:
        """A spec before its params are filled in; None while it is being opened, which is a circle of `extends`."""
        line = list[tuple[str, ast.SpecDecl]]()
        found: tuple[str, ast.SpecDecl] | None = (path, decl)
        while found and (key := (found[0], found[1].name.word)) not in self._open:  # the eldest first
            self._open[key] = None
            self.spans[found[1].name.word] = found[1].name.span
            line.append(found)
            found = self._spec(found[0], found[1].extends) if found[1].extends else None
        for file, one in reversed(line):
            self._open[file, one.name.word] = self._opened(file, one)
        return self._open[path, decl.name.word]

    def _opened(self, path: str, decl: ast.SpecDecl) -> _Open:
        opened = _Open(decl.name.word)
        self._inherit(path, decl, opened)
        self._read_head(decl, opened)
        if decl.title:
            opened.title = self._reader(opened).text(decl.title)
        elif not opened.title.parts:
            opened.title = Text.model_construct(parts=(decl.name.word,))
        self._read_nodes(path, opened, [i for i in decl.items if isinstance(i, ast.ValueDecl | ast.RuleDecl)])
        return opened

    def _inherit(self, path: str, decl: ast.SpecDecl, opened: _Open) -> None:
        if decl.extends is None or (found := self.find_spec(path, decl.extends)) is None:
            return
        parent = self.open_spec(*found)
        if parent is None:
            note = f"`{decl.extends.dotted}` extends, in the end, `{decl.name.word}`"
            self.problems.append(import_circle("these specs extend each other", decl.extends.span, note))
            return
        opened.title, opened.identity = parent.title, parent.identity
        opened.level, opened.style = parent.level, parent.style
        opened.params = dict(parent.params)
        opened.nodes = parent.nodes.moved(parent.name, opened.name)
        self._move_spans(parent.nodes, parent.name, opened.name)

    def _move_spans(self, nodes: Nodes, old: str, new: str) -> None:
        for node_id in nodes.ids():
            if node_id in self.spans:
                self.spans.setdefault(node_id.replace(old, new, 1), self.spans[node_id])
        for rule in nodes.rules.values():
            for reason in rule.rationales_for:
                place = f"{rule.id}.rationale for {reason.value}"
                moved = f"{move_id(rule.id, old, new)}.rationale for {move_id(reason.value, old, new)}"
                if place in self.spans:
                    self.spans.setdefault(moved, self.spans[place])

    def _read_head(self, decl: ast.SpecDecl, opened: _Open) -> None:
        seen: dict[str, Span] = {}
        for item in decl.items:
            if isinstance(item, ast.Version | ast.Assistant | ast.Specificity | ast.Style):
                self.once(seen, type(item).__name__.lower(), item.span)
            if isinstance(item, ast.Assistant):
                opened.identity = Identity.model_construct(assistant=item.name.plain, provider=item.provider.plain)
                for quoted in (item.name, item.provider):
                    if not quoted.plain.strip():
                        self.problems.append(field_missing("this name is empty", quoted.span, "", "write the name"))
            elif isinstance(item, ast.Specificity):
                opened.level = item.level.word  # type: ignore[assignment]
            elif isinstance(item, ast.Style):
                opened.style = item.name.word
            elif isinstance(item, ast.Param):
                self.once(seen, f"param {item.name.word}", item.span)
                if item.name.word in IDENTITY:
                    message = f'`{item.name.word}` is set by `assistant "…" by "…"`'
                    self.problems.append(reserved_id(message, item.name.span, label="no name for a param"))
                opened.params[item.name.word] = item.text.plain

    def once(self, seen: dict[str, Span], what: str, span: Span) -> bool:
        """Notes a problem when `what` was already seen."""
        if what in seen:
            self.problems.append(field_twice(f"`{what}` stands twice", span, seen[what]))
            return False
        seen[what] = span
        return True

    def _reader(self, opened: _Open) -> NodeReader:
        return NodeReader(opened.name, opened.params, opened.declared, opened.nodes, self.problems, self.spans)

    def _read_nodes(self, path: str, opened: _Open, items: Sequence[ast.ValueDecl | ast.RuleDecl]) -> None:
        reader = self._reader(opened)
        # values first: a rule may serve a value that stands below it
        for item in sorted(items, key=lambda i: isinstance(i, ast.RuleDecl)):
            if isinstance(item, ast.ValueDecl):
                reader.value(item)
            else:
                reader.rule(item, lambda p: self.find_node(path, opened.name, opened.nodes, p, "value"))

    def resolve(self, path: str, decl: ast.SpecDecl) -> Spec | None:
        """The whole spec; None when it could not be opened at all."""
        opened = self.open_spec(path, decl)
        if opened is None:
            return None
        self._finish(opened)
        blocks = BlockReader(self, path, self._reader(opened)).read(decl)
        values, rules = self.closed(opened)
        values = (*values, *self.library_values(values, rules))
        return Spec.model_construct(
            name=opened.name,
            title=opened.title.partly(opened.params),
            identity=opened.identity,
            level=opened.level,
            style=opened.style,
            values=by_id(values),
            rules=by_id(rules),
            **blocks,
        )

    def _finish(self, opened: _Open) -> None:
        for node in opened.nodes.all:
            if node.statement == Wordings.model_construct():
                message, where = f"`{node.id}` says nothing", self.spans[node.id]
                self.problems.append(field_missing(message, where, "no statement", 'add: statement "…"'))

    def closed(self, opened: _Open) -> tuple[tuple[Value, ...], tuple[Rule, ...]]:
        """Values and rules with the params filled in; `{assistant}` and `{provider}` wait for the arm."""
        return (
            tuple(fill_params(v, opened.params) for v in opened.nodes.values.values()),
            tuple(fill_params(r, opened.params) for r in opened.nodes.rules.values()),
        )

    def library_values(self, values: tuple[Value, ...], rules: tuple[Rule, ...]) -> tuple[Value, ...]:
        """The values of other files that these rules serve."""
        served = {v for rule in rules for v in rule.serves} - {v.id for v in values}
        return tuple(value for node_id in sorted(served) if (value := self.value(node_id)))

    def value(self, node_id: str) -> Value | None:
        """A value of any spec or library that was read, with its params filled in."""
        for opened in (*self._libraries.values(), *(o for o in self._open.values() if o)):
            if node_id in opened.nodes.values:
                return fill_params(opened.nodes.values[node_id], opened.params)
        return None
