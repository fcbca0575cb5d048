"""What could be written at a place: the grammar's words, and names where it takes a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from msmc.analyze.ablations import CONTROLS
from msmc.analyze.files import read_files
from msmc.ir import CLAUSE_WORDS
from msmc.library import Library
from msmc.navigate.names import every
from msmc.navigate.scopes import Declaration, Scope, Scopes
from msmc.source import SourceFile, Sources, Span
from msmc.syntax import ast
from msmc.syntax.expect import expected

WORD = re.compile(r"[a-z0-9_.]*\Z")
HOLE = re.compile(r"(?<![{$\\])\{([a-z0-9_]*)\Z")
VALUES = ("serves", "for", "replace", "with")
CLAUSES = ("value", "rule", "subrule", "rationale")
"""The kinds of names that stand behind `about`; behind `keep` and `of` an example does too."""


class Candidate(NamedTuple):
    text: str
    kind: str
    """Of `Declaration`, or `keyword`, `library`, `control`."""
    detail: str = ""


class Completion(NamedTuple):
    span: Span
    """What a candidate replaces: the part of a word that is already there."""
    candidates: tuple[Candidate, ...]


def complete(source: SourceFile, offset: int, sources: Sources) -> Completion:
    """What could be written at an offset. A part of a word before it does not choose among the candidates."""
    scopes = Scopes(read_files(source.path, _With(sources, _whole(source, offset)))[0])
    if source.path not in scopes.top:
        scopes = Scopes(read_files(source.path, sources)[0])
    hole = HOLE.search(source.text[:offset])
    if hole and _in_literal(scopes, source.path, offset):
        params = [d for key, d in scopes.at(source.path, offset).all().items() if key[0] == "param"]
        found = {"assistant": Candidate("assistant", "param"), "provider": Candidate("provider", "param")}
        found |= {d.name.word: Candidate(d.name.word, "param", _detail(d)) for d in params}
        return Completion(Span(source.path, hole.start(1), offset), tuple(found.values()))
    word = WORD.search(source.text[:offset])
    start = word.start() if word else offset
    keywords, after = expected(source.text, start)
    names = list(_names(scopes, source.path, start, after, sources)) if after else []
    words = [Candidate(word, "keyword") for word in keywords]
    return Completion(Span(source.path, start, offset), tuple(dict.fromkeys((*names, *words))))


class _With(dict[str, bytes]):
    """Sources with one file changed."""

    def __init__(self, sources: Sources, changed: SourceFile) -> None:
        super().__init__({changed.path: changed.text.encode()})
        self._sources = sources

    def __missing__(self, path: str) -> bytes:
        return self._sources[path]


def _whole(source: SourceFile, offset: int) -> SourceFile:
    """The file with a name at the offset, where one may be missing that makes the rest no declaration."""
    text = source.text
    named = re.search(r"[a-z0-9_]\Z", text[:offset]) or re.match(r"[a-z0-9_]", text[offset:])
    return source if named else SourceFile(source.path, (text[:offset] + "x " + text[offset:]).encode())


def _in_literal(scopes: Scopes, file: str, offset: int) -> bool:
    tree = scopes.files.trees.get(file)
    return any(isinstance(n, ast.Quoted) and n.span.start < offset < n.span.end for n in (every(tree) if tree else ()))


def _names(scopes: Scopes, file: str, offset: int, after: str, sources: Sources) -> Iterator[Candidate]:
    if file not in scopes.top:
        return
    scope = scopes.at(file, offset)
    library = Library(sources)
    if after in VALUES:
        yield from _nodes(scopes, scope, ("value",))
    elif after in ("about", "keep", "of"):
        if after == "about":
            yield from (Candidate(word, "keyword") for word in CLAUSE_WORDS)
        yield from _nodes(scopes, scope, CLAUSES if after == "about" else (*CLAUSES, "example"))
    elif after in ("use", "extends"):
        yield from _specs(scopes, scope)
    elif after in ("kinds", "audiences", "angles"):
        yield from (Candidate(name, "library") for name in (*library.named(after), *getattr(library, after)))
    elif after == "control":
        yield from (Candidate(name, "control") for name in CONTROLS)
    elif after == "primary":
        yield from (Candidate(d.name.word, d.kind, _detail(d)) for d in scope.all().values() if d.kind == "eval")
    elif after in ("value", "rule") and scope.parent:  # what an inherited declaration may be laid over
        inherited = [d for d in scope.parent.all().values() if d.kind == after and len(d.key) == 2]
        yield from (Candidate(d.name.word, after, _detail(d)) for d in inherited if d.key not in scope.declared)


def _nodes(scopes: Scopes, scope: Scope, kinds: tuple[str, ...]) -> Iterator[Candidate]:
    """Values, rules and what they hold, as they are written in this scope: its own, then those of imports."""
    for prefix, seen in _visible(scopes, scope):
        for key, declaration in seen.all().items():
            if key[0] == "node" and declaration.kind in kinds:
                yield Candidate(".".join([*prefix, *key[1:]]), declaration.kind, _detail(declaration))


def _visible(scopes: Scopes, scope: Scope) -> Iterator[tuple[tuple[str, ...], Scope]]:
    yield (), scope
    for key in scopes.top[scope.file].declared:
        there = scopes.imported(scope.file, key[1]) if key[0] == "import" else None
        if there:
            yield (key[1],), there
            yield from (((key[1], name), inner) for (path, name), inner in scopes.specs.items() if path == there.file)


def _specs(scopes: Scopes, scope: Scope) -> Iterator[Candidate]:
    for key, declaration in scopes.top[scope.file].declared.items():
        if key[0] == "spec" and declaration.name.word != scope.name:
            yield Candidate(key[1], "spec", _detail(declaration))
        there = scopes.imported(scope.file, key[1]) if key[0] == "import" else None
        for inner in there.declared.values() if there else ():
            if inner.kind == "spec":
                yield Candidate(f"{key[1]}.{inner.name.word}", "spec", _detail(inner))


def _detail(declaration: Declaration) -> str:
    text = getattr(declaration.node, "title", None) or getattr(declaration.node, "text", None)
    return " ".join(text.plain.split()) if isinstance(text, ast.Quoted) else ""
