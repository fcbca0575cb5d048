"""The one style of `.msm` files: what white space stands between the words, and nothing else.

The source's tokens, comments among them, are laid out anew; the tree says only where declarations begin. Before a text is
handed out it is proven: it has the same words, the same comments and the same texts, all in the same order.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile
from msmc.syntax import ast
from msmc.syntax.lines import Line, rendered
from msmc.syntax.parse import parse
from msmc.syntax.text import read_literal, reindented
from msmc.syntax.tokens import Token, tokens_of

WIDTH = 120
STEP = 2
"""Spaces for each brace, and for what goes on in another line."""
APART = frozenset({"spec", "value", "rule", "documents", "demos", "eval", "ablation"})
"""Where these take several lines, an empty line stands before and behind them."""
GLUED = re.compile(r"\A#(?=[^\s!#:])(?!msmc\b)")
"""The `#` of a comment that wants a space: of no `#!`, `##`, `#:` and no `#msmc`."""


def formatted(source: SourceFile) -> tuple[str | None, list[Diagnostic]]:
    """The file's text in the one style, or what keeps it from being read."""
    tree, problems = parse(source)
    if tree is None or problems:
        return None, problems
    tokens = list(tokens_of(source.text))
    layout = _Layout(source.text, tokens, frozenset(_starts(tree)))
    layout.block(0)
    text = rendered(layout.lines)
    if text != source.text:
        _prove(source, tokens, text)
    return text, []


def _starts(node: ast.Ast) -> Iterator[int]:
    """Where each declaration begins."""
    for item in (*getattr(node, "items", ()), *getattr(node, "turns", ())):
        yield item.span.start
        yield from _starts(item)


class _Layout:
    """Tokens to lines. A method takes the tokens from `at` on and leaves `at` behind what it took."""

    def __init__(self, text: str, tokens: list[Token], starts: frozenset[int]) -> None:
        self.text = text
        self.tokens = tokens
        self.starts = starts
        self.at = 0
        self.lines: list[Line] = []

    @property
    def here(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def block(self, indent: int) -> None:
        """The declarations and comments before a closing brace or the file's end."""
        while (token := self.here) and token.text != "}":
            first = len(self.lines)
            if token.kind == "COMMENT":
                self.comment(indent)
                continue
            self.declaration(indent)
            self.lines[first].blank = token.breaks > 1
            if token.text in APART and len(self.lines) > first + 1:
                self.lines[first].begins = self.lines[-1].ends = True

    def comment(self, indent: int, *, inside: bool = False) -> None:
        """A comment, behind what stands before it or on a line of its own; no empty line where it is `inside` a declaration."""
        token = self.tokens[self.at]
        self.at += 1
        text = _normal(token.text)
        column = token.start - self.text.rfind("\n", 0, token.start) - 1
        last = self.lines[-1] if self.lines else None
        if last and token.breaks == 0:
            last.comments, last.column = [text], column
        elif last and last.comments and last.column == column and token.breaks == 1:
            last.comments.append(text)
        else:
            self.lines.append(Line(indent, text, own=True, blank=token.breaks > 1 and not inside))

    def declaration(self, indent: int) -> None:
        """One declaration with its block; in several lines where comments or the width ask for it."""
        first = len(self.lines)
        pieces: list[str] = []  # what no line may break: all, or the items of a list with their commas
        before: Token | None = None
        while (token := self.here) and (before is None or not self._is_over()):
            if token.kind == "COMMENT":
                self._fill(indent, first, pieces)
                self.comment(indent + STEP, inside=True)
                pieces = []
                continue
            if token.text == "{":
                self._braces(indent, first, " ".join(pieces))
                return
            self.at += 1
            text = reindented(token.text, indent + STEP, indent) if token.kind == "BLOCK" else token.text
            if not pieces or (before and before.text == ","):
                pieces.append(text)
            else:
                pieces[-1] += self._between(before, token) + text
            before = token
        self._fill(indent, first, pieces)

    def _is_over(self) -> bool:
        """Does the next token that is no comment belong to something else?"""
        at = self.at
        while at < len(self.tokens) and self.tokens[at].kind == "COMMENT":
            at += 1
        return at == len(self.tokens) or self.tokens[at].text == "}" or self.tokens[at].start in self.starts

    def _fill(self, indent: int, first: int, pieces: list[str]) -> None:
        """Puts as many pieces on a line as fit; what is not the declaration's first line stands deeper."""
        line = ""
        for piece in pieces:
            margin = indent + STEP * (len(self.lines) > first)
            if line and margin + len(line) + 1 + len(piece) > WIDTH:
                self.lines.append(Line(margin, line))
                line = ""
            line += f" {piece}" if line else piece
        if line:
            self.lines.append(Line(indent + STEP * (len(self.lines) > first), line))

    def _braces(self, indent: int, first: int, head: str) -> None:
        """A block behind its head: on one line where it was written so, has no comment and no prose, and fits."""
        body = self._body()
        margin = indent + STEP * bool(head and len(self.lines) > first)
        short = head + " " * bool(head) + self._joined(body)
        on_one_line = all(t.breaks == 0 and t.kind not in ("COMMENT", "BLOCK") for t in body[1:])
        fits = on_one_line and len(self.lines) == first and margin + len(short) <= WIDTH
        if fits or len(body) == 2:
            self.at += len(body)
            self.lines.append(Line(margin, short))
            return
        self.at += 1
        self.lines.append(Line(margin, f"{head} {{" if head else "{"))
        self.block(indent + STEP)
        self.at += 1
        self.lines.append(Line(indent, "}"))

    def _body(self) -> list[Token]:
        """The tokens from an opening brace to its closing one."""
        depth = 0
        for end in range(self.at, len(self.tokens)):
            depth += (self.tokens[end].text == "{") - (self.tokens[end].text == "}")
            if depth == 0:
                return self.tokens[self.at : end + 1]
        raise AssertionError("what parses has its braces closed")

    def _joined(self, tokens: Sequence[Token]) -> str:
        return tokens[0].text + "".join(self._between(a, b) + b.text for a, b in pairwise(tokens))

    def _between(self, before: Token | None, token: Token) -> str:
        """The white space between two tokens on a line; two declarations stand two spaces apart."""
        if before is None or token.text in (",", ".") or before.text == ".":
            return ""
        if before.text == "{":
            return "" if token.text == "}" else " "
        return "  " if token.start in self.starts else " "


def _normal(comment: str) -> str:
    return GLUED.sub("# ", comment.rstrip(" \t\f"))


def _prove(source: SourceFile, tokens: list[Token], text: str) -> None:
    """Raises where formatting would change more than white space: a mistake of this module, which no file must suffer from.

    The parser sees tokens and nothing between them, so the same tokens are the same tree, and need no second parse.
    """
    again = list(tokens_of(text))
    if len(again) != len(tokens) or not all(map(_say_the_same, tokens, again)):
        raise AssertionError(f"formatting `{source.path}` would change what it says; the file is left as it is")


def _say_the_same(one: Token, other: Token) -> bool:
    if one.kind != other.kind:
        return False
    if one.text == other.text:
        return True
    if one.kind == "COMMENT":
        return one.text[1:].strip(" \t\f") == other.text[1:].strip(" \t\f")
    return one.kind == "BLOCK" and read_literal("", one.text, 0)[0].text == read_literal("", other.text, 0)[0].text
