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

from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.shipped import cache_folder, shipped
from msmc.source import SourceFile, Span
from msmc.syntax import ast
from msmc.syntax.text import read_literal

ALLOWANCE = re.compile(r"#[ \t]*msmc:[ \t]*allow[ \t]+([a-z][a-z0-9-]*)[^\n]*")


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
    options: dict[str, Any] = {"parser": "lalr", "propagate_positions": True, "maybe_placeholders": True}
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
    """The tree of one file, or what keeps it from having one."""
    tree, problems = _parse(source)
    return tree, list(problems)


@lru_cache(maxsize=64)  # several specs of one check share what they import
def _parse(source: SourceFile) -> tuple[ast.File | None, Sequence[Diagnostic]]:
    if not source.text.strip():
        where = Label(Span(source.path, 0, 0), "nothing here")
        hint = 'a spec begins with: spec name "Title" { … }'
        return None, [Diagnostic("empty-file", f"`{source.path}` is empty", where, hint=hint)]
    try:
        tree = _grammar().parse(source.text)
    except lark.UnexpectedInput as error:
        return None, [_syntax_error(source, error)]
    builder = _Builder(source)
    items = builder.transform(tree)
    comments = ALLOWANCE.finditer(_without_literals(source.text))
    allowances = tuple(ast.Name(Span(source.path, m.start(), m.end()), m[1]) for m in comments)
    return ast.File(Span(source.path, 0, len(source.text)), items, allowances), builder.problems


def _without_literals(text: str) -> str:
    """The text with the inside of its literals blanked out, offsets kept."""
    literal = re.compile(r'#[^\n]*|"""(?:\\"""|(?!""").|\n)*"{3,5}|"(?!"")(?:[^"\\\n]|\\[^\n])*"')
    return literal.sub(lambda m: m[0] if m[0][0] == "#" else " " * len(m[0]), text)


class _Builder(lark.Transformer):  # type: ignore[type-arg]
    """Turns a rule `some_rule` into the class `ast.SomeRule`: the naming is the wiring."""

    def __init__(self, source: SourceFile) -> None:
        super().__init__()
        self.file = source.path
        self.problems: list[Diagnostic] = []

    def _word(self, token: lark.Token) -> ast.Name:
        return ast.Name(Span(self.file, token.start_pos or 0, token.end_pos or 0), str(token))

    def __default__(self, data: Any, children: list[Any], meta: Any) -> Any:
        if children and isinstance(children[0], lark.Token):  # a rule that is one word: its Name
            return self._word(children[0])
        cls = getattr(ast, "".join(part.title() for part in str(data).split("_")))
        if cls.takes_rest:
            head = len(cls.fields) - 2  # the span is no child, the last field takes the rest
            children = [*children[:head], tuple(children[head:])]
        return cls(Span(self.file, meta.start_pos, meta.end_pos), *children)

    def start(self, children: list[Any]) -> tuple[Any, ...]:
        return tuple(children)

    def path(self, tokens: list[lark.Token]) -> ast.Path:
        words = tuple(self._word(token) for token in tokens)
        return ast.Path(Span(self.file, words[0].span.start, words[-1].span.end), words)

    def kinds_dropped(self, names: list[ast.Name]) -> tuple[ast.Name, ...]:
        return tuple(names)

    def string(self, tokens: list[lark.Token]) -> ast.Quoted:
        quoted, problems = read_literal(self.file, str(tokens[0]), tokens[0].start_pos or 0)
        self.problems += problems
        return quoted

    block = string


# ---- what went wrong, in the user's words -------------------------------------------------------------------------------

WORDS = {
    "NAME": "a name",
    "STRING": '"text"',
    "BLOCK": '"""text"""',
    "INT": "a number",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "$END": "the end of the file",
}


def _syntax_error(source: SourceFile, error: lark.UnexpectedInput) -> Diagnostic:
    if isinstance(error, lark.UnexpectedToken):
        start, end = error.token.start_pos or 0, error.token.end_pos or 0
        expected = set(error.accepts or error.expected)
        if error.token.type == "$END":
            return _unclosed_brace(source)
        found = str(error.token)
    else:
        assert isinstance(error, lark.UnexpectedCharacters)
        start, expected = error.pos_in_stream or 0, set(error.allowed or ())
        if source.text[start] == '"':
            return _unclosed_string(source, start)
        word = re.compile(r"[\w.-]+|.").match(source.text, start)
        end = word.end() if word else start + 1
        found = source.text[start:end]
    found = found.split("\n")[0]
    found = found if len(found) <= 30 else found[:29] + "…"
    where = Label(Span(source.path, start, min(end, start + len(found))), "not expected here")
    return Diagnostic("unexpected-word", f"`{found}` cannot stand here", where, hint=_expectation(found, expected))


def _expectation(found: str, expected: set[str]) -> str:
    keywords = {t.pattern.value for t in _grammar().terminals if t.name in expected and t.pattern.type == "str"}
    words = {k for k in keywords if k.isidentifier()}
    near = did_you_mean(found, words) if found.isidentifier() else ""
    if near.startswith("did you mean"):
        return near
    if found[:1] in (":", "="):
        return f"leave the `{found[0]}` out: a text stands right behind its word"
    if len(expected) > 8:
        return ""
    names = sorted(
        {WORDS[t] for t in expected if t in WORDS and not (t == "NAME" and words)} | {f"`{w}`" for w in words}
    )
    return f"expected {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"expected {''.join(names)}"


def _unclosed_string(source: SourceFile, start: int) -> Diagnostic:
    block = source.text.startswith('"""', start)
    end = source.text.find("\n", start)
    where = Label(Span(source.path, start, end if end >= 0 else len(source.text)), "opened here")
    hint = (
        'close it with """ on a line of its own'
        if block
        else 'close it with " on the same line, or write """ … """ for prose'
    )
    return Diagnostic("unclosed-string", "this text is never closed", where, hint=hint)


def _unclosed_brace(source: SourceFile) -> Diagnostic:
    text = re.sub(r"#[^\n]*", lambda m: " " * len(m[0]), _without_literals(source.text))
    opened: list[int] = []
    for match in re.finditer(r"[{}]", text):
        if match[0] == "{":
            opened.append(match.start())
        elif opened:
            opened.pop()
    at = opened[-1] if opened else len(source.text.rstrip())
    where = Label(Span(source.path, at, at + 1), "opened here" if opened else "the file ends here")
    message = "this `{` is never closed" if opened else "the file ends in the middle of a declaration"
    return Diagnostic("unclosed-brace", message, where, hint="add the missing `}`" if opened else "")
