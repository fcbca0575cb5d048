"""Where names stand, and what each of them means: definitions and references."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msmc.analyze.files import Files, leaves, read_files, read_source
from msmc.ir import CLAUSE_WORDS
from msmc.navigate.scopes import Declaration, Scope, Scopes
from msmc.source import SourceFile, Sources, Span
from msmc.syntax import ast

NO_TEXT = (
    ast.Param,
    ast.Assistant,
    ast.Version,
    ast.Pairs,
    ast.Questions,
    ast.DocumentsFrom,
    ast.DemosFrom,
    ast.EvalTask,
    ast.Documents,
)
"""Their strings have no placeholders."""


class Mention(NamedTuple):
    """One occurrence of a name, as its declaration or as a use."""

    span: Span
    target: Declaration
    """What it means: of declarations laid over each other, the nearest."""

    @property
    def declares(self) -> bool:
        return self.span == self.target.name.span


def mentions(scopes: Scopes, file: str) -> Iterator[Mention]:
    """All names of a file whose meaning is known."""
    if file not in scopes.top:
        return
    top = scopes.top[file]
    inside = [scope for (path, _), scope in scopes.specs.items() if path == file]
    for scope in (top, *inside):
        yield from (Mention(d.name.span, d) for d in scope.declared.values() if d.kind != "rationale")
    for item in scopes.files.trees[file].items:
        if not isinstance(item, ast.SpecDecl):
            yield from _in(scopes, top, item)
            continue
        if item.extends:
            yield from _spec(scopes, file, item.extends)
        scope = scopes.specs[file, item.name.word]
        for child in (item.title, *item.items):
            if child is not None:
                yield from _in(scopes, scope, child)


def _in(scopes: Scopes, scope: Scope, node: ast.Ast) -> Iterator[Mention]:
    """The uses of names in a piece of the tree."""
    if isinstance(node, ast.Quoted):
        for hole in node.holes:
            if found := scope.find(("param", hole.word)):
                yield Mention(hole.span, found)
    elif isinstance(node, ast.Use):
        yield from _spec(scopes, scope.file, node.spec)
    elif isinstance(node, ast.Primary):
        if found := scope.find(("eval", node.name.word)):
            yield Mention(node.name.span, found)
    elif isinstance(node, ast.Path):
        yield from path_mentions(scopes, scope, node)
    else:
        for child in children(node):
            if not (isinstance(node, NO_TEXT) and isinstance(child, ast.Quoted)):
                yield from _in(scopes, scope, child)


def children(node: ast.Ast) -> Iterator[ast.Ast]:
    for name in node.fields[1:]:  # the first is the span
        value = getattr(node, name)
        if isinstance(value, ast.Ast):
            yield value
        elif isinstance(value, tuple):
            yield from (part for part in value if isinstance(part, ast.Ast))


def _spec(scopes: Scopes, file: str, path: ast.Path) -> Iterator[Mention]:
    """`name`, or `alias.name`."""
    if len(path.words) == 2 and (alias := scopes.top[file].find(("import", path.words[0].word))):
        yield Mention(path.words[0].span, alias)
    if found := scopes.find_spec(file, path):
        yield Mention(path.words[-1].span, found)


def path_mentions(scopes: Scopes, scope: Scope, path: ast.Path) -> Iterator[Mention]:
    """The path of a node: in this spec, behind this spec's name, or in an import (`analyze/resolve.py`, `find_node`)."""
    words = [name.word for name in path.words]
    if path.dotted in CLAUSE_WORDS:
        return
    if scope.find(("node", words[0])):
        yield from _walk(scope, path.words, 0)
    elif words[0] == scope.name and len(words) > 1:
        if spec := scopes.top[scope.file].find(("spec", words[0])):
            yield Mention(path.words[0].span, spec)
        yield from _walk(scope, path.words, 1)
    elif alias := scopes.top[scope.file].find(("import", words[0])):
        yield Mention(path.words[0].span, alias)
        there = scopes.imported(scope.file, words[0])
        if there is None or len(words) == 1:
            return
        if not there.find(("node", words[1])) and (spec := there.find(("spec", words[1]))):
            yield Mention(path.words[1].span, spec)
            yield from _walk(scopes.spec_of(spec), path.words, 2)
        else:
            yield from _walk(there, path.words, 1)


