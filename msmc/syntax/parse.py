"""Text to `ast.File`."""

import hashlib
import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import lark

from msmc.diagnostics import Diagnostic, Label
from msmc.shipped import cache_folder, shipped
from msmc.source import SourceFile, Span
from msmc.syntax import ast
from msmc.syntax.cut import without_literals
from msmc.syntax.text import read_literal

ALLOWANCE = re.compile(r"#[ \t]*msmc:[ \t]*allow\b[ \t]*(?P<name>(?:(?!--)\S)*)(?P<rest>[^\n]*)")


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


def parse(source: SourceFile) -> tuple[ast.File | None, list[Diagnostic]]:
    """The tree of one file, without what is mistaken in it, and every mistake; no tree where the file is empty."""
    tree, problems = _parse(source)
    return tree, list(problems)


@lru_cache(maxsize=64)  # several specs of one check share what they import
def _parse(source: SourceFile) -> tuple[ast.File | None, Sequence[Diagnostic]]:
    if not source.text.strip():
        return None, [empty_file(source)]
    problems = list[Diagnostic]()

    def read(text: str, offset: int, start: str) -> Any:
        tree = _grammar().parse(text, start=start)
        builder = _Builder(source.path, offset)
        found = builder.transform(tree)
        problems.extend(builder.problems)
        return found

    broken, lost = list[Span](), False
    try:
        items = read(source.text, 0, "start")
    except lark.UnexpectedInput:
        from msmc.syntax.recover import Recovery  # most files are whole

        recovery = Recovery(
            source, read, {t.name: str(t.pattern.value) for t in _grammar().terminals if t.pattern.type == "str"}
        )
        items, broken, lost = recovery.items(), recovery.broken, recovery.lost
        problems = [*dict.fromkeys(recovery.problems), *problems]
    code = without_literals(source.text)
    allowances = tuple(_allowance(source.path, comment) for comment in ALLOWANCE.finditer(code))
    whole = Span(source.path, 0, len(source.text))
    return ast.File(whole, items, allowances, tuple(broken), lost), problems


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
    return Diagnostic("empty-file", f"`{source.path}` is empty", where, hint=hint)


def _allowance(path: str, comment: re.Match[str]) -> ast.Allowance:
    name = ast.Name(Span(path, *comment.span("name")), comment["name"])
    return ast.Allowance(Span(path, *comment.span()), name, comment["rest"].partition("--")[2].strip())


class _Builder(lark.Transformer):  # type: ignore[type-arg]
    """Turns a rule `some_rule` into the class `ast.SomeRule`: the naming is the wiring."""

    def __init__(self, path: str, offset: int) -> None:
        """`offset`: where the text stands that is parsed."""
        super().__init__()
        self.file, self.offset = path, offset
        self.problems: list[Diagnostic] = []

    def _word(self, token: lark.Token) -> ast.Name:
        start = self.offset + (token.start_pos or 0)
        return ast.Name(Span(self.file, start, start + len(token)), str(token))

    def __default__(self, data: Any, children: list[Any], meta: Any) -> Any:
        if children and isinstance(children[0], lark.Token):  # a rule that is one word: its Name
            return self._word(children[0])
        cls = getattr(ast, "".join(part.title() for part in str(data).split("_")))
        if cls.takes_rest:
            head = len(cls.fields) - 2  # the span is no child, the last field takes the rest
            children = [*children[:head], tuple(children[head:])]
        return cls(Span(self.file, self.offset + meta.start_pos, self.offset + meta.end_pos), *children)

    def start(self, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def path(self, tokens: list[lark.Token]) -> ast.Path:
        words = tuple(self._word(token) for token in tokens)
        return ast.Path(Span(self.file, words[0].span.start, words[-1].span.end), words)

    def kinds_dropped(self, names: list[ast.Name]) -> tuple[ast.Name, ...]:
        return tuple(names)

    def string(self, tokens: list[lark.Token]) -> ast.Quoted:
        quoted, problems = read_literal(self.file, str(tokens[0]), self.offset + (tokens[0].start_pos or 0))
        self.problems += problems
        return quoted

    block = string
