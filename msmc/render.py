"""Diagnostics on the outside: text with carets, JSON, GitHub annotations."""

import json
import unicodedata
from collections.abc import Iterable, Mapping

from msmc.diagnostics import Diagnostic, Label
from msmc.prose import visible
from msmc.source import SourceFile

SHOWN = 20


def order(problems: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By file and place, each once."""
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda p: (p.primary.span if p.primary else ("", 0, 0), p.name, p.message))


def as_text(problems: Iterable[Diagnostic], files: Mapping[str, SourceFile], color: bool = False) -> str:
    """For people: each problem with its line and a caret, at most twenty of them."""
    shown = order(problems)
    blocks = [_block(problem, files, color) for problem in shown[:SHOWN]]
    if len(shown) > SHOWN:
        blocks.append(f"… and {len(shown) - SHOWN} more, which --format json tells")
    return "\n\n".join(blocks)


def _block(problem: Diagnostic, files: Mapping[str, SourceFile], color: bool) -> str:
    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color else text

    lines = [paint(f"{problem.severity}[{problem.name}]", "1;31") + f": {visible(problem.message)}   ({problem.code})"]
    labels = [(label, mark) for label, mark in _labels(problem) if label.span.file in files]
    if problem.primary and not labels:
        lines.append(f"  --> {problem.primary.span.file}")
    width = max((len(str(_place(label, files)[0])) for label, _ in labels), default=1)
    shown_file = ""
    for label, mark in labels:
        line, column = _place(label, files)
        file = label.span.file
        if file != shown_file:
            lines.append(f"{' ' * width}--> {file}:{line}:{column}")
            shown_file = file
        lines += _excerpt(label, mark, files[file], line, column, width)
    for kind, text in (("note", problem.note), ("hint", problem.hint)):
        if text:
            lines.append(f"  {paint(kind, '1')}: {visible(text)}")
    return "\n".join(lines)


def _labels(problem: Diagnostic) -> Iterable[tuple[Label, str]]:
    if problem.primary:
        yield problem.primary, "^"
    yield from ((label, "-") for label in problem.related)


def _place(label: Label, files: Mapping[str, SourceFile]) -> tuple[int, int]:
    return files[label.span.file].position(label.span.start)


def _excerpt(label: Label, mark: str, file: SourceFile, line: int, column: int, width: int) -> list[str]:
    text = file.line(line)
    length = max(1, min(label.span.end, label.span.start + len(text) - column + 1) - label.span.start)
    start = max(0, column - 60)
    shown = visible(text[start : start + 100].expandtabs(1))
    before, under = text[start : column - 1], text[column - 1 : column - 1 + length][: max(1, start + 100 - column)]
    caret = " " * _width(before) + mark * max(1, _width(under))
    return [
        f"{' ' * width} |",
        f"{line:>{width}} | {shown}",
        f"{' ' * width} | {caret} {label.text}".rstrip(),
    ]


def _width(text: str) -> int:
    """Columns on a terminal: wide characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def as_json(problems: Iterable[Diagnostic], files: Mapping[str, SourceFile]) -> str:
    """An array of {severity, name, code, message, file, line, column, end_line, end_column, note, hint, related}."""
    return json.dumps([_data(problem, files) for problem in order(problems)], ensure_ascii=False, indent=2)


def _data(problem: Diagnostic, files: Mapping[str, SourceFile]) -> dict[str, object]:
    return {
        "severity": problem.severity,
        "name": problem.name,
        "code": problem.code,
        "message": problem.message,
        **_where(problem.primary, files),
        "note": problem.note,
        "hint": problem.hint,
        "related": [{**_where(label, files), "text": label.text} for label in problem.related],
    }


def _where(label: Label | None, files: Mapping[str, SourceFile]) -> dict[str, object]:
    if label is None or label.span.file not in files:
        file = label.span.file if label else None
        return {"file": file, "line": None, "column": None, "end_line": None, "end_column": None}
    file, (line, column) = label.span.file, _place(label, files)
    end_line, end_column = files[file].position(label.span.end)
    return {"file": file, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def as_github(problems: Iterable[Diagnostic], files: Mapping[str, SourceFile]) -> str:
    """Workflow commands that GitHub shows as annotations."""
    return "\n".join(_annotation(_data(problem, files)) for problem in order(problems))


def _annotation(data: dict[str, object]) -> str:
    def escape(text: object, more: str = "") -> str:
        out = str(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        for character in more:
            out = out.replace(character, f"%{ord(character):02X}")
        return out

    place = [
        f"{key}={escape(data[name], ':,')}"
        for key, name in (("file", "file"), ("line", "line"), ("col", "column"))
        if data[name]
    ]
    message = f"{data['message']}" + (f" ({data['hint']})" if data["hint"] else "")
    return f"::{data['severity']} {','.join([*place, 'title=' + escape(data['name'], ':,')])}::{escape(message)}"
