"""What of a mistaken file still stands: each declaration is parsed by itself, and again without what is wrong in it.

One mistake, one error; several, all of them. A faulty line is blanked out with what belongs to it, so that offsets stay and the
rest of its declaration is read.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import lark

from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile, Span
from msmc.syntax import ast, mistakes
from msmc.syntax.cut import Piece, matched, pieces, scan, without_literals

Parse = Callable[[str, int, str], Any]
"""A text, the offset it stands at, and `start` or `declaration`, to what it is. Raises lark.UnexpectedInput."""
ITEM = re.compile(
    r"^[ \t]*(?:version|assistant|param|specificity|style|serves|priority|statement|rationale|subrule|example|was|user|system|"
    r"about|kinds|audiences|angles|justify|thinking|pairs|rung|held_out|arm|use|replace|shuffle|keep|drop|control|vary|match|"
    r"primary|seeds|import|documents|demos|eval)\b",
    re.MULTILINE,
)
MARKS = ":=;-*,"
"""What can be left out and nothing else is wrong."""
MOST = 50
"""Mistakes that are told of one declaration: each costs another reading of it."""


class Recovery:
    """The declarations of one file that can be read, and every mistake."""

    def __init__(self, source: SourceFile, parse: Parse, words: dict[str, str]) -> None:
        """`words`: the keyword of each terminal that is one."""
        self.source, self.parse, self.words = source, parse, words
        self.problems: list[Diagnostic] = []
        self.broken: list[Span] = []
        """Declarations with mistakes, and names of specs with some: what seems to be missing in them is not."""
        self.lost = False
        """Are there declarations whose names are not known?"""

    def items(self) -> tuple[ast.TopLevel, ...]:
        """The file's declarations, as far as they can be read."""
        text, found = self.source.text, pieces(self.source.text)
        rest = "".join(self._between(text, found))
        whole = matched(rest) and "{" in rest  # a file without a brace is in another language: one mistake is enough
        top = list(self._read(rest, 0, "start", whole))
        specs = [item for item in top if isinstance(item, ast.SpecDecl)]
        self.lost = bool(self.problems)
        self.broken = [spec.name.span for spec in specs] if self.problems else []
        inside: dict[int, list[Any]] = {}
        for piece in found:
            item = self._declaration(text[piece.start : piece.end], piece)
            home = next((n for n, s in enumerate(specs) if s.span.start < piece.start < s.span.end), None)
            if item is None:
                self.lost = True
            elif home is not None:
                inside.setdefault(home, []).append(item)
            elif isinstance(item, ast.ValueDecl | ast.RuleDecl):
                top.append(item)
            elif specs and (whole or piece.start < specs[0].span.start):
                self.problems.append(mistakes.outside(item))
        top = [item for item in top if item not in specs]
        for n, spec in enumerate(specs):
            top.append(ast.SpecDecl(spec.span, spec.name, spec.title, spec.extends, (*spec.items, *inside.get(n, ()))))
        return tuple(sorted(top, key=lambda item: item.span.start))

    def _between(self, text: str, found: list[Piece]) -> Iterator[str]:
        """The text without the pieces, each as white space of its length."""
        at = 0
        for piece in found:
            yield text[at : piece.start]
            yield " " * (piece.end - piece.start)
            at = piece.end
        yield text[at:]

    def _declaration(self, text: str, piece: Piece) -> Any:
        found = self._read(text if piece.matched else text.rstrip(), piece.start, "declaration", piece.matched)
        if found is None:  # its name at least
            with suppress(lark.UnexpectedInput):
                return self.parse(text[: piece.head - piece.start] + "{}", piece.start, "declaration")
        return found

    def _read(self, text: str, offset: int, start: str, matched: bool) -> Any:
        """What a text is, and what it is without its mistakes. None, or no declarations, where nothing is left.

        Where braces do not match, one mistake is told: what follows is its doing.
        """
        last = -1
        for told in range(MOST):
            try:
                return self.parse(text, offset, start)
            except lark.UnexpectedInput as error:
                accepted = mistakes.accepted(error)
                problem = mistakes.syntax_error(self.source, text, offset, error, self.words)
                raw = getattr(error, "pos_in_stream", None)
            if start == "start" and problem.name == "unclosed-brace":
                problem = mistakes.unclosed_brace(
                    self.source
                )  # it may stand in a declaration that took the spec's brace
            assert problem.primary is not None
            at = problem.primary.span.start - offset
            if at <= last:
                break  # what is wrong now is what the blanks left behind
            last = at if problem.name != "unclosed-brace" else len(text)
            if matched or not told:
                self.problems.append(problem)
            self.broken.append(Span(self.source.path, offset, offset + len(text)))
            mended = _mended(text, at, problem, accepted if raw == at else set())
            if mended is None:
                break
            text = mended
        return () if start == "start" else None


def _mended(text: str, at: int, problem: Diagnostic, accepted: set[str]) -> str | None:
    """The text without the mistake. None: nothing of it can stay."""
    if problem.name == "unclosed-brace":
        missing = mistakes.num_unclosed(text)
        return text + "}" * missing if missing else None
    assert problem.primary is not None
    length = problem.primary.span.end - problem.primary.span.start
    if problem.name == "foreign-syntax" and length <= 2 and text[at] in MARKS:
        return _blank(text, at, at + length)
    return _without(text, at, accepted)


def _without(text: str, at: int, accepted: set[str]) -> str | None:
    """The text with the item around an offset blanked out, and what its braces hold. None: all of it would be.

    Where a `}` or the end could stand, what is before the offset is whole, and stays.
    """
    whole = bool({"RBRACE", "$END"} & accepted)
    if text[at] == "}" and whole:
        return text[:at] + " " + text[at + 1 :]
    starts = [match.end() - len(match[0].lstrip()) for match in ITEM.finditer(without_literals(text, comments=False))]
    begin = at if whole else max((s for s in starts if s < at), default=None)
    if begin is None:
        return None
    if not whole and (at in starts or text[at] == "}"):
        return _blank(text, begin, at)  # the item before is cut off
    end = min((s for s in starts if s > at), default=len(text))
    depth = 0
    for match in scan(text, begin):
        if match.start() >= end and depth == 0:
            break
        if match["brace"] == "{":
            depth += 1
        elif match["brace"] == "}":
            if depth == 0:
                end = match.start()
                break
            depth -= 1
            end = max(end, match.end())
    return _blank(text, begin, end)


def _blank(text: str, begin: int, end: int) -> str:
    return text[:begin] + re.sub(r"[^\n]", " ", text[begin:end]) + text[end:]
