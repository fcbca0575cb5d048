"""A file as a tree of what it declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msmc.navigate.scopes import NAMED, NODES
from msmc.source import Span
from msmc.syntax import ast

LENGTH = 60
"""Characters of a text that stand beside its name."""


class Entry(NamedTuple):
    kind: str
    """Of `Declaration`, or `documents`."""
    name: str
    detail: str
    span: Span
    name_span: Span
    children: tuple[Entry, ...]


def outline(tree: ast.File) -> tuple[Entry, ...]:
    return tuple(entry for item in tree.items for entry in _entries(item))


def _entries(item: ast.Ast) -> Iterator[Entry]:
    if isinstance(item, ast.ImportDecl):
        yield Entry("import", item.alias.word, item.path.plain, item.span, item.alias.span, ())
    elif isinstance(item, ast.Rationale | ast.RationaleFor):
        name = f"rationale for {item.value.dotted}" if isinstance(item, ast.RationaleFor) else "rationale"
        word = item.span._replace(end=item.span.start + len("rationale"))
        yield Entry("rationale", name, _brief(item.text), item.span, word, ())
    elif isinstance(item, ast.Documents):
        word = item.span._replace(end=item.span.start + len("documents"))
        yield Entry("documents", "documents", "", item.span, word, ())
    elif kind := KINDS.get(type(item)):
        inside = tuple(entry for child in getattr(item, "items", ()) for entry in _entries(child))
        text = getattr(item, "title", None) or getattr(item, "text", None)
        if isinstance(item, ast.ValueDecl | ast.RuleDecl) and not item.title:
            text = next((child.text for child in item.items if isinstance(child, ast.Statement)), None)
        name = item.name  # type: ignore[attr-defined]
        yield Entry(kind, name.word, _brief(text) if text else "", item.span, name.span, inside)


KINDS: dict[type[ast.Ast], str] = {ast.SpecDecl: "spec", ast.Arm: "arm", **NAMED, **NODES}


def _brief(text: ast.Quoted) -> str:
    words = " ".join(text.plain.split())
    return words if len(words) <= LENGTH else words[: LENGTH - 1].rstrip() + "…"


def matching(tree: ast.File, query: str) -> Iterator[tuple[Entry, str]]:
    """Each named thing of a file whose name or text contains the query, with what holds it."""
    wanted = query.casefold()

    def search(entries: tuple[Entry, ...], above: str) -> Iterator[tuple[Entry, str]]:
        for entry in entries:
            if entry.kind not in ("import", "rationale", "documents") and (
                wanted in entry.name or wanted in entry.detail.casefold()
            ):
                yield entry, above
            yield from search(entry.children, f"{above}.{entry.name}" if above else entry.name)

    return search(outline(tree), "")