def _walk(scope: Scope, words: tuple[ast.Name, ...], first: int) -> Iterator[Mention]:
    for last in range(first, len(words)):
        if found := scope.find(("node", *(name.word for name in words[first : last + 1]))):
            yield Mention(words[last].span, found)


# ---- what is asked -----------------------------------------------------------------------------------------------------


def mention_at(scopes: Scopes, file: str, offset: int) -> Mention | None:
    """The name at an offset, or right before it."""
    found = [m for m in mentions(scopes, file) if m.span.start <= offset <= m.span.end]
    return max(found, key=lambda m: m.span.start, default=None)


def definition(mention: Mention) -> Span:
    """Where a name is declared; from a declaration, where it is declared that this one is laid over."""
    above = mention.target.scope.parent
    overlaid = above.find(mention.target.key) if mention.declares and above else None
    return (overlaid or mention.target).name.span


def references(symbol: tuple[str, str, tuple[str, ...]], entries: Iterable[str], sources: Sources) -> list[Mention]:
    """Every occurrence of a name in these files, declarations among them."""
    found: list[Mention] = []
    for entry in dict.fromkeys(entries):
        files, _ = read_files(entry, sources)
        if symbol[0] in files.trees:
            scopes = Scopes(files)
            met = (*mentions(scopes, entry), *_in_rows(scopes, entry, sources))
            found += [mention for mention in met if mention.target.symbol == symbol]
    return found


ABOUT = re.compile(r'"about"\s*:\s*\[[^\]]*\]')
ID = re.compile(r'"(?P<id>[a-z0-9_.]+)"')


def _in_rows(scopes: Scopes, entry: str, sources: Sources) -> Iterator[Mention]:
    """The names that rows of the author's are about."""
    for (path, name), decl in scopes.decls.items():
        for item in decl.items if path == entry else ():
            if not isinstance(item, ast.DocumentsFrom | ast.DemosFrom):
                continue
            source = read_source(posixpath.normpath(posixpath.join(posixpath.dirname(path), item.path.plain)), sources)
            if not isinstance(source, SourceFile):
                continue
            for about in ABOUT.finditer(source.text):
                for match in ID.finditer(source.text, about.start() + len('"about"'), about.end()):
                    yield from _of_id(scopes, scopes.specs[path, name], source.path, match)


def _of_id(scopes: Scopes, spec: Scope, file: str, match: re.Match[str]) -> Iterator[Mention]:
    """The names in an id as rows write it, which begins with a node of the spec, the spec, or another file."""
    words, at = list[ast.Name](), match.start("id")
    for word in match["id"].split("."):
        words.append(ast.Name(Span(file, at, at + len(word)), word))
        at += len(word) + 1
    top = next((top for top in scopes.top.values() if top.name == words[0].word), None)
    if spec.find(("node", words[0].word)):
        yield from _walk(spec, tuple(words), 0)
    elif words[0].word == spec.name:
        if declared := scopes.top[spec.file].find(("spec", spec.name)):
            yield Mention(words[0].span, declared)
        yield from _walk(spec, tuple(words), 1)
    elif top:
        yield from _walk(top, tuple(words), 1)


def file_at(files: Files, file: str, offset: int) -> tuple[Span, str] | None:
    """The project-relative path that stands in quotes at an offset, after `import`, `pairs` or `from`."""
    tree = files.trees.get(file)
    for node in every(tree) if tree else ():
        if isinstance(node, ast.ImportDecl | ast.Pairs | ast.Questions | ast.DocumentsFrom | ast.DemosFrom):
            quoted, written = node.path, node.path.plain
            if quoted.span.start <= offset <= quoted.span.end and not leaves("", written):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(file), written))
                return None if leaves(path, written) else (quoted.span, path)
    return None


def every(node: ast.Ast) -> Iterator[ast.Ast]:
    """A node and all below it, in the order of the source."""
    yield node
    for child in children(node):
        yield from every(child)
