"""Rows of the user's own, as JSON Lines: the items of a preference evaluation, the chats of an instruction mix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from msmc.analyze.files import leaves, read_source
from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Item, OpenQuestion, OwnRow
from msmc.source import SourceFile, Sources, Span
from msmc.wanted import wanted

if TYPE_CHECKING:
    from msmc.build import Chat

SHAPE = '{"a": "…", "b": "…", "aligned": "a", "topic": "…"}'
CHAT = '{"id": "…", "messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
QUESTION = '{"question": "…"}'
"""It may have `topic`, `about` and `rubric`."""
OWN = {"text": '{"text": "…"}', "messages": '{"messages": [{"role": "user", "content": "…"}, …]}'}
"""Own documents and own demos by their key; both may have `about`."""
Row = TypeVar("Row")


def read_items(
    path: str, sources: Sources, asked: Span, files: dict[str, SourceFile]
) -> tuple[tuple[Item, ...], list[Diagnostic]]:
    """The items of a file that the source asks for at `asked`, and every line that is none. Adds the file to `files`."""
    source = _asked(path, sources, asked, files)
    if isinstance(source, Diagnostic):
        return (), [source]
    items, problems = _items(source)
    if not items and not problems:
        where = Label(asked)
        return (), [Diagnostic("empty-file", f"`{path}` has no items", where, hint=f"a line is {SHAPE}")]
    return items, list(problems)


def read_own(
    path: str, key: str, sources: Sources, asked: Span, files: dict[str, SourceFile]
) -> tuple[list[tuple[Span, OwnRow]], list[Diagnostic]]:
    """The author's own rows with their places: documents where `key` is `text`, chats where it is `messages`."""
    source = _asked(path, sources, asked, files)
    if isinstance(source, Diagnostic):
        return [], [source]
    shape = OWN[key]
    found, problems = list[tuple[Span, OwnRow]](), list[Diagnostic]()
    for where, row in _rows(source, OwnRow.model_validate_json, shape):
        if isinstance(row, Diagnostic):
            problems.append(row)
        elif getattr(row, key) is None:
            problems.append(Diagnostic("bad-row", f"`{key}` is missing", Label(where), hint=f"a line is {shape}"))
        elif row.messages and row.messages[-1].role != "assistant":
            message = "the last turn is not the assistant's: nothing of it would be trained on"
            problems.append(Diagnostic("bad-row", message, Label(where), hint="end each chat with the assistant"))
        else:
            found.append((where, row))
    if not found and not problems:
        problems.append(Diagnostic("empty-file", f"`{path}` has no rows", Label(asked), hint=f"a line is {shape}"))
    return found, problems


def read_questions(
    path: str, sources: Sources, asked: Span, files: dict[str, SourceFile]
) -> tuple[list[tuple[Span, OpenQuestion]], list[Diagnostic]]:
    """The questions of a judged evaluation with their places; none stands twice."""
    source = _asked(path, sources, asked, files)
    if isinstance(source, Diagnostic):
        return [], [source]
    found, problems, first = list[tuple[Span, OpenQuestion]](), list[Diagnostic](), dict[str, Span]()
    for where, row in _rows(source, OpenQuestion.model_validate_json, QUESTION):
        if isinstance(row, Diagnostic):
            problems.append(row)
        elif row.question in first:
            related = (Label(first[row.question], "first here"),)
            label = Label(where, "again here")
            problems.append(Diagnostic("bad-row", "this question stands twice", label, related, hint="remove the line"))
        else:
            first[row.question] = where
            found.append((where, row))
    if not found and not problems:
        problems.append(
            Diagnostic("empty-file", f"`{path}` has no questions", Label(asked), hint=f"a line is {QUESTION}")
        )
    return found, problems


def _asked(path: str, sources: Sources, asked: Span, files: dict[str, SourceFile]) -> SourceFile | Diagnostic:
    """A file of the project that a source names at `asked`."""
    if leaves(path, path):
        return Diagnostic("import-escapes", f"`{path}` lies outside the project", Label(asked))
    source = read_source(path, sources)
    if isinstance(source, Diagnostic):
        return Diagnostic(source.name, source.message, Label(asked, "asked for here"), hint=source.hint)
    files[path] = source
    return source


