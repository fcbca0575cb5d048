"""Text to `ast.File`."""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import lark

from msmc.diagnostics import Diagnostic, Label
from msmc.shipped import cache_folder, shipped
from msmc.source import SourceFile, Span
from msmc.syntax import ast
from msmc.syntax.builder import Builder
from msmc.syntax.cut import without_literals

if TYPE_CHECKING:
    from msmc.syntax.incremental import Known

ALLOWANCE = re.compile(
    r"^[^#\n]*(?P<comment>#[ \t]*msmc:[ \t]*(?:allow\b[ \t]*(?P<name>(?:(?!--)\S)*))?(?P<rest>[^\n]*))", re.MULTILINE
)
"""A comment that begins so, in a text without literals."""


class _NameEverywhere:
    """Offers NAME in every context, so that `rulelikes` is one long NAME and not the keyword `rule` and a rest."""

    always_accept = ("NAME",)

    def process(self, stream: Any) -> Any:
        return stream


@cache
def _grammar() -> lark.Lark:
    """The grammar with its tables, which take longer to make than a small spec takes to check: they are kept."""
    text = (shipped() / "grammar" / "msm.lark").read_text("utf-8")
    versions = f"{lark.__version__} {sys.implementation.cache_tag} "
    kept = cache_folder() / f"grammar-{hashlib.sha256((versions + text).encode()).hexdigest()[:16]}"
    if tables := _whole(kept):
        return lark.Lark.load(io.BytesIO(tables))
    options: dict[str, Any] = {
        "parser": "lalr",
        "start": ["start", "declaration"],
        "propagate_positions": True,
        "maybe_placeholders": True,
    }
    grammar = lark.Lark(text, **options, postlex=_NameEverywhere())
    stream = io.BytesIO()
    grammar.save(stream)
    _keep(kept, stream.getvalue())
    return grammar


def _whole(kept: Path) -> bytes | None:
    """What `_keep` wrote, or None where the file is missing or damaged."""
    try:
        content = kept.read_bytes()
    except OSError:
        return None
    return content[32:] if hashlib.sha256(content[32:]).digest() == content[:32] else None


def _keep(kept: Path, content: bytes) -> None:
    """Writes content behind its digest, beside its place and then there, so that nobody reads half of it. May fail silently."""
    part = kept.with_name(f"{kept.name}.{os.getpid()}")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(hashlib.sha256(content).digest() + content)
        part.replace(kept)


class _Parsed(NamedTuple):
    """A file as it was last."""

    source: SourceFile
    tree: ast.File | None
    problems: tuple[Diagnostic, ...]
    known: Known | None
    """Its declarations by their text, once somebody asked; until then they are in the tree."""


_last: dict[str, _Parsed] = {}
"""By path: several specs of one check share what they import, and an editor asks again after each change."""
FILES = 64


def parse(source: SourceFile) -> tuple[ast.File | None, list[Diagnostic]]:
    """The tree of one file, without what is mistaken in it, and every mistake; no tree where the file is empty.

    What the file's last text had already is not parsed again.
    """
    last = _last.get(source.path)
    if last is None or last.source != source:
        last = _parsed(source, last)
        _last.pop(source.path, None)
        _last[source.path] = last
        if len(_last) > FILES:
            _last.pop(next(iter(_last)), None)
    return last.tree, list(last.problems)


def _parsed(source: SourceFile, last: _Parsed | None) -> _Parsed:
    if not source.text.strip():
        return _Parsed(source, None, (empty_file(source),), None)

    def read(text: str, offset: int, start: str) -> tuple[Any, list[Diagnostic]]:
        tree = _grammar().parse(text, start=start)
        builder = Builder(source.path, offset, len(source.text))
        return builder.build(tree), builder.problems

    known = _known(last)
    if known is None:  # the first text of this file: most are right, and read at once in the shortest time
        with suppress(lark.UnexpectedInput):
            items, escapes = read(source.text, 0, "start")
            return _Parsed(source, _file(source, items), tuple(escapes), None)
    from msmc.syntax.incremental import Pieces

    pieces = Pieces(
        source, read, {t.name: str(t.pattern.value) for t in _grammar().terminals if t.pattern.type == "str"}, known
    )
    items, problems, broken, lost = pieces.read()
    return _Parsed(source, _file(source, items, broken, lost), problems, pieces.known)


def _known(last: _Parsed | None) -> Known | None:
    """The declarations of a file's last text."""
    if last is None or last.tree is None:
        return None
    if last.known is not None:
        return last.known
    from msmc.syntax.incremental import declarations

    return declarations(last.source.text, last.tree, last.problems)


def _file(
    source: SourceFile, items: tuple[ast.TopLevel, ...], broken: Sequence[Span] = (), lost: bool = False
) -> ast.File:
    found = ALLOWANCE.finditer(without_literals(source.text)) if "msmc:" in source.text else ()
    allowances = tuple(_allowance(source.path, comment) for comment in found)
    return ast.File(Span(source.path, 0, len(source.text)), items, allowances, tuple(broken), lost)


def empty_file(source: SourceFile) -> Diagnostic:
    """A file with nothing in it: a spec, the items of an evaluation, rows of the author's own.

    An evaluation without items would score nothing and say so of every arm; an empty spec is seldom meant.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          eval drinks preference { about rules  pairs "items.jsonl" }
        }

        # items.jsonl

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          eval drinks preference { about rules  pairs "items.jsonl" }
        }

        # items.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    """
    where = Label(Span(source.path, 0, 0), "nothing here")
    hint = 'a spec begins with: spec name "Title" { … }'
    what = "has nothing but comments: lines with `#`" if source.text.strip() else "is empty"
    return Diagnostic("empty-file", f"`{source.path}` {what}", where, hint=hint)


def _allowance(path: str, comment: re.Match[str]) -> ast.Allowance:
    written = "name" if comment["name"] is not None else "rest"  # without `allow` it names nothing
    name = ast.Name(Span(path, *comment.span(written)), comment["name"] or "")
    return ast.Allowance(Span(path, *comment.span("comment")), name, comment["rest"].partition("--")[2].strip())
