"""The items of a preference evaluation: JSON Lines of `{"a", "b", "aligned", "topic"}`."""

import json

from pydantic import ValidationError

from msmc.analyze.files import leaves, read_source
from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Item
from msmc.source import SourceFile, Sources, Span

SHAPE = '{"a": "…", "b": "…", "aligned": "a", "topic": "…"}'


def read_items(
    path: str, sources: Sources, asked: Span, files: dict[str, SourceFile]
) -> tuple[tuple[Item, ...], list[Diagnostic]]:
    """The items of a file that the source asks for at `asked`, and every line that is none. Adds the file to `files`."""
    if leaves(path, path):
        return (), [Diagnostic("import-escapes", f"`{path}` lies outside the project", Label(asked))]
    source = read_source(path, sources)
    if isinstance(source, Diagnostic):
        return (), [Diagnostic(source.name, source.message, Label(asked, "asked for here"), hint=source.hint)]
    files[path] = source
    items, problems, first = list[Item](), list[Diagnostic](), dict[frozenset[str], Span]()
    start = 0
    for line in source.text.split("\n"):
        where = Span(path, start, start + len(line))
        start += len(line) + 1
        if not line.strip():
            continue
        told = ""
        try:
            item = Item.model_validate(json.loads(line))
            (item.a + item.b + item.topic).encode()  # half of a surrogate pair is no text
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(map(str, fault["loc"]))
            told = f"`{name}`: {fault['msg'].lower()}" if name else "this line is no object"
        except (ValueError, RecursionError) as error:  # not JSON; a number of 5,000 digits; half of a surrogate pair
            told = f"this line is not JSON: {getattr(error, 'msg', error)}"
        if told:
            problems.append(Diagnostic("bad-row", told, Label(where), hint=f"a line is {SHAPE}"))
            continue
        pair = frozenset((item.a, item.b))
        if pair in first or len(pair) == 1:
            message = "both options are the same" if len(pair) == 1 else "this pair stands twice"
            related = () if len(pair) == 1 else (Label(first[pair], "first here"),)
            problems.append(Diagnostic("bad-row", message, Label(where, "again here"), related, hint="remove the line"))
            continue
        first[pair] = where
        items.append(item)
    if not items and not problems:
        problems.append(Diagnostic("empty-file", f"`{path}` has no items", Label(asked), hint=f"a line is {SHAPE}"))
    return tuple(items), problems
