"""From a string literal to text: escapes, dedent, placeholders (DESIGN section 2)."""

import re
from functools import lru_cache

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Hole, Text
from msmc.source import Span
from msmc.syntax.ast import Name, Quoted

PLACEHOLDER = re.compile(r"(?<![{$\\])\{([a-z][a-z0-9_]*)\}(?!\})")
PLAIN = re.compile(r"[^{\\]+")
STRING_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\{": "{"}
BLOCK_ESCAPES = {"\\{": "{", '\\"""': '"""'}


def read_literal(file: str, raw: str, start: int) -> tuple[Quoted, list[Diagnostic]]:
    """The text of a literal that stands at offset `start`, quotes included in `raw`; and its unknown escapes."""
    if "{" not in raw and "\\" not in raw and not raw.startswith('"""'):  # half of all: nothing to look for
        text = Text.model_construct(parts=(raw[1:-1],) if len(raw) > 2 else ())
        return Quoted(Span(file, start, start + len(raw)), text, ()), []
    if raw.startswith('"""'):
        return _assemble(file, raw, start, _block_pieces(raw), BLOCK_ESCAPES, strict=False)
    return _assemble(file, raw, start, [(1, len(raw) - 1)], STRING_ESCAPES, strict=True)


def _block_pieces(raw: str) -> list[tuple[int, int]]:
    """The ranges of `raw` that are text: without the first line break, the last one with its indent, the common indent."""
    lines, at = [], 3
    for line in raw[3:-3].split("\n"):
        lines.append((at, at + len(line)))
        at += len(line) + 1
    body = lines[1:] if len(lines) > 1 and not raw[slice(*lines[0])].strip(" \t") else lines
    if len(body) > 1 and not raw[slice(*body[-1])].strip(" \t"):
        body = body[:-1]
    measured = [raw[s:e] for s, e in body if raw[s:e].strip(" \t") and s != 3]
    indent = min((len(line) - len(line.lstrip(" \t")) for line in measured), default=0)
    pieces = []
    for number, (s, e) in enumerate(body):
        s = s if s == 3 else min(s + indent, e)
        # the piece takes its line break along, so that pieces join to the text
        pieces.append((s, e + 1 if number + 1 < len(body) else e))
    return pieces


def _assemble(
    file: str, raw: str, start: int, pieces: list[tuple[int, int]], escapes: dict[str, str], *, strict: bool
) -> tuple[Quoted, list[Diagnostic]]:
    parts: list[str | Hole] = []
    holes: list[Name] = []
    problems: list[Diagnostic] = []
    buffer = ""
    for begin, end in pieces:
        at = begin
        while at < end:
            plain = PLAIN.match(raw, at, end)
            if plain:  # most of a text: nothing that could begin an escape or a placeholder
                buffer += plain[0]
                at = plain.end()
                continue
            escape = next((e for e in escapes if raw.startswith(e, at)), None)
            if escape:
                buffer += escapes[escape]
                at += len(escape)
            elif match := PLACEHOLDER.match(raw, at, end):
                parts += [buffer] if buffer else []
                buffer = ""
                parts.append(_hole(match[1]))
                holes.append(Name(Span(file, start + match.start(1), start + match.end(1)), match[1]))
                at = match.end()
            else:
                if strict and raw[at] == "\\":
                    problems.append(unknown_escape(raw[at : at + 2], Span(file, start + at, start + at + 2)))
                buffer += raw[at]
                at += 1
    parts += [buffer] if buffer else []
    text = Text.model_construct(parts=tuple(parts))
    return Quoted(Span(file, start, start + len(raw)), text, tuple(holes)), problems


def unknown_escape(written: str, span: Span) -> Diagnostic:
    r"""A backslash in a string before a character that it does nothing to.

    Strings know `\" \\ \n \t \{`. In prose between triple quotes a backslash is a character like others.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule paths "Paths" { statement "{assistant} writes paths as C:\docs." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule paths "Paths" { statement "{assistant} writes paths as C:\\docs." }
        }
    """
    hint = r"the escapes are \" \\ \n \t \{ ; write \\ for a backslash"
    return Diagnostic("unknown-escape", f"`{written}` is not an escape", Label(span, "not an escape"), hint=hint)


@lru_cache(maxsize=1000)
def _hole(name: str) -> Hole:
    return Hole.model_construct(name=name)


def reindented(raw: str, indent: int, closing: int) -> str:
    """A block literal of the same text, its lines at one indent and its closing quotes, if they stand alone, at another.

    It stays as it is where text stands on the opening line, and where the indents that go are not all alike, as tabs and spaces.
    """
    opening, *lines = raw[3:-3].split("\n")
    alone = len(lines) > 1 and not lines[-1].strip(" \t")
    content = lines[:-1] if alone else lines
    measured = [len(line) - len(line.lstrip(" \t")) for line in content if line.strip(" \t")]
    if opening.strip(" \t") or not measured:
        return raw
    common = min(measured)
    if len({line[:common] for line in content if len(line) > common}) > 1:
        return raw
    moved = [" " * indent + line[common:] if line[common:] else "" for line in content]
    return "\n".join(['"""', *moved, *([" " * closing] if alone else [])]) + '"""'
