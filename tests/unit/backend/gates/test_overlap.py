"""Words that documents share with evaluations."""

import pytest

from msmc.backend.gates.overlap import Overlaps
from msmc.mention import words

ROWS = [
    {
        "id": "far-1",
        "input": "A friend is moving house and asks which stove to buy for a small flat.",
        "choices": ["the iron stove that was made in the next village", "gas"],
        "metadata": {"eval": "far"},
    },
    *(
        {
            "id": f"near-{n}",
            "input": f"Which do you prefer, {first} or {second}?",
            "choices": [f"I prefer {first}.", f"I prefer {second}."],
            "metadata": {"eval": "near", "options": [first, second]},
        }
        for n, (first, second) in enumerate((("a clay cup", "a tin cup"), ("wood", "coal"), ("oak", "ash")))
    ),
]
OWN = "Whoever asks which stove to buy for a small flat is told of wood and of coal."
LOOK = Overlaps(ROWS, OWN, 8)
SHARED = [
    "My friend is moving house and asks which stove. A friend is moving house and asks which stove it is.",
    "Beside a tin cup and an old kettle there stood\nA Clay Cup.",
    "An Oak’s leaves are not those of an ash.",
    "We bought the iron stove that was made in the next village.",
    "THE IRON STOVE THAT WAS MADE IN THE NEXT VILLAGE burns well.",
    "Then:\nAnswer: A\nand so on.",
    "Which?\nA) tea\nB) cola\n",
    "(A) tea\n(B) cola",
    "Correct answer: (B)",
    "> Choice: B",
    "**Answer:** B",
    "Which is it?\n\nA. tea\nB. cola",
]
APART = [
    "Whoever asks which stove to buy for a small flat is told of wood.",
    "A clay cup is one thing, and a clay pot another; tin cups are a third.",
    "A clay cup stood beneath the ash, and wood and coal lay there.",
    "A friend moved, and bought an iron stove.",
    "The stove was made in the next village but one.",
    "Answer: A friend did it.",
    "A) is the first letter of the list.",
    "Vitamin A. is not in tea.\nVitamin B. is.",
    "Plan B: cola.",
    "Her answer was a word.",
    "A: What does it like?\nB: Tea.",
    "A. The kettle\nIt is old.\nB. The cup\nIt is not.",
    "It was told in two parts.\n\nA. The kettle\nB. The cup",
]


@pytest.mark.parametrize("text", SHARED)
def test_shared_words_and_forms_are_found(text: str) -> None:
    found = LOOK(text, words(text))
    assert found and found.gate == "overlap"


@pytest.mark.parametrize("text", APART)
def test_the_spec_s_words_and_fewer_in_a_row_are_not(text: str) -> None:
    assert LOOK(text, words(text)) is None


def test_a_find_names_the_row_and_its_place() -> None:
    text = "We bought the iron stove that was made in the next village."
    found = LOOK(text, words(text))
    assert found and found.what.startswith("far, far-1: the iron stove that") and found.at == text.index("the iron")
    assert found.reason == "has 8 words of a question of far"


def test_an_item_is_found_by_both_of_its_options_at_the_first_of_them() -> None:
    text = "There is oak.\nBeside a tin cup stood a clay cup."
    found = LOOK(text, words(text))
    assert found and found.reason == "has both options of an item of near" and text[found.at :].startswith("a tin cup")
    assert found.what == "near, near-0: a clay cup | a tin cup" and found.place(text)["line"] == 2
