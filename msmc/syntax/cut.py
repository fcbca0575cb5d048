"""Where declarations begin and end in a text that need not parse: by braces, and by how a declaration begins a line."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

STRING = r'"(?!"")(?>[^"\\\n]+|[\\][^\n])*+"'
BLOCK = r'"""(?>[^"\\]+|[\\]"""|[\\]|"(?!""))*+"{3,5}'
COMMENT = r"#[^\n]*"
SCAN = re.compile(rf"(?P<comment>{COMMENT})|(?P<text>{BLOCK}|{STRING})|(?P<brace>[{{}}])|(?P<open>(?=\"\"\"))")
NO_BLOCK = re.compile(rf"(?P<comment>{COMMENT})|(?P<text>{STRING})|(?P<brace>[{{}}])")
NAME = r'[^\s{}"#,]+'  # also one that is none, as `likes-cheese`
HEAD = re.compile(
    rf'^[ \t]*(?P<word>(?:value|rule|ablation)[ \t]+{NAME}(?:[ \t]+"[^"\n]*"?)?[ \t]*(?=[{{#\n]|\Z)'
    rf"|documents\s*(?={{)|(?:demos|eval)[ \t]+{NAME}[ \t]+{NAME}\s*(?={{))"
    rf"|^[ \t]*(?P<spec>spec[ \t]+{NAME}[^\n]*)",
    re.MULTILINE,
)


class Piece(NamedTuple):
    """A declaration that a spec or library holds: its range in the text, where its head ends, and whether its braces match."""

    start: int
    end: int
    head: int
    matched: bool
    prose: bool
    """Does it begin in a literal, as it does where a literal is not closed, or where prose looks like a declaration?"""


def scan(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """The comments, literals and braces of a text; a quote that nothing closes is stepped over."""
    for match in SCAN.finditer(text, start):
        if match.lastgroup == "open":  # nothing closes it, so nothing closes a later one, and none is looked for
            yield from NO_BLOCK.finditer(text, match.start())
            return
        yield match


def without_literals(text: str, comments: bool = True) -> str:
    """The text with the inside of its literals, and of its comments unless they are kept, blanked out; offsets stay."""
    return _without(text, ("text",) if comments else ("text", "comment"))


def without_comments(text: str) -> str:
    return _without(text, ("comment",))


def _without(text: str, groups: tuple[str, ...]) -> str:
    parts, at = list[str](), 0
    for match in scan(text):
        if match.lastgroup in groups:
            parts += (text[at : match.start()], " " * (match.end() - match.start()))
            at = match.end()
    return "".join((*parts, text[at:]))


def pieces(text: str) -> list[Piece]:
    """The declarations below the specs, in order. One whose braces do not match takes all up to where the next one begins."""
    scans = [_marks(text, 0)]
    heads = _heads(text, scans[0])
    found: list[Piece] = []
    for number, head in enumerate(heads):
        if head.spec or (found and head.start < found[-1].end):
            continue
        marks = next((marks for marks in scans if not marks.holds(head.start)), None)
        if marks is None:  # the text is read once for each way to read its quotes, not for each head
            marks = _marks(text, head.start)
            scans.append(marks)
        found.append(_piece(text, marks, heads, number))
    return found


class _Marks(NamedTuple):
    """What a scan finds, for texts of millions of braces."""

    starts: "array[int]"
    ends: "array[int]"
    signs: bytearray
    """The first character of each."""

    def holds(self, at: int) -> bool:
        """Is it in a literal?"""
        last = bisect_right(self.starts, at) - 1
        return last >= 0 and at < self.ends[last]


def _marks(text: str, start: int) -> _Marks:
    marks = _Marks(array("q"), array("q"), bytearray())
    for match in scan(text, start):
        marks.starts.append(match.start())
        marks.ends.append(match.end())
        marks.signs.append(ord(text[match.start()]))
    return marks


class _Head(NamedTuple):
    start: int
    indent: int
    end: int
    spec: bool
    prose: bool


def _heads(text: str, marks: _Marks) -> list[_Head]:
    """Every line that begins like a declaration, but those of prose: in a literal, and indented further than others."""
    heads = list[_Head]()
    for match in HEAD.finditer(text):
        start, indent = _place(text, match)
        heads.append(_Head(start, indent, match.end(), match["spec"] is not None, marks.holds(start)))
    usual = min((head.indent for head in heads if not head.spec and not head.prose), default=0)
    return [head for head in heads if head.indent <= usual or not head.prose]


def _place(text: str, match: re.Match[str]) -> tuple[int, int]:
    start = match.end() - len(match[0].lstrip(" \t"))
    return start, start - match.start()


def _piece(text: str, marks: _Marks, heads: list[_Head], number: int) -> Piece:
    """From a head to its closing brace, if all is closed before the next head; in a literal, one that is not indented further."""
    own, depth, number = heads[number], 0, number + 1
    closed, low, end = None, 0, len(text)
    for at in range(bisect_left(marks.starts, own.start), len(marks.starts)):
        start, sign = marks.starts[at], chr(marks.signs[at])
        while number < len(heads) and heads[number].start < marks.ends[at]:
            if heads[number].start < start or heads[number].indent <= own.indent:
                end = heads[number].start
                break
            number += 1
        if end < len(text):
            break
        if sign == "}" and indent_of_brace(text, start) < own.indent:
            end = start
            break
        if sign in "{}":
            depth += 1 if sign == "{" else -1
            low = min(low, depth)
            if depth == 0 and closed is None:
                closed = start + 1
    else:
        end = heads[number].start if number < len(heads) else len(text)
        if closed and number == len(heads):  # what is left closes the spec, or is too much in it
            return Piece(own.start, closed, own.end, True, own.prose)
    if closed and depth == low == 0:
        return Piece(own.start, closed, own.end, True, own.prose)
    return Piece(own.start, end, own.end, False, own.prose)


def indent_of_brace(text: str, at: int) -> float:
    """How far a brace is indented that stands first on its line; one that does not is no measure."""
    begin = at
    while begin and text[begin - 1] in " \t":
        begin -= 1
    return at - begin if not begin or text[begin - 1] == "\n" else float("inf")


def matched(text: str) -> bool:
    """Do the braces of a text match?"""
    depth = 0
    for match in scan(text):
        depth += {"{": 1, "}": -1}.get(match["brace"] or "", 0)
        if depth < 0:
            return False
    return depth == 0
