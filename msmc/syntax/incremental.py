"""A file by its declarations: each is parsed by itself, and one that the file's last text had is only moved.

The result is that of the whole text, right or not. A declaration that parses by itself can be taken for any other of its kind, so
the rest is parsed with short ones in their place: it parses if and only if the whole text does.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import lark

from msmc.diagnostics import Diagnostic, Label
from msmc.source import SourceFile, Span
from msmc.syntax import ast, mistakes
from msmc.syntax.cut import Piece, matched, pieces, scan
from msmc.syntax.recover import Parse, Reader, Reading


class _Read(NamedTuple):
    at: int
    reading: Reading


Known: TypeAlias = dict[tuple[str, bool], _Read]
"""A declaration's text, and whether its braces match, to what it is and where it stood."""


def declarations(text: str, tree: ast.File, problems: Sequence[Diagnostic]) -> Known:
    """The declarations of a file without mistakes of syntax; not those that have others."""
    faulty = sorted(problem.primary.span.start for problem in problems if problem.primary)
    found: Known = {}
    for item in (inner for top in tree.items for inner in (top.items if isinstance(top, ast.SpecDecl) else (top,))):
        begin, end = item.span.start, item.span.end
        if bisect_left(faulty, begin) == bisect_left(faulty, end):
            found[text[begin:end], True] = _Read(begin, Reading(item))
    return found


class Pieces:
    """One text of a file."""

    def __init__(self, source: SourceFile, parse: Parse, words: dict[str, str], before: Known | None) -> None:
        """`before`: the file's last text; None: the whole text is known to be mistaken."""
        self.source, self.parse, self.before = source, parse, before
        self.reader = Reader(source, parse, words)
        self.known: Known = {}
        """The declarations of this text."""

    def read(self) -> tuple[tuple[ast.TopLevel, ...], tuple[Diagnostic, ...], tuple[Span, ...], bool]:
        """The file's declarations, its problems, what is broken, and whether there are any whose names are not known."""
        found = pieces(self.source.text)
        readings = [self._reading(piece) for piece in found]
        if self.before is not None:
            try:
                return *self._right(found, readings), (), False
            except lark.UnexpectedInput:
                pass
        return self._mistaken(found, readings)

    def _reading(self, piece: Piece) -> Reading:
        key = self.source.text[piece.start : piece.end], piece.matched
        read = (self.before or {}).get(key)
        reading = _moved(read.reading, piece.start - read.at) if read else self.reader.declaration(piece)
        self.known[key] = _Read(piece.start, reading)
        return reading

    # ---- a right file ---------------------------------------------------------------------------------------------------

    def _right(
        self, found: list[Piece], readings: list[Reading]
    ) -> tuple[tuple[ast.TopLevel, ...], tuple[Diagnostic, ...]]:
        """The declarations of the whole text, and what is wrong in its literals. Raises lark.UnexpectedInput."""
        whole = [_whole(piece, reading) for piece, reading in zip(found, readings, strict=True)]
        runs = _runs(self.source.text, [(p, r.item) for p, r, w in zip(found, readings, whole, strict=True) if w])
        items, escapes = self.parse("".join(_shortened(self.source.text, runs)), 0, "start")
        if not all(whole):  # one is not read as a declaration in its place
            return self._at_once()
        standing = {run[0][0].start: [item for _, item in run] for run in runs}
        top = _filled(items, standing)
        if standing:
            return self._at_once()
        for reading in readings:
            escapes += reading.escapes
        escapes = list(dict.fromkeys(escapes))  # those of a run's first title were met in the short text too
        escapes.sort(key=lambda problem: problem.primary.span.start if problem.primary else 0)
        return top, tuple(escapes)

    def _at_once(self) -> tuple[tuple[ast.TopLevel, ...], tuple[Diagnostic, ...]]:
        items, escapes = self.parse(self.source.text, 0, "start")
        return items, tuple(escapes)

    # ---- a mistaken one -------------------------------------------------------------------------------------------------

    def _mistaken(
        self, found: list[Piece], readings: list[Reading]
    ) -> tuple[tuple[ast.TopLevel, ...], tuple[Diagnostic, ...], tuple[Span, ...], bool]:
        rest = "".join(_blanked(self.source.text, found))
        whole = matched(rest) and "{" in rest  # a file without a brace is in another language: one mistake is enough
        read = self.reader.rest(rest, whole)
        top = list(read.item)
        specs = [item for item in top if isinstance(item, ast.SpecDecl)]
        lost, problems, escapes = bool(read.broken), [*read.problems], [*read.escapes]
        # what seems to be missing in such a spec, or in a broken declaration, is not
        broken = [spec.name.span for spec in specs] if lost else []
        begins = [spec.span.start for spec in specs]
        inside: dict[int, list[Any]] = {}
        for piece, reading in zip(found, readings, strict=True):
            problems += reading.problems
            escapes += reading.escapes
            broken += reading.broken
            item = reading.item
            home = bisect_left(begins, piece.start) - 1  # the last spec that begins before it
            if item is None:
                lost = True
            elif home >= 0 and piece.start < specs[home].span.end:
                inside.setdefault(home, []).append(item)
            elif isinstance(item, ast.ValueDecl | ast.RuleDecl):
                top.append(item)
            elif specs and (whole or piece.start < specs[0].span.start):
                problems.append(mistakes.outside(item))
        top = [item for item in top if not isinstance(item, ast.SpecDecl)]
        for n, spec in enumerate(specs):
            top.append(ast.SpecDecl(spec.span, spec.name, spec.title, spec.extends, (*spec.items, *inside.get(n, ()))))
        top.sort(key=lambda item: item.span.start)
        return tuple(top), (*dict.fromkeys(problems), *escapes), tuple(broken), lost


