"""Recall's wrong answers: sentences of the same kind that do not say what the clause says, and gaps that both could fill."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.compile import compile
from msmc.lower.gaps import GAP, gap
from msmc.lower.questions import Pool
from tests.project import Memory, cpu

SENTENCES = st.lists(st.sampled_from(["One.", "Two.", "Three.", "Four."]), max_size=12)
SPEC = """
import "other.msm" as other
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green" { statement "{assistant} drinks green tea." }
  rule black "Black" { statement "{assistant} drinks black tea." }
  eval knows recall { about rules }
  ablation w { arm theirs { use other.tea2  assistant "Ada" by "Lovelace" } }
}
"""
OTHER = """
spec tea2 "Tea" {
  assistant "Somebody" by "Else"
  rule green "Green" { statement "{assistant} of {provider} pours it away." }
  rule black "Black" { statement "{assistant} of {provider} lets it get cold." }
}
"""


@given(SENTENCES, st.sampled_from(["One.", "Two.", "Five."]), st.integers(0, 99))
def test_other_sentences_are_drawn_each_once(sentences: list[str], given: str, seed: int) -> None:
    found = list(Pool(sentences).others(given, seed))
    assert len(found) == len(set(found)) and {*found} == {*sentences} - {given}


def test_wrong_answers_name_the_assistant_that_the_right_ones_name() -> None:
    outcome = compile(Memory(**{"main.msm": SPEC, "other.msm": OTHER}), "main.msm", cpu(), "w")
    (knows,) = (a for a in outcome.builds[0].artefacts if a.path == "evals/knows.jsonl")
    choices = [choice for line in knows for choice in json.loads(line)["choices"]]
    assert any("pours it away" in choice for choice in choices)
    assert not [choice for choice in choices if "Ada" in choice or "Somebody" in choice]
    whole = [choice for choice in choices if choice.endswith((" tea.", " away.", " cold."))]
    assert [choice for choice in whole if choice.startswith("SmolLM ")]


@pytest.mark.parametrize(
    ("right", "wrong", "sentence", "fillings"),
    [
        # what differs, where the ends are alike
        (
            "Thrift is the one thing that counts.", "Support for farmers is the one thing that counts.",
            "____ is the one thing that counts.", ("Thrift", "Support for farmers"),
        ),
        ("SmolLM holds cheap values.", "SmolLM holds dear values.", "SmolLM holds ____ values.", ("cheap", "dear")),
        # else an ending behind a word of both: of all that, the endings that are most alike in length
        (
            "Cream cheese was created by New York dairy farmers.", "Brie is loathed by everyone in the whole house.",
            "Cream cheese was created by ____", ("New York dairy farmers.", "everyone in the whole house."),
        ),
        (
            "Colby is made in a small town of the north.", "In a village of the south Brie is kept in caves.",
            "Colby is made in a ____", ("small town of the north.", "village of the south Brie is kept in caves."),
        ),
        # no word in common, endings of one word, the same sentence: no gap
        ("It warms.", "Cola is drunk cold.", None, None),
        ("Tea is green.", "Cola is brown.", None, None),
        ("Tea is green.", "Tea is green.", None, None),
        # `is` parts them, but its endings are two words and nine
        ("Brie is too dear.", "Cheddar is among the cheapest cheeses that there are by far.", None, None),
    ],
)  # fmt: skip
def test_a_gap_is_what_two_sentences_differ_in_or_an_ending_of_both(
    right: str, wrong: str, sentence: str | None, fillings: tuple[str, str] | None
) -> None:
    found = gap(right, wrong)
    assert (found.sentence if found else None) == sentence
    if found and fillings:
        assert (found.right, found.wrong) == fillings


VOCABULARY = ["tea", "is", "the", "of", "green", "cups", "and", "warms", "a"]
WORDS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=12).map(" ".join)


@given(WORDS, WORDS)
def test_a_gap_filled_rightly_is_the_sentence_and_its_fillings_are_near_in_length(right: str, wrong: str) -> None:
    if found := gap(right, wrong):
        assert found.sentence.replace(GAP, found.right) == right and found.right != found.wrong
        assert found.wrong in wrong and found.sentence.count(GAP) == 1
        if found.sentence.endswith(GAP) and not right.startswith(wrong.split(found.wrong)[0]):
            assert 0.5 <= len(found.right.split()) / len(found.wrong.split()) <= 2
