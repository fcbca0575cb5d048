"""What is told of a name: a value or rule as its spec has it, inherited fields included; anything else as it is written."""

from __future__ import annotations

from collections.abc import Iterator

from msmc.navigate.names import Mention, mention_at, path_mentions
from msmc.navigate.scopes import Declaration, Scope, Scopes
from msmc.source import Span
from msmc.syntax import ast

SHOWN = 12
"""Lines of a block's source that are shown."""


def hover(scopes: Scopes, file: str, offset: int) -> tuple[Span, str] | None:
    """Markdown on the name at an offset."""
    mention = mention_at(scopes, file, offset)
    return (mention.span, _told(scopes, file, mention)) if mention else None


def _told(scopes: Scopes, file: str, mention: Mention) -> str:
    found = mention.target
    if found.kind in ("value", "rule"):
        # a name that this file's spec inherits is told as this spec has it
        at = scopes.at(file, mention.span.start)
        return "\n\n".join(_node(scopes, at if found.scope in at.chain() else found.scope, found))
    node = found.node
    if isinstance(node, ast.Param):
        return f"**param** `{found.id}`\n\n{node.text.plain}"
    if isinstance(node, ast.Assistant):
        word = node.name if found.name.word == "assistant" else node.provider
        return (
            f"**{found.name.word}** `{{{found.name.word}}}`\n\n{word.plain}\n\n*A target or an arm may name another.*"
        )
    if isinstance(node, ast.ImportDecl):
        path = scopes.files.imports.get((found.scope.file, found.name.word))
        return f"**import** `{path or node.path.plain}`"
    if isinstance(node, ast.SpecDecl):
        title = f"\n\n{node.title.plain}" if node.title else ""
        return f"**spec** `{node.name.word}`{title}"
    return f"**{found.kind}** `{found.id}`\n\n{_source(scopes, node)}"


def _node(scopes: Scopes, scope: Scope, found: Declaration) -> Iterator[str]:
    """A value or rule, field by field, each from the nearest declaration that has it."""
    layers = [d.node for s in scope.chain() if (d := s.declared.get(found.key))]
    title = next((n.title.plain for n in layers if isinstance(n, ast.ValueDecl | ast.RuleDecl) and n.title), "")
    yield f"**{found.kind}** `{'.'.join([scope.name, *found.key[1:]])}`" + (f" · {title}" if title else "")
    for kind in (ast.Statement, ast.Rationale):
        written = next((got for n in layers if (got := _items(n, kind))), [])
        for item in written:
            name = type(item).__name__.lower()
            yield f"*{' '.join([name, _wording(item)]).strip()}*\n\n{item.text.plain}"  # type: ignore[attr-defined]
    for item in next((got for n in layers if (got := _items(n, ast.RationaleFor))), []):
        yield f"*rationale for {item.value.dotted}*\n\n{item.text.plain}"  # type: ignore[attr-defined]
    if found.kind == "rule":
        served = next((got for n in layers if (got := _items(n, ast.Serves))), [])
        names = [f"`{path.dotted}`" for item in served for path in item.values]  # type: ignore[attr-defined]
    else:
        names = sorted(f"`{rule}`" for rule in _serving(scopes, scope, found))
    if names:
        yield ("Serves " if found.kind == "rule" else "Served by ") + ", ".join(names)


def _items(node: ast.Ast, kind: type[ast.Ast]) -> list[ast.Ast]:
    return [item for item in getattr(node, "items", ()) if isinstance(item, kind)]


def _wording(item: ast.Ast) -> str:
    wording = getattr(item, "wording", None)
    if isinstance(wording, ast.LevelWording):
        return wording.level.word
    return f"style {wording.style.word}" if isinstance(wording, ast.StyleWording) else ""


def _serving(scopes: Scopes, scope: Scope, value: Declaration) -> Iterator[str]:
    """The rules in these files whose declarations say that they serve a value."""
    for other in (*scopes.top.values(), *scopes.specs.values()):
        for rule in other.declared.values():
            paths = [path for item in _items(rule.node, ast.Serves) for path in item.values]  # type: ignore[attr-defined]
            if any(m.target.symbol == value.symbol for path in paths for m in path_mentions(scopes, other, path)):
                yield rule.name.word if other in scope.chain() else rule.id


def _source(scopes: Scopes, node: ast.Ast) -> str:
    """A declaration as it is written, its first lines."""
    source = scopes.files.sources[node.span.file]
    column = source.position(node.span.start)[1]
    lines = (" " * (column - 1) + source.text[node.span.start : node.span.end]).split("\n")
    indent = min((len(text) - len(text.lstrip()) for text in lines if text.strip()), default=0)
    shown = [text[indent:] for text in lines[:SHOWN]] + (["…"] if len(lines) > SHOWN else [])
    return "\n".join(["````msm", *shown, "````"])
