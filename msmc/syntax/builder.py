"""Lark's trees to `ast`: a rule `some_rule` becomes the class `ast.SomeRule`; the naming is the wiring."""

from functools import cache
from typing import Any

import lark

from msmc.diagnostics import Diagnostic
from msmc.source import Span
from msmc.syntax import ast
from msmc.syntax.text import read_literal


class Builder:
    """Builds what one text is. A walk of its own: lark's Transformer takes half as long again."""

    def __init__(self, path: str, offset: int, end: int) -> None:
        """`offset`: where the text stands that was parsed; `end`: of the file, which a text with its missing braces passes."""
        self.file, self.offset, self.end = path, offset, end
        self.problems: list[Diagnostic] = []

    def build(self, tree: lark.Tree[lark.Token]) -> Any:
        parts = tree.children
        cls, head = _shape(tree.data)
        if cls is ast.Quoted:
            quoted, problems = read_literal(self.file, str(parts[0]), self.offset + _start(parts[0]))
            self.problems += problems
            return quoted
        if cls is ast.Path:
            words = tuple([self._word(part) for part in parts])
            return ast.Path(Span(self.file, words[0].span.start, words[-1].span.end), words)
        if cls is ast.Name:
            return self._word(parts[0])
        children: list[Any] = [part and self.build(part) for part in parts]  # type: ignore[arg-type]
        if cls is tuple:
            return tuple(children)
        if head is not None:
            children[head:] = (tuple(children[head:]),)
        meta = tree.meta
        return cls(Span(self.file, self.offset + meta.start_pos, min(self.offset + meta.end_pos, self.end)), *children)

    def _word(self, token: Any) -> ast.Name:
        start = self.offset + _start(token)
        return ast.Name(Span(self.file, start, start + len(token)), str(token))


def _start(token: Any) -> int:
    return token.start_pos or 0


@cache  # a rule's name is one object: looking it up compares no text
def _shape(rule: str) -> tuple[type[Any], int | None]:
    """A rule's class, and how many children come before those that its last field takes; None where it takes no rest."""
    if rule in ("start", "kinds_dropped"):
        return tuple, None
    if rule in ("string", "block"):
        return ast.Quoted, None
    cls = getattr(
        ast, "".join(part.title() for part in rule.split("_")), ast.Name
    )  # a rule without a class is one word
    return cls, len(cls.fields) - 2 if cls.takes_rest else None  # the span is no child
