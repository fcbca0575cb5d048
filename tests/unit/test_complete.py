"""Completion: the grammar's words where it takes a word, and known names where it takes a name."""

import pytest

from msmc.library import Library
from msmc.navigate.complete import complete
from tests.project import SHIPPED
from tests.unit.marked import Marked
from tests.unit.test_navigate import FOOD, PICNIC


def offered(text: str) -> tuple[str, list[str]]:
    """What is replaced, and by what, at the cursor of picnic.msm."""
    marked = Marked(picnic_msm=text, food_msm=FOOD)
    found = complete(marked.source, marked.offset, marked.sources)
    return marked.source.text[found.span.start : found.span.end], [c.text for c in found.candidates]


def inside(line: str) -> tuple[str, list[str]]:
    """With a line at the end of the picnic spec."""
    return offered(PICNIC[: PICNIC.rindex("}")] + f"  {line}\n}}\n")


RULE_WORDS = ["example", "priority", "rationale", "serves", "statement", "subrule", "was"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rule x { ‸ }", RULE_WORDS),
        ("rule x { statement ‸ }", ["general", "specific", "style"]),
        ("eval x ‸", ["agentic", "inspect", "judged", "lm_eval", "preference", "recall"]),
        ("documents { ‸ }", ["about", "angles", "audiences", "kinds"]),
        ("ablation b { arm c { drop ‸ } }", ["example", "rationale", "serves", "subrule", "value"]),
        ("rule x {} # a ‸", []),
        ('rule x { statement "Every ‸" }', []),
    ],
)
def test_words_are_those_the_grammar_takes(line: str, words: list[str]) -> None:
    assert inside(line) == ("", words)


def test_at_a_files_beginning_stands_a_declaration() -> None:
    assert offered("‸") == ("", ["import", "rule", "spec", "value"])


@pytest.mark.parametrize(
    ("line", "replaced", "names"),
    [
        ("rule x { serves ‸ }", "", ["kindness", "food.thrift", "food.base.kindness"]),
        ("rule x { serves kindness, fo‸ }", "fo", ["kindness", "food.thrift", "food.base.kindness"]),
        ("rule x { serves food.‸ }", "food.", ["kindness", "food.thrift", "food.base.kindness"]),
        ('rule x { rationale for ki‸ "So." }', "ki", ["kindness", "food.thrift", "food.base.kindness"]),
        ("ablation b { arm c { use ‸ } }", "", ["food.base"]),
        ("ablation b { primary ‸ }", "", ["near_items"]),
        ("rule x { was ‸ }", "", []),
        ("rule ‸", "", []),
        ("value ki‸ {}", "ki", ["kindness"]),  # of the spec that this one extends
    ],
)
def test_names_are_those_that_may_stand_there(line: str, replaced: str, names: list[str]) -> None:
    assert inside(line) == (replaced, names)


def test_about_takes_clauses_and_the_words_for_all_of_a_kind() -> None:
    _, names = inside("demos d chat { about cake, ‸ }")
    assert names[:4] == ["values", "rules", "rationales", "subrules"]
    own = ["bread", "bread.in_rain", "bread.in_rain.rationale", "bread.rationale", "cake", "kindness"]
    assert sorted(n for n in names[4:] if not n.startswith("food.")) == own
    assert "bread.ask" in inside("ablation b { arm c { drop example of ‸ } }")[1]
    assert "food.base.bread.in_rain" in names and "food.thrift" in names


def test_the_library_is_offered() -> None:
    library = Library(SHIPPED)
    registers = ["normative", "descriptive", "narrative"]
    assert inside("documents { kinds blog_post, ‸ }")[1] == ["all", *registers, *library.kinds]
    assert inside("documents { angles ‸ }")[1] == ["all", *library.angles]
    assert inside("documents { audiences ‸ }")[1] == ["all", *library.audiences]


@pytest.mark.parametrize("text", ["On {‸", "On {‸}", "On {pl‸ace} and"])
def test_params_are_offered_in_braces_of_a_text(text: str) -> None:
    replaced, names = inside(f'rule x {{ statement "{text}" }}')
    assert names == ["assistant", "provider", "place"] and replaced in ("", "pl")


def test_braces_of_the_language_are_no_placeholders() -> None:
    assert inside("rule x {‸}")[1] == RULE_WORDS


def test_a_mistake_in_another_declaration_does_not_matter_to_words() -> None:
    text = "spec a {\n  rule x { oops oops }\n  rule y {\n    ‸\n  }\n}\n"
    assert offered(text) == ("", RULE_WORDS)


def test_a_candidate_says_what_it_is() -> None:
    marked = Marked(picnic_msm=PICNIC.replace("use food.base", "use ‸"), food_msm=FOOD)
    (candidate,) = complete(marked.source, marked.offset, marked.sources).candidates
    assert (candidate.text, candidate.kind, candidate.detail) == ("food.base", "spec", "Basics")
