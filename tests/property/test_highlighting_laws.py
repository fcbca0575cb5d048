"""Laws of the highlighters: no text loses a character, and a text's escapes and placeholders are the compiler's."""

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msmc.highlight import MsmLexer
from msmc.syntax.text import read_literal
from tests.highlighting import by_pygments, by_textmate, is_a, scopes, tokens, words

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = ("{", "}", "{a}", "{ab_1}", "$", "\\", "\\{", '\\"', "\\\\", "\\n", "#", " ", "a", "É")
SIGNS = ('"', '"""', '\\"""', "\n", "\r", ",", ".", "7", "# msmc: allow x -- y", "\0", *PIECES)
SOURCE = st.lists(st.sampled_from([*sorted(words()), *SIGNS]) | st.text(max_size=3), max_size=40).map(" ".join)
STRING = st.lists(st.sampled_from(PIECES), max_size=12).map(lambda pieces: f'"{"".join(pieces)}"')
BLOCK = st.lists(st.sampled_from([*PIECES, "\n", '\\"""', '"a']), max_size=12).map(lambda p: f'"""\n{"".join(p)}\n"""')


@QUICK
@given(SOURCE | st.text(max_size=60))
def test_pygments_loses_no_character(text: str) -> None:
    found = list(MsmLexer().get_tokens_unprocessed(text))
    assert "".join(value for _, _, value in found) == text
    assert [at for at, _, _ in found] == [sum(len(v) for _, _, v in found[:n]) for n in range(len(found))]


@QUICK
@given(SOURCE | st.text(max_size=60))
def test_textmate_scopes_every_character(text: str) -> None:
    assert len(scopes(text)) == len(text)


@QUICK
@given(STRING.filter(lambda s: is_a("STRING", s)) | BLOCK.filter(lambda s: is_a("BLOCK", s)))
def test_a_literal_has_the_compiler_s_placeholders_and_escapes(literal: str) -> None:
    quoted, problems = read_literal("f", literal, 0)
    holes = {at for hole in quoted.holes for at in range(hole.span.start, hole.span.end)}
    unknown = {label.span.start for problem in problems if (label := problem.primary)}
    by_scope = [scope[-1] for scope in scopes(literal)]
    assert {at for at, name in enumerate(by_scope) if name.startswith("variable")} == holes
    assert {m.start() for m in re.finditer(r"\\", literal) if by_scope[m.start()].startswith("invalid")} == unknown
    braces = {at + by for hole in quoted.holes for at, by in ((hole.span.start, -1), (hole.span.end - 1, 1))}
    assert {at for at, token in enumerate(tokens(literal)) if token[-1] == "Interpol"} == holes | braces
    assert set(by_textmate(literal)) == set(by_pygments(literal)) == {"string"}
