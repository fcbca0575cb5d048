"""From a string literal to text: escapes, dedent, placeholders (DESIGN section 2)."""

import re
from functools import lru_cache

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Hole, Text
from msmc.source import Span
from msmc.syntax.ast import Name, Quoted

# each alternative begins with a literal, so that `re` leaps from one to the next: three times as fast as a group before it
HOLE = r"\{(?<![{$\\]\{)(?P<hole>[a-z][a-z0-9_]*)\}(?!\})"
IN_STRING = re.compile(rf"\\.|{HOLE}", re.DOTALL)
IN_BLOCK = re.compile(rf'\\(?:\{{|""")|{HOLE}')
STRING_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\{": "{"}
BLOCK_ESCAPES = {"\\{": "{", '\\"""': '"""'}


def read_literal(file: str, raw: str, start: int) -> tuple[Quoted, list[Diagnostic]]:
    """The text of a literal that stands at offset `start`, quotes included in `raw`; and its unknown escapes."""
    if "{" not in raw and "\\" not in raw and not raw.startswith('"""'):  # half of all: nothing to look for
        text = Text.model_construct(parts=(raw[1:-1],) if len(raw) > 2 else ())
        return Quoted(Span(file, start, start + len(raw)), text, ()), []
    if raw.startswith('"""'):
        return _assemble(file, raw, start, _block_pieces(raw), IN_BLOCK, BLOCK_ESCAPES)
    return _assemble(file, raw, start, [(1, len(raw) - 1)], IN_STRING, STRING_ESCAPES)


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
    file: str,
    raw: str,
    start: int,
    pieces: list[tuple[int, int]],
    special: re.Pattern[str],
    escapes: dict[str, str],
) -> tuple[Quoted, list[Diagnostic]]:
    parts: list[str | Hole] = []
    holes: list[Name] = []
    problems: list[Diagnostic] = []
    buffer = ""
    for begin, end in pieces:
        at = begin
        for met in special.finditer(raw, begin, end):
            buffer += raw[at : met.start()]
            at = met.end()
            if name := met["hole"]:
                parts += [buffer] if buffer else []
                buffer = ""
                parts.append(_hole(name))
                holes.append(Name(Span(file, start + met.start("hole"), start + met.end("hole")), name))
            else:
                if met[0] not in escapes:
                    problems.append(unknown_escape(met[0], Span(file, start + met.start(), start + met.end())))
                buffer += escapes.get(met[0], met[0])
        buffer += raw[at:end]
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
