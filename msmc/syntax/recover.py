"""What of a mistaken file still stands: each declaration is parsed by itself, and again without what is wrong in it.

One mistake, one error; several, all of them. A faulty line is blanked out with what belongs to it, so that offsets stay and the
rest of its declaration is read.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import lark

from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile, Span
from msmc.syntax import hints, mistakes
from msmc.syntax.cut import Piece, scan, without_literals

Parse = Callable[[str, int, str], tuple[Any, list[Diagnostic]]]
"""A text, the offset it stands at, and `start` or `declaration`, to what it is, and what is wrong in its literals.

Raises lark.UnexpectedInput.
"""
ITEM = re.compile(
    r"^[ \t]*(?:version|assistant|param|specificity|style|serves|priority|statement|rationale|subrule|example|was|user|system|"
    r"about|kinds|audiences|angles|justify|thinking|pairs|questions|scenarios|goals|samples|rung|held_out|arm|use|replace|shuffle|keep|drop|control|vary|"
    r"sweep|order|match|primary|seeds|import|documents|demos|eval)\b",
    re.MULTILINE,
)
MARKS = ":=;-*,"
"""What can be left out and nothing else is wrong."""
MOST = 50
"""Mistakes that are told of one declaration: each costs another reading of it."""


class Reading(NamedTuple):
    """What a text is, as far as it can be read, and every mistake in it."""

    item: Any
    """A declaration, or None; the declarations of a whole file."""
    problems: tuple[Diagnostic, ...] = ()
    escapes: tuple[Diagnostic, ...] = ()
    """What is wrong in its literals, of what was read in the end."""
    broken: tuple[Span, ...] = ()
    """All of it, once for each mistake that took words of it along."""


class Reader:
    """Reads the declarations of one file, each by itself, and what is left without them."""

    def __init__(self, source: SourceFile, parse: Parse, words: dict[str, str]) -> None:
        """`words`: the keyword of each terminal that is one."""
        self.source, self.parse, self.words = source, parse, words

    def declaration(self, piece: Piece) -> Reading:
        text = self.source.text[piece.start : piece.end]
        found = self._read(text if piece.matched else text.rstrip(), piece.start, "declaration", piece.matched)
        if found.item is None:  # its name at least
            with suppress(lark.UnexpectedInput):
                item, escapes = self.parse(text[: piece.head - piece.start] + "{}", piece.start, "declaration")
                return found._replace(item=item, escapes=tuple(escapes))
        return found

    def rest(self, text: str, whole: bool) -> Reading:
        """The file with its declarations blanked out. `whole`: do its braces match?"""
        return self._read(text, 0, "start", whole)

    def _read(self, text: str, offset: int, start: str, matched: bool) -> Reading:
        """What a text is, and what it is without its mistakes. None, or no declarations, where nothing is left.

        Where braces do not match, one mistake that took words along is told: what follows is its doing. Without a brace
        the text is in another language, and one mistake is enough.
        """
        problems, broken, last = list[Diagnostic](), list[Span](), -1
        for _ in range(MOST):
            try:
                item, escapes = self.parse(text, offset, start)
                return Reading(item, tuple(problems), tuple(escapes), tuple(broken))
            except lark.UnexpectedInput as error:
                accepted = mistakes.accepted(error)
                problem = mistakes.syntax_error(self.source, text, offset, error, self.words)
                raw = getattr(error, "pos_in_stream", None)
            if start == "start" and problem.name == "unclosed-brace":
                # it may stand in a declaration that took the spec's brace
                problem = mistakes.unclosed_brace(self.source)
            assert problem.primary is not None
            at = problem.primary.span.start - offset
            if raw is not None and problem.primary.span.end - offset <= raw and problem.name == "unexpected-word":
                at = problem.primary.span.end - offset - 1  # in what is not finished, and no item of its own
            if at <= last:
                break  # what is wrong now is what the blanks left behind
            last = at if problem.name != "unclosed-brace" else len(text)
            if matched or not problems or ("{" in text and not broken):
                problems.append(problem)
            mended = _mended(text, at, problem, accepted if raw == at else set())
            if mended is None or not _only_marks(text, mended):
                broken.append(Span(self.source.path, offset, offset + len(text)))
            if mended is None or (broken and not matched and "{" not in text):
                break  # nothing is left, or a page of prose, of whose lines none is a declaration
            text = mended
        return Reading(() if start == "start" else None, tuple(problems), (), tuple(broken))


def _only_marks(text: str, mended: str) -> bool:
    """Did it lose signs alone, and was nothing put in?"""

    def count(pattern: str) -> int:
        return len(re.findall(pattern, text)) - len(re.findall(pattern, mended))

    return count(r"\w+") == 0 and count(r"[^\w\s]") > 0


def _mended(text: str, at: int, problem: Diagnostic, accepted: set[str]) -> str | None:
    """The text without the mistake. None: nothing of it can stay."""
    if problem.name == "unclosed-brace":
        missing = mistakes.num_unclosed(text)
        return text + "}" * missing if missing else None
    assert problem.primary is not None
    length = problem.primary.span.end - problem.primary.span.start
    if problem.name == "foreign-syntax" and length <= 2 and text[at] in MARKS:
        return _blank(text, at, at + length)
    word = text[at : at + length]
    if hints.lacks_comma(text[:at], word, accepted):
        return _with_commas(text, at)
    return _without(text, at, accepted)


def _with_commas(text: str, at: int) -> str:
    """With the comma before an offset, and those before all further names of the line."""
    for match in re.compile(r"(?P<gap>[ \t])(?P<name>[a-z][\w.]*)").finditer(text, at - 1, _end_of_line(text, at)):
        if match["name"] in hints.HOMES or text[: match.start()].rstrip(" \t")[-1:] in (",", "."):
            break
        text = f"{text[: match.start()]},{text[match.end('gap') :]}"
    return text


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return end if end >= 0 else len(text)


def _without(text: str, at: int, accepted: set[str]) -> str | None:
    """The text with the item around an offset blanked out, and what its braces hold. None: all of it would be.

    Where a `}` or the end could stand, what is before the offset is whole, and stays.
    """
    whole = bool({"RBRACE", "$END"} & accepted)
    if text[at] == "}" and whole:
        return text[:at] + " " + text[at + 1 :]
    code = without_literals(text, comments=False)
    starts = [match.end() - len(match[0].lstrip()) for match in ITEM.finditer(code)]
    begin = at if whole else max((s for s in starts if s < at), default=None)
    if begin is None:
        return None
    if not whole and (at in starts or text[at] == "}"):
        opened = text[at] == "}" and any(match["brace"] == "{" for match in scan(text[begin:at]))
        return _blank(text, begin, at + opened)  # the item before is cut off, with its brace
    end = min((s for s in starts if s > at), default=len(text))
    if whole and not text.startswith("---", at):  # front matter goes as a whole
        end = min(end, _line_end(code, at))
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


def _line_end(code: str, at: int) -> int:
    """Where the line of an offset ends, with the lines behind it that are indented further; literals are blank in `code`."""
    begin = code.rfind("\n", 0, at) + 1
    indent = at - begin
    if code[begin:at].strip():
        return len(code)  # it does not stand first on its line
    lines = re.compile(r"\n(?P<indent>[ \t]*)(?=\S)")
    return next((m.start() for m in lines.finditer(code, at) if len(m["indent"]) <= indent), len(code))


def _blank(text: str, begin: int, end: int) -> str:
    return text[:begin] + re.sub(r"[^\n]", " ", text[begin:end]) + text[end:]
