"""Renaming: every use of a name, and `was OLD` in the declaration of a value or rule, so that its history follows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from msmc.analyze.blocks import TAKEN
from msmc.analyze.files import read_files
from msmc.analyze.nodes import IDENTITY, RESERVED
from msmc.diagnostics import fail
from msmc.navigate.names import Mention, mention_at, references
from msmc.navigate.scopes import Declaration, Key, Scopes
from msmc.source import SourceFile, Sources, Span
from msmc.syntax import ast

ID = re.compile(r"[a-z][a-z0-9_]*")
FIXED = {
    "identity": "this name is part of the language",
    "rationale": "a rationale has no name of its own",
}


class Edit(NamedTuple):
    span: Span
    text: str


def renamable(scopes: Scopes, file: str, offset: int) -> Mention:
    """The name at an offset. Raises Failed where there is none that could be another."""
    mention = mention_at(scopes, file, offset)
    if mention is None:
        raise fail("unknown-name", "there is no name here that msmc knows", "put the cursor on an id")
    if mention.target.kind in FIXED:
        raise fail("reserved-id", FIXED[mention.target.kind])
    return mention


def rename(mention: Mention, new: str, entries: Iterable[str], sources: Sources) -> list[Edit]:
    """What to write where, in all these files, so that a name becomes `new`. Raises Failed where it cannot."""
    target = mention.target.origin
    old = target.name.word
    if new == old:
        return []
    _check_free(target, new)
    entries = [entry for entry in entries if _reaches(entry, target.scope.file, sources)]
    for taken in _family(target, (*target.key[:-1], new), entries, sources):
        line = read_files(taken.scope.file, sources)[0].sources[taken.scope.file].position(taken.name.span.start)[0]
        raise fail("duplicate-id", f"`{new}` is already declared: {taken.scope.file}:{line}", "choose another name")
    names = (
        scopes for entry in entries if target.kind == "spec" for scopes in (Scopes(read_files(entry, sources)[0]),)
    )
    if any(new in {scope.name for scope in (*s.top.values(), *s.specs.values())} for s in names):
        raise fail("duplicate-id", f"`{new}` is the name of another spec or library", "choose another name")
    edits = [Edit(m.span, new) for m in references(target.symbol, entries, sources)]
    if target.kind in ("value", "rule"):
        files, _ = read_files(target.scope.file, sources)
        edits.append(_was(files.sources[target.scope.file], target.node, old, new))
    return sorted(set(edits))


def _reaches(entry: str, file: str, sources: Sources) -> bool:
    """Does a file import another, or is it that one? Raises Failed where it has mistakes too, which could hide a use."""
    files, problems = read_files(entry, sources)
    if file not in files.trees:
        return False
    mistaken = next((p for p in problems if p.primary and p.primary.span.file == entry), None)
    if mistaken and mistaken.primary:
        line = files.sources[entry].position(mistaken.primary.span.start)[0]
        raise fail(mistaken.name, f"{entry}:{line} has a mistake, so uses could be missed", "mend it first")
    return True


def _check_free(target: Declaration, new: str) -> None:
    if not ID.fullmatch(new):
        raise fail("reserved-id", f"`{new}` is no id", "an id is a lower-case letter, then letters a-z, digits and _")
    taken: Collection[str] = TAKEN.get(target.kind, ())
    if target.key[0] == "node":
        taken = RESERVED
    elif target.key[0] == "param":
        taken = IDENTITY
    if new in taken:
        raise fail("reserved-id", f"`{new}` cannot be an id here: it is reserved", f"for example {new}_2")


def _family(target: Declaration, key: Key, entries: list[str], sources: Sources) -> Iterator[Declaration]:
    """The declarations of a name in a scope, and in those that inherit from it in any of the files."""
    for entry in entries:
        scopes = Scopes(read_files(entry, sources)[0])
        for scope in (*scopes.top.values(), *scopes.specs.values()):
            inherits = any((s.file, s.name) == target.symbol[:2] for s in scope.chain())
            if inherits and (found := scope.find(key)):
                yield found


def _was(source: SourceFile, decl: ast.Ast, old: str, new: str) -> Edit:
    """The edit that notes an earlier id in a declaration."""
    items: tuple[ast.Ast, ...] = decl.items  # type: ignore[attr-defined]
    for item in items:
        if isinstance(item, ast.Was):
            for name in item.names:
                if name.word == new:  # renamed back: the two change places
                    return Edit(name.span, old)
            end = item.names[-1].span.end
            return Edit(Span(source.path, end, end), f", {old}")
    last_line = source.position(decl.span.end)[0]
    if not items or source.position(items[-1].span.end)[0] == last_line:
        at = decl.span.end - 1  # before the closing brace, on its line
        space = "" if source.text[at - 1] in " \n" else " "
        return Edit(Span(source.path, at, at), f"{space}was {old} ")
    line, _ = source.position(items[-1].span.end)
    at = source.offset(line, 1) + len(source.line(line))  # behind a comment on the last item's line
    first = source.line(source.position(items[-1].span.start)[0])
    indent = first[: len(first) - len(first.lstrip())]
    return Edit(Span(source.path, at, at), f"\n{indent}was {old}")
