"""Statements and rationales: each plain, by level or by style; and a rule's reasons for one value alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msmc.analyze.problems import field_twice
from msmc.ir import RationaleFor, Styled, Text, Wordings
from msmc.source import Span
from msmc.syntax import ast

if TYPE_CHECKING:
    from msmc.analyze.nodes import NodeReader


def wordings(reader: NodeReader, node_id: str, items: tuple[ast.Ast, ...]) -> dict[str, object]:
    """The fields `statement` and `rationale`, where written."""
    found: dict[str, dict[str, Text]] = {}
    spans: dict[tuple[str, str], Span] = {}
    for item in items:
        if not isinstance(item, ast.Statement | ast.Rationale):
            continue
        name, chosen = type(item).__name__.lower(), _chosen_by(item.wording)
        clash = next((w for w in found.get(name, ()) if w == chosen or _form(w) != _form(chosen)), None)
        if clash:
            message = (
                f"`{name}` is worded twice"
                if clash == chosen
                else f"`{name}` is both {_form(clash)} and {_form(chosen)}"
            )
            hint = "a text is plain, or given as `general` and/or `specific`, or by `style`"
            reader.problems.append(field_twice(message, item.span, spans[name, clash], hint))
            continue
        spans[name, chosen] = item.span
        found.setdefault(name, {})[chosen] = reader.text(item.text)
        # a clause is where its words are: the first wording's place, in this spec or in the one it extends
        clause = f"{node_id}.rationale" if name == "rationale" else node_id
        if len(found[name]) == 1:
            reader.spans[clause] = item.span
    return {name: _wordings_of(texts) for name, texts in found.items()}


def rationales_for(
    reader: NodeReader, node_id: str, decl: ast.RuleDecl, find_value: Callable[[ast.Path], str | None]
) -> dict[str, object]:
    found: dict[str, RationaleFor] = {}
    for item in decl.items:
        if not isinstance(item, ast.RationaleFor) or (value := find_value(item.value)) is None:
            continue
        place = f"{node_id}.rationale for {value}"
        if value in found:
            message = f"`rationale for {item.value.dotted}` stands twice"
            reader.problems.append(field_twice(message, item.span, reader.spans[place]))
            continue
        found[value] = RationaleFor.model_construct(value=value, text=reader.text(item.text))
        reader.spans[place] = item.span
        reader.spans.setdefault(f"{node_id}.rationale", item.span)
    return {"rationales_for": tuple(found[v] for v in sorted(found))} if found else {}


def _chosen_by(wording: ast.LevelWording | ast.StyleWording | None) -> str:
    if isinstance(wording, ast.StyleWording):
        return f"style {wording.style.word}"
    return wording.level.word if wording else "plain"


def _form(chosen: str) -> str:
    """How a wording is selected, in words."""
    return "plain" if chosen == "plain" else "worded by style" if chosen.startswith("style ") else "worded by level"


def _wordings_of(texts: dict[str, Text]) -> Wordings:
    """`texts` by how each is selected: `plain`, `general`, `style NAME` …"""
    styles = tuple(
        Styled.model_construct(style=chosen.removeprefix("style "), text=text)
        for chosen, text in sorted(texts.items())
        if chosen.startswith("style ")
    )
    if styles:
        return Wordings.model_construct(styles=styles)
    return Wordings.model_construct(None, **texts)  # type: ignore[arg-type]
