"""A file that is parsed again after edits: its tree and its problems are those of a file that was never parsed before."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from msmc.source import SourceFile
from msmc.syntax import ast
from msmc.syntax import parse as syntax
from tests.property.test_recovery import SPEC, TOKENS

LIBRARY = """value v "V" { statement "\\q and {x}" }

rule a "A" { serves v statement "a" }
rule b { }  # } and "
value w "a \\" { w" { rationale "r" }
import "x" as y
"""
PROSE = '''spec s {
  rule a { statement """
  rule in_prose "less indented than it should be" {
    }
  """ }
  rule b "B" { statement "b" }
  rule c {
    subrule
    documents { statement "a block's word as a name" }
  }
  documents { about rules }
  ablation x { arm a {
    drop
    value of
    v
  } }
}
rule d {}
'''
LIKELY = (
    '"""',
    '"',
    '"\\',
    "}",
    "{",
    "# ",
    "\n",
    "\n  rule x {",
    "\ndocuments {}",
    "rule x {} # }",
    "spec t {",
    '\\"""',
    "q",
)
"""What changes how the text around it is read."""
WORDS = [match[0] for match in TOKENS]


@st.composite
def edits(draw: st.DrawFn) -> list[str]:
    """A text, and what each of some edits makes of it."""
    texts = [draw(st.sampled_from((SPEC, LIBRARY, PROSE, SPEC + LIBRARY, f"{PROSE}{SPEC}")))]
    for _ in range(draw(st.integers(1, 4))):
        text = texts[-1]
        marks = [match.start() for match in re.finditer(r"\w+|\S|\n", text)] or [0]
        begin, end = sorted((draw(st.sampled_from(marks)), draw(st.sampled_from(marks))))
        change = draw(st.sampled_from(("insert", "remove", "move", "back")))
        if change == "insert":
            texts.append(text[:begin] + draw(st.sampled_from((*LIKELY, *WORDS))) + text[begin:])
        elif change == "remove":
            texts.append(text[:begin] + text[min(end, begin + draw(st.sampled_from((1, 5, 1000)))) :])
        elif change == "move":
            texts.append(text[:begin] + text[end:] + text[begin:end])
        else:
            texts.append(texts[draw(st.integers(0, len(texts) - 1))])
    return texts


def said(text: str) -> str:
    """All that is known of a text: the tree with its places, and the problems, in their order."""
    return repr(syntax.parse(SourceFile("main.msm", text.encode())))


@given(edits())
@settings(max_examples=300, deadline=None)
def test_parsing_again_is_parsing_from_nothing(texts: list[str]) -> None:
    syntax._last.clear()
    again = [said(text) for text in texts]
    for text, found in zip(texts, again, strict=True):
        syntax._last.clear()
        assert said(text) == found


def test_declarations_that_stand_unchanged_are_not_read_again() -> None:
    syntax._last.clear()
    found = [syntax.parse(SourceFile("main.msm", t.encode()))[0] for t in (SPEC, SPEC.replace("because", "for now"))]
    before, after = (tree.items[0].items for tree in found if tree and isinstance(tree.items[0], ast.SpecDecl))
    declared = [a is b for a, b in zip(before, after, strict=True) if not isinstance(a, ast.Assistant | ast.Param)]
    assert declared == [False, *[True] * (len(declared) - 1)]
