"""How lark, the TextMate grammar and the Pygments lexer read a text: for each of its characters, what it is a part of."""

import json
import re
from functools import cache
from itertools import groupby
from pathlib import Path

import lark
from babi.highlight import Compiler, Grammar, Grammars, highlight_line
from pygments.token import Comment, Error, Keyword, Name, Number, Punctuation, String, Whitespace, _TokenType

from msmc.highlight import MsmLexer

ROOT = Path(__file__).parents[1]
TEXTMATE = ROOT / "grammar" / "msm.tmLanguage.json"
PUNCTUATION = {"COMMA", "DOT", "LBRACE", "RBRACE"}
PARTS = {
    "NAME": "name",
    "INT": "number",
    "NUMBER": "number",
    "STRING": "string",
    "BLOCK": "string",
    **dict.fromkeys(PUNCTUATION, "punctuation"),
}
"""What a terminal of the grammar is; every other is a word."""


@cache
def _lark() -> lark.Lark:
    return lark.Lark((ROOT / "grammar" / "msm.lark").read_text("utf-8"), parser="lalr", keep_all_tokens=True)


def words() -> set[str]:
    """The words of the language, as the grammar's own terminals have them."""
    patterns = [terminal.pattern for terminal in _lark().terminals]
    return {p.value for p in patterns if isinstance(p, lark.lexer.PatternStr) and p.value.isidentifier()}


def is_a(terminal: str, text: str) -> bool:
    return bool(re.fullmatch(_lark().get_terminal(terminal).pattern.to_regexp(), text))


def by_lark(text: str) -> list[str]:
    """What each character is: name, number, string, comment, punctuation, word or space."""
    parts = ["space"] * len(text)
    end = 0

    def comments(start: int, stop: int) -> None:
        for found in re.finditer(r"#[^\n]*", text[start:stop]):
            parts[start + found.start() : start + found.end()] = ["comment"] * len(found[0])

    for token in _lark().parse(text).scan_values(lambda value: isinstance(value, lark.Token)):
        comments(end, token.start_pos)
        end = token.end_pos
        parts[token.start_pos : end] = [PARTS.get(token.type, "word")] * len(token)
    comments(end, len(text))
    return parts


@cache
def _textmate() -> Compiler:
    return Compiler(Grammar.make(json.loads(TEXTMATE.read_text("utf-8"))), Grammars())


def scopes(text: str) -> list[tuple[str, ...]]:
    """The scopes of each character, outermost first."""
    found: list[tuple[str, ...]] = []
    state = _textmate().root_state
    for number, line in enumerate(re.findall(r".*\n|.+", text)):
        state, regions = highlight_line(_textmate(), state, line, number == 0)
        found += [region.scope[1:] for region in regions for _ in range(region.start, region.end)]
    return found


def by_textmate(text: str) -> list[str]:
    def part(scope: tuple[str, ...]) -> str:
        kinds = {name.split(".")[0] for name in scope}
        if outer := kinds & {"comment", "string"}:
            return outer.pop()
        if not scope:
            return "space"
        first, second, *_ = scope[-1].split(".")
        return {"entity": "name", "variable": "name", "punctuation": "punctuation", "invalid": "error"}.get(
            first, "number" if second == "numeric" else "word"
        )

    return [part(scope) for scope in scopes(text)]


def tokens(text: str) -> list[_TokenType]:
    """The Pygments token that each character belongs to."""
    return [token for _, token, value in MsmLexer().get_tokens_unprocessed(text) for _ in value]


def by_pygments(text: str) -> list[str]:
    families = {
        "comment": Comment, "string": String, "word": Keyword, "name": Name, "number": Number,
        "punctuation": Punctuation, "space": Whitespace, "error": Error,
    }  # fmt: skip
    return [next(part for part, family in families.items() if token in family) for token in tokens(text)]


def differences(text: str, read: list[str]) -> list[str]:
    """Where another reading of the text differs from lark's, as `line: characters: lark's, the other's`."""
    assert len(read) == len(text)
    rows = [
        (text.count("\n", 0, at), one, other) for at, (one, other) in enumerate(zip(by_lark(text), read, strict=True))
    ]
    found = []
    for (line, one, other), places in groupby(range(len(text)), lambda at: rows[at]):
        if one != other:
            found.append(f"{line + 1}: {''.join(text[at] for at in places)!r}: {one}, {other}")
    return found