def _moved(value: Any, by: int) -> Any:
    """A reading and all that is in it, so many characters further on in its file."""
    if not by:
        return value
    kind = type(value)
    if kind is Span:
        return Span(value.file, value.start + by, value.end + by)
    if kind is tuple:
        return tuple([_moved(part, by) for part in value])
    if kind is Reading:
        return Reading(*[_moved(part, by) for part in value])
    if isinstance(value, ast.Ast):
        copy = object.__new__(kind)
        copy.__dict__.update({name: _moved(part, by) for name, part in value.__dict__.items()})
        return copy
    if kind is Diagnostic:
        return replace(value, primary=_moved(value.primary, by), related=_moved(value.related, by))
    return Label(_moved(value.span, by), value.text) if kind is Label else value


# ---- texts without their declarations -----------------------------------------------------------------------------------

Run: TypeAlias = list[tuple[Piece, Any]]
"""Declarations with nothing but white space between them, each of which can stand where the others do."""


def _whole(piece: Piece, reading: Reading) -> bool:
    """Is it a declaration, all of it and nothing else?"""
    return not (reading.problems or piece.prose) and (reading.item.span[1:] == piece[:2])


def _runs(text: str, whole: list[tuple[Piece, Any]]) -> list[Run]:
    found: list[Run] = []
    for piece, item in whole:
        last = found[-1][-1] if found else None
        if (
            last
            and isinstance(item, ast.ValueDecl | ast.RuleDecl)
            and isinstance(last[1], ast.ValueDecl | ast.RuleDecl)
            and not text[last[0].end : piece.start].strip(" \t\n\f")
        ):
            found[-1].append((piece, item))
        else:
            found.append([(piece, item)])
    return found


def _shortened(text: str, runs: list[Run]) -> Iterator[str]:
    """The text with the head alone of each run's first declaration; offsets stay."""
    at = 0
    for run in runs:
        opened = next(match.start() for match in scan(text, run[0][0].start) if match["brace"])
        yield text[at:opened] + "{"
        yield " " * (run[-1][0].end - opened - 2) + "}"
        at = run[-1][0].end
    yield text[at:]


def _filled(items: Sequence[Any], standing: dict[int, list[Any]]) -> tuple[Any, ...]:
    """Declarations with the runs in their places; what is found is taken out of `standing`."""
    found: list[Any] = []
    for item in items:
        if isinstance(item, ast.SpecDecl):
            item = ast.SpecDecl(item.span, item.name, item.title, item.extends, _filled(item.items, standing))
        found += standing.pop(item.span.start, [item])
    return tuple(found)


def _blanked(text: str, found: list[Piece]) -> Iterator[str]:
    """The text without the declarations, each as white space of its length."""
    at = 0
    for piece in found:
        yield text[at : piece.start]
        yield " " * (piece.end - piece.start)
        at = piece.end
    yield text[at:]
