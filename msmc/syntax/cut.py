"""Where declarations begin and end in a text that need not parse: by braces, and by how a declaration begins a line."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

STRING = r'"(?!"")(?>[^"\\\n]+|[\\][^\n])*+"'
BLOCK = r'"""(?>[^"\\]+|[\\]"""|[\\]|"(?!""))*+"{3,5}'
COMMENT = r"#[^\n]*"
SCAN = re.compile(rf"(?P<comment>{COMMENT})|(?P<text>{BLOCK}|{STRING})|(?P<brace>[{{}}])")
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
    return SCAN.finditer(text, start)


def without_literals(text: str, comments: bool = True) -> str:
    """The text with the inside of its literals, and of its comments unless they are kept, blanked out; offsets stay."""

    def blank(match: re.Match[str]) -> str:
        kept = match["brace"] or (comments and match["comment"])
        return match[0] if kept else " " * len(match[0])

    return SCAN.sub(blank, text)


def pieces(text: str) -> list[Piece]:
    """The declarations below the specs, in order. One whose braces do not match takes all up to where the next one begins."""
    heads = _heads(text)
    found: list[Piece] = []
    for number, head in enumerate(heads):
        if not head.spec and not (found and head.start < found[-1].end):
            found.append(_piece(text, heads, number))
    return found


class _Head(NamedTuple):
    start: int
    indent: int
    end: int
    spec: bool
    prose: bool


def _heads(text: str) -> list[_Head]:
    """Every line that begins like a declaration, but those of prose: in a literal, and indented further than others."""
    literals = [match.span() for match in scan(text) if match["text"]]
    begins = [begin for begin, _ in literals]
    heads = list[_Head]()
    for match in HEAD.finditer(text):
        start, indent = _place(text, match)
        last = bisect_right(begins, start) - 1
        prose = last >= 0 and start < literals[last][1]
        heads.append(_Head(start, indent, match.end(), match["spec"] is not None, prose))
    usual = min((head.indent for head in heads if not head.spec and not head.prose), default=0)
    return [head for head in heads if head.indent <= usual or not head.prose]


def _place(text: str, match: re.Match[str]) -> tuple[int, int]:
    start = match.end() - len(match[0].lstrip(" \t"))
    return start, start - match.start()


def _piece(text: str, heads: list[_Head], number: int) -> Piece:
    """From a head to its closing brace, if all is closed before the next head; in a literal, one that is not indented further."""
    own, depth, number = heads[number], 0, number + 1
    closed, low, end = None, 0, len(text)
    for match in scan(text, own.start):
        while number < len(heads) and heads[number].start < match.end():
            if heads[number].start < match.start() or heads[number].indent <= own.indent:
                end = heads[number].start
                break
            number += 1
        if end < len(text):
            break
        if match["brace"] == "}" and indent_of_brace(text, match.start()) < own.indent:
            end = match.start()
            break
        if match["brace"]:
            depth += 1 if match["brace"] == "{" else -1
            low = min(low, depth)
            if depth == 0 and closed is None:
                closed = match.end()
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