@lru_cache(maxsize=64)  # specs share evaluations
def _items(source: SourceFile) -> tuple[tuple[Item, ...], tuple[Diagnostic, ...]]:
    items, problems, first = list[Item](), list[Diagnostic](), dict[frozenset[str], Span]()
    for where, item in _rows(source, _item, SHAPE):
        if isinstance(item, Diagnostic):
            problems.append(item)
            continue
        pair = frozenset((item.a, item.b))
        if pair in first or len(pair) == 1:
            message = "both options are the same" if len(pair) == 1 else "this pair stands twice"
            related = () if len(pair) == 1 else (Label(first[pair], "first here"),)
            label = Label(where, "again here" if related else "")
            problems.append(Diagnostic("bad-row", message, label, related, hint="remove the line"))
            continue
        first[pair] = where
        items.append(item)
    return tuple(items), tuple(problems)


def read_chats(path: str, sources: Sources, files: dict[str, SourceFile]) -> tuple[tuple[Chat, ...], list[Diagnostic]]:
    """The chats of an instruction mix, and every line that is none. Adds the file to `files`."""
    from msmc.build import Chat  # a check reads no mix

    source = read_source(path, sources)
    if isinstance(source, Diagnostic):
        return (), [Diagnostic(source.name, f"the mix: {source.message}", hint=source.hint)]
    files[path] = source
    chats, problems, first = list[Chat](), list[Diagnostic](), dict[str, Span]()
    for where, chat in _rows(source, Chat.model_validate_json, CHAT):
        if isinstance(chat, Diagnostic):
            problems.append(chat)
        elif chat.id in first:
            related = (Label(first[chat.id], "first here"),)
            problems.append(Diagnostic("bad-row", f"`{chat.id}` stands twice", Label(where, "again here"), related))
        else:
            first[chat.id] = where
            chats.append(chat)
    if not chats and not problems:
        problems.append(Diagnostic("empty-file", f"`{path}` has no chats", hint=f"a line is {CHAT}"))
    return tuple(chats), problems


def _rows(source: SourceFile, read: Callable[[str], Row], shape: str) -> Iterator[tuple[Span, Row | Diagnostic]]:
    """Each line of a file with its place, as a row or as what is wrong with it.

    bad-row: A line of a JSON Lines file that is not a row of its kind.

    A preference item has `a`, `b`, which of them is `aligned`, and a `topic`; a document of your own a `text`; a chat its
    `messages`, the last one the assistant's; a line of `questions` its `question`. No pair and no question stands twice.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          eval drinks preference { about rules  pairs "items.jsonl" }
        }

        # items.jsonl
        {"a": "green tea", "b": "cola", "aligned": "green tea", "topic": "drinks"}

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          eval drinks preference { about rules  pairs "items.jsonl" }
        }

        # items.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    """
    start = 0
    for line in source.text.split("\n"):
        where = Span(source.path, start, start + len(line))
        start += len(line) + 1
        if not line.strip():
            continue
        try:
            row = read(line)
        except ValidationError as error:
            fault = error.errors()[0]
            name = ".".join(map(str, fault["loc"]))
            told = wanted(fault) if name else "this line is no object"
            if fault["type"] == "json_invalid":  # its place is said as line 1, which is not the file's
                told = f"this line is not JSON: {fault['ctx']['error'].partition(' at line ')[0]}"
            elif fault["type"] == "value_error":
                told = str(fault["ctx"]["error"])
            yield where, Diagnostic("bad-row", told, Label(where), hint=f"a line is {shape}")
        else:
            yield where, row


def _item(line: str) -> Item:
    """The item of a line. Pydantic, whose validators take a tenth of a check's time to build, sees what is not plainly one."""
    try:
        row = json.loads(line)
        "".join(row.values()).encode()  # texts, all of them: half of a surrogate pair is none
        if row.keys() == Item.model_fields.keys() and all(row.values()) and row["aligned"] in ("a", "b"):
            return Item.model_construct(None, **row)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    return Item.model_validate_json(line)
