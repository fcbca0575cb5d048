"""Recovery from mistakes of syntax: one mistake, one error; and what is not mistaken is read."""

import re

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from msmc.check import check
from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile
from msmc.syntax import ast
from msmc.syntax.cut import BLOCK, COMMENT, STRING
from msmc.syntax.parse import parse
from tests.project import Memory

SPEC = '''spec small "Small" {
  assistant "X" by "Y"
  param place "here"
  value v "V" {
    statement "v is good"                 # a comment with " and {
    rationale "because"
  }
  rule b "B" {
    serves v
    statement general "g"
    statement specific """
      some prose, with { and "quotes"
      rule in_prose "no head" {
    """
    subrule s {
      statement "s"
      rationale "r"
    }
    example e {
      user "hello"
      assistant "hi"
    }
    subrule t "one line"
  }
  rule c "C" { serves v statement "c" }
  documents {
    about values, rules
    kinds letter
  }
  demos d chat { about rules justify never }
  eval e recall { about values, rules }
  ablation w "W" {
    arm rules { drop value, rationale }
    arm general {
      specificity general
    }
    control base, aft_only
    seeds 2
  }
}
'''
TOKENS = [m for m in re.finditer(rf"{COMMENT}|{BLOCK}|{STRING}|\w+|[{{}},]", SPEC) if m[0][0] != "#"]
INSERTED = (":", "=", ";", "foo", "Foo", "}", "{", ",", "- ", "[", "(", "'", "“", "5", "//", "é", "\0")
places = st.sampled_from(TOKENS)
mutations = st.one_of(
    st.builds(lambda m: SPEC[: m.start()] + SPEC[m.end() :], places),
    st.builds(lambda m: f"{SPEC[: m.end()]} {m[0]}{SPEC[m.end() :]}", places),
    st.builds(lambda m, s: f"{SPEC[: m.start()]} {s} {SPEC[m.start() :]}", places, st.sampled_from(INSERTED)),
)


def problems(text: str) -> list[Diagnostic]:
    """Errors: what is left of a mutated spec may be nothing that its author would write."""
    found = check("main.msm", Memory(**{"main.msm": text})).problems
    return [problem for problem in found if problem.severity == "error"]


def test_the_spec_is_right() -> None:
    assert problems(SPEC) == []


@given(mutations)
@settings(max_examples=300)
def test_one_mistake_gives_one_error(text: str) -> None:
    assert len(problems(text)) <= 1


@given(st.lists(places, min_size=2, max_size=2, unique_by=lambda m: m.start()))
def test_mistakes_in_two_declarations_are_both_told(pair: list[re.Match[str]]) -> None:
    first, second = sorted(pair, key=lambda m: m.start())
    rules = [m.start() for m in re.finditer(r"^  (?:value|rule|documents|demos|eval|ablation) ", SPEC, re.MULTILINE)]
    home = [max((n for n, at in enumerate(rules) if at <= m.start()), default=-1) for m in (first, second)]
    assume(home[0] != home[1] and -1 not in home and not {"{", "}"} & {first[0], second[0]})
    text = f"{SPEC[: first.start()]} ; {SPEC[first.start() : second.start()]} ; {SPEC[second.start() :]}"
    assert [p.name for p in problems(text)] == ["foreign-syntax"] * 2


@given(mutations)
def test_the_other_declarations_are_read(text: str) -> None:
    tree, found = parse(SourceFile("main.msm", text.encode()))
    if len(found) == 1 and found[0].primary and tree:
        where = found[0].primary.span.start
        specs = [item for item in tree.items if isinstance(item, ast.SpecDecl)]
        # a stray brace may end the spec: what follows is read, outside of it
        every = [*tree.items, *(item for spec in specs for item in spec.items)]
        names = {item.name.word for item in every if isinstance(item, ast.ValueDecl | ast.RuleDecl)}
        broken = {name for name in ("v", "b", "c") if _holds(text, name, where)}
        assert not specs or {"v", "b", "c"} - broken <= names


def _holds(text: str, name: str, where: int) -> bool:
    """Is a place between the head of a declaration and the next one's?"""
    heads = [m.start() for m in re.finditer(r"^  (?:value|rule|documents|demos|eval|ablation) ", text, re.MULTILINE)]
    own = re.search(rf"^  (?:value|rule) {name} ", text, re.MULTILINE)
    if own is None:
        return True
    following = min((h for h in heads if h > own.start()), default=len(text))
    return own.start() <= where <= following


def test_a_block_that_is_never_closed_ends_with_its_file() -> None:
    text = 'spec s "S" { assistant "A" by "B" documents { abont "A" by "B" documents { aboutut a...'
    found = problems(text)
    assert found and all(p.primary and p.primary.span.end <= len(text) for p in found)
