"""What is declared where: the names of a spec, or of a file's top level, and the scope whose names it inherits.

Unlike `analyze`, which stops at the first thing that makes a spec none, this takes a tree as it is, mistakes and all.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

from msmc.analyze.files import Files
from msmc.source import Span
from msmc.syntax import ast

Key = tuple[str, ...]
"""A name inside its scope: what kind of name it is (`node`, `param`, `eval`, …), then its words."""
INHERITED = ("node", "param")
"""The kinds of names that `extends` hands on; blocks stay behind."""
NAMED = {
    ast.Param: "param",
    ast.EvalBlock: "eval",
    ast.EvalJudged: "eval",
    ast.EvalAgentic: "eval",
    ast.EvalTask: "eval",
    ast.Demos: "demos",
    ast.DemosFrom: "demos",
    ast.Ablation: "ablation",
}
NODES = {
    ast.ValueDecl: "value",
    ast.RuleDecl: "rule",
    ast.Subrule: "subrule",
    ast.SubruleBlock: "subrule",
    ast.Example: "example",
}


class Declaration(NamedTuple):
    """One name, and the piece of the tree that gives it its meaning."""

    kind: str
    """`value rule subrule example rationale`, `param identity eval demos ablation arm`, `spec import`."""
    key: Key
    name: ast.Name
    node: ast.Ast
    scope: Scope

    @property
    def origin(self) -> Declaration:
        """The first of the declarations that are laid over each other by `extends`: the name's identity."""
        above = self.scope.parent.find(self.key) if self.scope.parent else None
        return above.origin if above else self

    @property
    def symbol(self) -> tuple[str, str, Key]:
        """The same for every occurrence of the same name, whichever files were read to find it."""
        origin = self.origin
        return origin.scope.file, origin.scope.name, origin.key

    @property
    def id(self) -> str:
        return ".".join([self.scope.name, *self.key[1:]])


class Scope:
    """The names of a spec, or of a file's top level."""

    def __init__(self, file: str, name: str) -> None:
        self.file, self.name = file, name
        self.parent: Scope | None = None
        self.declared: dict[Key, Declaration] = {}

    def find(self, key: Key) -> Declaration | None:
        """The nearest declaration: this scope's, else the inherited one."""
        chain = self.chain() if key[0] in INHERITED else (self,)
        return next((scope.declared[key] for scope in chain if key in scope.declared), None)

    def chain(self) -> Iterator[Scope]:
        """This scope, its parent, and so on; a circle is gone through once."""
        seen: list[Scope] = []
        at: Scope | None = self
        while at is not None and at not in seen:
            seen.append(at)
            yield at
            at = at.parent

    def all(self) -> dict[Key, Declaration]:
        """Every name with its nearest declaration."""
        above = [*self.chain()][:0:-1]
        inherited = {k: d for scope in above for k, d in scope.declared.items() if k[0] in INHERITED}
        return inherited | self.declared

    def declare(self, kind: str, key: Key, name: ast.Name, node: ast.Ast) -> None:
        self.declared.setdefault(key, Declaration(kind, key, name, node, self))


def _add_node(scope: Scope, decl: ast.Ast, above: Key) -> None:
    """A value, rule, subrule or example with its children."""
    key = (*above, decl.name.word)  # type: ignore[attr-defined]
    scope.declare(NODES[type(decl)], key, decl.name, decl)  # type: ignore[attr-defined]
    for item in getattr(decl, "items", ()):
        if isinstance(item, ast.Rationale):
            start = item.span.start
            word = ast.Name(Span(item.span.file, start, start + len("rationale")), "rationale")
            scope.declare("rationale", (*key, "rationale"), word, item)
        elif type(item) in NODES:
            _add_node(scope, item, key)


def _add_spec(scope: Scope, decl: ast.SpecDecl) -> None:
    for item in decl.items:
        if isinstance(item, ast.ValueDecl | ast.RuleDecl):
            _add_node(scope, item, ("node",))
        elif isinstance(item, ast.Assistant):
            for word in ("assistant", "provider"):
                quoted = item.name if word == "assistant" else item.provider
                scope.declare("identity", ("param", word), ast.Name(quoted.span, word), item)
        elif kind := NAMED.get(type(item)):
            scope.declare(kind, (kind, item.name.word), item.name, item)  # type: ignore[attr-defined]
        if isinstance(item, ast.Ablation):
            for arm in item.items:
                if isinstance(arm, ast.Arm):
                    scope.declare("arm", ("arm", item.name.word, arm.name.word), arm.name, arm)


class Scopes:
    """The scopes of all files that were read."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.top: dict[str, Scope] = {}
        self.specs: dict[tuple[str, str], Scope] = {}
        """By file and name."""
        self.decls: dict[tuple[str, str], ast.SpecDecl] = {}
        for path, tree in files.trees.items():
            self._read(path, tree)
        for (path, name), decl in self.decls.items():
            if decl.extends and (found := self.find_spec(path, decl.extends)):
                self.specs[path, name].parent = self.specs.get((found.scope.file, found.name.word))

    def _read(self, path: str, tree: ast.File) -> None:
        top = self.top[path] = Scope(path, posixpath.splitext(posixpath.basename(path))[0])
        for item in tree.items:
            if isinstance(item, ast.ImportDecl):
                top.declare("import", ("import", item.alias.word), item.alias, item)
            elif isinstance(item, ast.SpecDecl):
                top.declare("spec", ("spec", item.name.word), item.name, item)
                key = (path, item.name.word)
                if key not in self.specs:
                    self.specs[key], self.decls[key] = Scope(path, item.name.word), item
                    _add_spec(self.specs[key], item)
            else:
                _add_node(top, item, ("node",))

    def imported(self, file: str, alias: str) -> Scope | None:
        """The top level of the file that an alias stands for."""
        return self.top.get(self.files.imports.get((file, alias), ""))

    def find_spec(self, file: str, path: ast.Path) -> Declaration | None:
        words = [name.word for name in path.words]
        top = self.top[file] if len(words) == 1 else self.imported(file, words[0])
        return top.find(("spec", words[-1])) if top and len(words) <= 2 else None

    def spec_of(self, declaration: Declaration) -> Scope:
        """The inside of a declared spec."""
        return self.specs[declaration.scope.file, declaration.name.word]

    def at(self, file: str, offset: int) -> Scope:
        """The scope in which an offset stands."""
        for (path, name), decl in self.decls.items():
            if path == file and decl.span.start <= offset <= decl.span.end:
                return self.specs[path, name]
        return self.top[file]
