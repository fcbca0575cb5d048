"""Laws of planned chats: shapes in equal shares, orders that depend on ids alone, questions that no wording touches."""

import json
from collections import Counter
from functools import cache
from itertools import islice
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from msmc.compile import compile
from msmc.library import Library, read_yaml
from msmc.lower.render import Templates
from msmc.lower.shapes import Shapes
from tests.project import SHIPPED, Memory, cpu

SHAPES = Shapes(Templates(SHIPPED), Library(SHIPPED))
LISTED = read_yaml(SHIPPED["shipped:templates/demos/shapes.yaml"]).values()
FRAMINGS = {shape["brief"]: len(shape["framings"]) for shape in LISTED}
PEOPLE = len(Library(SHIPPED).audiences)
IDS = st.text("abc_", min_size=1, max_size=6)
PROSE = st.text("abc de.", max_size=40).map(lambda text: f"a{text.rstrip()}")
TEA = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It warms." rationale "%s" }
  rule green "Green" {
    serves warmth  statement "%s" rationale "%s"
    subrule late { statement "%s" }
  }
  demos chats chat { about values, rules, rationales, subrules }
}
"""


@given(IDS, IDS, st.integers(1, 260))
def test_any_prefix_has_shapes_framings_and_people_in_equal_shares(block: str, clause: str, size: int) -> None:
    found = list(islice(SHAPES.of(block, clause), size))
    shapes = Counter(f.shape["brief"] for f in found)
    shares = [shapes[shape] for shape in FRAMINGS]
    assert max(shares) - min(shares) <= 1
    for shape in shapes:
        framings = Counter(f.framing["brief"] for f in found if f.shape["brief"] == shape)
        assert len(framings) == min(shapes[shape], FRAMINGS[shape])
        assert max(framings.values()) == -(-shapes[shape] // FRAMINGS[shape])
    people = Counter(f.who for f in found)
    assert max(people.values()) == -(-size // PEOPLE)


def test_no_two_chats_are_asked_for_alike_until_all_were() -> None:
    every = sum(FRAMINGS.values()) * PEOPLE
    found = islice(SHAPES.of("chats", "tea.green"), every)
    assert len({(f.shape["brief"], f.framing["brief"], f.who) for f in found}) == every


@given(IDS, st.integers(5, 40))
def test_a_clause_has_an_order_of_its_own(clause: str, size: int) -> None:
    def order(of: str) -> list[str]:
        return [f.who for f in islice(SHAPES.of("chats", of), size)]

    assert order(clause) == order(clause) and order(clause) != order(clause + "x")


@cache
def demos(*texts: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Question rows, answer rows, prefixes."""
    outcome = compile(Memory(**{"main.msm": TEA % texts}), "main.msm", cpu("demos.per_clause=5"))
    rows = [json.loads(line) for a in outcome.builds[0].artefacts if a.path.startswith("demos/") for line in a]
    ask, say = ({r["id"]: r for r in rows if r.get("id", "").startswith(kind)} for kind in ("ask-", "say-"))
    return ask, say, {r["name"]: r for r in rows if "name" in r}


BEFORE = ("a", "b", "c", "d")


@settings(max_examples=15)
@given(st.tuples(PROSE, PROSE, PROSE, PROSE))
def test_wording_touches_no_question_and_no_id(texts: tuple[str, str, str, str]) -> None:
    (ask, say, prefixes), (ask_before, say_before, prefixes_before) = demos(*texts), demos(*BEFORE)
    assert ask == ask_before and prefixes["chats.question"] == prefixes_before["chats.question"]
    assert [(r["id"], r["seed"], r["needs"]) for r in say.values()] == [
        (r["id"], r["seed"], r["needs"]) for r in say_before.values()
    ]


@settings(max_examples=15)
@given(PROSE.filter(lambda text: text != "c"))
def test_a_rationale_touches_the_prefix_of_its_node_alone(text: str) -> None:
    (_, say, prefixes), (_, say_before, prefixes_before) = demos("a", "b", text, "d"), demos(*BEFORE)
    assert say == say_before
    assert {name for name in prefixes if prefixes[name] != prefixes_before[name]} == {"chats.tea.green"}
