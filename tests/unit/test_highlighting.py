"""The TextMate grammar and the Pygments lexer know the words of msm.lark and no others, and read specs as lark does."""

import json
import re
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from pygments import lexer
from pygments.token import Error

from msmc.highlight import MsmLexer
from tests.highlighting import ROOT, TEXTMATE, by_lark, by_pygments, by_textmate, differences, scopes, tokens, words

GOLDEN = ROOT / "tests" / "golden" / "highlighting"
FILES = sorted(path for folder in ("specs", "tests/golden") for path in (ROOT / folder).rglob("*.msm"))
WHOLE = [p for p in FILES if not {"errors", "bad_input"} & set(p.parts)]
"""Those that parse."""
BOTH = pytest.mark.parametrize("reader", [by_textmate, by_pygments])
EVERY_PLACE_OF_A_NAME = """
import "a.msm" as X
spec X "S" extends X.X {
  param X "p" style X
  value X "V" { was X, X statement style X "x" rationale for X.X "x" }
  rule X { serves X, X.X, X subrule X "x" subrule X { statement "x" } example X { user "x" } }
  documents { about X, X.X kinds X, X audiences X, "x", X angles "x", X }
  demos X chat { about X } demos X from "x"
  eval X preference { about X.X, X rung far } eval X inspect "x"
  ablation X { arm X { use X.X style X replace X with X.X keep X, X drop value, serves of X.X } control X, X primary X }
}
"""


def _patterns(rule: Any) -> list[str]:
    """All regular expressions of a TextMate grammar."""
    if isinstance(rule, list):
        return [pattern for part in rule for pattern in _patterns(part)]
    if not isinstance(rule, dict):
        return []
    own = [rule[key] for key in ("match", "begin", "end") if key in rule]
    return own + [pattern for part in rule.values() for pattern in _patterns(part)]


def test_textmate_has_the_words_of_the_grammar() -> None:
    patterns = " ".join(_patterns(json.loads(TEXTMATE.read_text("utf-8"))))
    bare = re.sub(r"\\.|\[(?:\\.|[^]\\])*\]", " ", patterns)  # without escapes and classes of characters
    assert set(re.findall("[a-z_]+", bare)) - {"msmc", "allow"} == words()


def test_pygments_has_the_words_of_the_grammar() -> None:
    rules = [rule[0] for state in MsmLexer.tokens.values() for rule in state if isinstance(rule, tuple)]
    assert {word for rule in rules if isinstance(rule, lexer.words) for word in rule.words} == words()


def test_the_golden_has_every_word() -> None:
    text = (GOLDEN / "words.msm").read_text("utf-8")
    runs = [(part, [at for at, _ in run]) for part, run in groupby(enumerate(by_lark(text)), lambda pair: pair[1])]
    assert {"".join(text[at] for at in places) for part, places in runs if part == "word"} == words()


def test_golden(update_golden: bool) -> None:
    text = (GOLDEN / "words.msm").read_text("utf-8")
    rows = [f"{' '.join(s)}  |  {str(t)[6:]}" for s, t in zip(scopes(text), tokens(text), strict=True)]
    told = ""
    for row, run in groupby(range(len(text)), lambda at: rows[at]):
        places = list(run)
        piece = text[places[0] : places[-1] + 1]
        told += f"{piece!r:<45} {row}\n" if piece.strip() else ""
    kept = GOLDEN / "words.txt"
    if update_golden:
        kept.write_text(told, "utf-8")
    assert told == kept.read_text("utf-8")


@BOTH
@pytest.mark.parametrize("path", WHOLE, ids=lambda p: p.name)
def test_a_spec_is_read_as_lark_reads_it(path: Path, reader: Callable[[str], list[str]]) -> None:
    text = path.read_text("utf-8")
    assert differences(text, reader(text)) == []


@BOTH
@pytest.mark.parametrize("word", sorted(words()))
def test_a_word_may_be_an_id(word: str, reader: Callable[[str], list[str]]) -> None:
    text = EVERY_PLACE_OF_A_NAME.replace("X", word)
    spread = text.replace(" ", "\n# the rule, {value}\n  ")
    assert differences(text, reader(text)) == []
    assert differences(spread, reader(spread)) == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_character_is_lost(path: Path) -> None:
    text = path.read_text("utf-8")
    found = list(MsmLexer(stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(value for _, value in found) == text
    assert path not in WHOLE or Error not in {token for token, _ in found}
    assert len(scopes(text)) == len(text)


def test_an_unclosed_string_ends_with_its_line() -> None:
    text = 'spec s "S {\n  version'
    for read in (by_textmate(text), by_pygments(text)):
        assert read[-7:] == ["word"] * 7
    assert scopes('title "a \\q"')[-3][-1] == "invalid.illegal.escape.msm"


def test_pygments_finds_the_lexer() -> None:
    (found,) = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][
        "pygments.lexers"
    ].items()
    assert EntryPoint(*found, "pygments.lexers").load() is MsmLexer


def test_the_extension_has_the_grammar() -> None:
    """A copy, so that the folder can be copied: cp grammar/msm.tmLanguage.json editors/vscode/syntaxes/"""
    folder = ROOT / "editors" / "vscode"
    package = json.loads((folder / "package.json").read_text("utf-8"))
    (grammar,) = package["contributes"]["grammars"]
    (language,) = package["contributes"]["languages"]
    assert (folder / grammar["path"]).read_bytes() == TEXTMATE.read_bytes()
    assert grammar["scopeName"] == json.loads(TEXTMATE.read_text("utf-8"))["scopeName"]
    assert (grammar["language"], language["extensions"]) == (language["id"], [".msm"])
    assert json.loads((folder / language["configuration"]).read_text("utf-8"))["comments"] == {"lineComment": "#"}
