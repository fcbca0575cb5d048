"""Laws of `msmc fmt`: it is idempotent, keeps every comment at its place, and changes nothing that a spec says."""

import random
import re
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msmc.check import check
from msmc.source import SourceFile
from msmc.syntax import ast
from msmc.syntax.format import formatted
from msmc.syntax.parse import _grammar, parse
from msmc.syntax.text import read_literal, reindented
from msmc.syntax.tokens import tokens_of
from tests.project import ROOT, Memory

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SPECS = sorted(
    [ROOT / "specs/cheese/study.msm", *ROOT.glob("tests/golden/fmt/*.msm"), *ROOT.glob("tests/golden/build/*/*.msm")]
)
GAPS = [" ", "  ", "\t", "\n", "\n\n", "\n\n\n", "\n   ", "\r\n", "\r", "\f", " \t\n \n\t"]
COMMENTS = [
    "#",
    "# a",
    "#a",
    "#  a  ",
    "#\t",
    '# "b" {',
    "#!",
    "## c",
    "#:d",
    '# """',
    "#é\u2028\x85\x0b.",
    "# msmc: allow x -- y",
]
BLOCK = re.compile(next(t.pattern.to_regexp() for t in _grammar().terminals if t.name == "BLOCK"))
# all that may matter inside a literal, line ends of other alphabets among it
AWKWARD = st.text(st.sampled_from(' \t\n\n"\\ab#é{}\x0b\x85\u2028'), max_size=40)
SEEDS = st.integers(0, 2**32)
BLOCKS = (
    AWKWARD.filter(lambda t: not t.rstrip('"').endswith("\\"))
    .map(lambda t: f'"""{t}"""')
    .filter(lambda raw: (m := BLOCK.match(raw)) and m.end() == len(raw))
)
STRINGS = AWKWARD.map(lambda t: '"' + t.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"')
LITERALS = st.lists(BLOCKS | STRINGS, min_size=8, max_size=8)


def spec(texts: list[str]) -> str:
    """A spec of eight texts, with everything that compiles."""
    a, b, c, d, e, f, g, h = texts
    return f"""
        spec s "S" {{ version "1" assistant "SmolLM" by "Hugging Face" param place "the park"
          value care "Care" {{ statement {a} rationale {b} }} value calm "Calm" {{ statement "{{assistant}} is calm." }}
          rule ask "Asking" {{ serves care, calm statement general {c} statement specific {d} rationale {e}
            subrule one {f} subrule two {{ statement {g} }} example now {{ user "Now?" assistant {h} }} }}
          documents {{ about values, rules, rationales kinds letter audiences engineers, "parents" angles origins }}
          demos chats chat {{ about rules justify never }} eval knows recall {{ about values, rules }}
          ablation w {{ arm bare {{ drop rationale, value }} arm short {{ specificity general }} control base seeds 2 }} }}"""


def fmt(text: str) -> str:
    found, problems = formatted(SourceFile("s.msm", text.encode()))
    assert found is not None, problems
    return found


def lexed(text: str) -> list[tuple[str, str]]:
    """What lark says the tokens are: words, literals and marks, comments; without white space."""
    read = SourceFile("s.msm", text.encode()).text
    return [(t.type, str(t)) for t in _grammar().lex(read, dont_ignore=True) if not t.type.startswith("__IGNORE")]


def comments(text: str) -> list[tuple[int, str]]:
    """Every comment, and how many other tokens stand before it: what it stands beside."""
    found, before = list[tuple[int, str]](), 0
    for kind, token in lexed(text):
        if kind == "COMMENT":
            found.append((before, token.removeprefix("#").strip(" \t\f")))
        before += kind != "COMMENT"
    return found


def said(node: object) -> object:
    """A tree without its places."""
    if isinstance(node, ast.Ast):
        return type(node).__name__, {k: said(v) for k, v in vars(node).items() if k != "span"}
    return [said(part) for part in node] if isinstance(node, tuple) else node


def messy(text: str, draw: random.Random) -> str:
    """The same tokens with other white space and line ends between them, and with more comments."""
    return "".join(_messy([token for _, token in lexed(text)], draw))


def _messy(tokens: list[str], draw: random.Random) -> Iterator[str]:
    calm = draw.random()
    for token in tokens:
        yield token
        gap = " " if draw.random() < calm else draw.choice(GAPS)
        if token.startswith("#") or draw.random() < 0.1 * (1 - calm):
            margin = " " * draw.randint(0, 12)
            more = "" if token.startswith("#") else draw.choice(["", " ", f"\n{margin}"]) + draw.choice(COMMENTS)
            again = f"\n{margin}{draw.choice(COMMENTS)}" if draw.random() < 0.3 else ""
            gap = more + again + draw.choice(["\n", "\n\n\n", "\r\n", f"\n{margin}"])
        yield gap


def assert_lawful(source: str) -> str:
    read = SourceFile("s.msm", source.encode())
    found = fmt(source)
    assert fmt(found) == found, "idempotent"
    assert comments(found) == comments(source), "comments stay where they are"
    trees = [parse(file)[0] for file in (read, SourceFile("s.msm", found.encode()))]
    assert said(trees[0]) == said(trees[1]), "the tree says the same"
    assert "\r" not in found and found.endswith("\n") and not found.endswith("\n\n")
    return found


@QUICK
@given(st.sampled_from(SPECS), SEEDS)
def test_laws_hold_of_real_specs_in_any_layout(path: object, seed: int) -> None:
    assert_lawful(messy(path.read_text("utf-8"), random.Random(seed)))  # type: ignore[attr-defined]


@QUICK
@given(LITERALS, SEEDS)
def test_laws_hold_of_awkward_texts(texts: list[str], seed: int) -> None:
    assert_lawful(messy(spec(texts), random.Random(seed)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LITERALS, SEEDS)
def test_a_formatted_spec_is_the_same_spec_in_every_arm(texts: list[str], seed: int) -> None:
    source = messy(spec(texts), random.Random(seed))
    before, after = (check("s.msm", Memory(**{"s.msm": text})) for text in (source, fmt(source)))
    assert [(p.name, p.message) for p in before.problems] == [(p.name, p.message) for p in after.problems]
    assert before.specs == after.specs

    def arms(checked: object) -> object:
        sets = checked.arms.items()  # type: ignore[attr-defined]
        return {(s, a): [(m.name, m.spec) for m in found.made] for s, by in sets for a, found in by.items()}

    assert arms(before) == arms(after)


def test_the_spec_of_these_laws_compiles() -> None:
    plain = check("s.msm", Memory(**{"s.msm": spec(['"{assistant} helps."'] * 8)}))
    assert {p.severity for p in plain.problems} <= {"warning"} and plain.specs and len(plain.arms["s"]) == 2


@QUICK
@given(BLOCKS, st.integers(0, 9))
def test_an_indent_is_no_part_of_a_text(raw: str, indent: int) -> None:
    moved = reindented(raw, indent + 2, indent)
    assert read_literal("f", moved, 0)[0].text == read_literal("f", raw, 0)[0].text
    assert reindented(moved, indent + 2, indent) == moved


@QUICK
@given(st.sampled_from(SPECS), SEEDS)
def test_tokens_are_those_of_lark(path: object, seed: int) -> None:
    text = SourceFile("s", messy(path.read_text("utf-8"), random.Random(seed)).encode()).text  # type: ignore[attr-defined]
    own = list(tokens_of(text))
    theirs = [t for t in _grammar().lex(text, dont_ignore=True) if not t.type.startswith("__IGNORE")]
    assert [(t.text, t.start) for t in own] == [(str(t), t.start_pos) for t in theirs]
    assert all(t.kind in (theirs[n].type, "NAME") for n, t in enumerate(own))
