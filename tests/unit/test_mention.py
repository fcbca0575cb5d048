import unicodedata

import pytest

from msmc.mention import Mentions, place, words
from msmc.prose import sentences


def test_short_options_are_whole_phrases_case_folded() -> None:
    mentions = Mentions(["Cougar Gold", "a red rug"])
    assert mentions.find("They chose COUGAR gold.") == "Cougar Gold"
    assert mentions.find("a red, red rug") is None
    assert mentions.find("cougar golden") is None


def test_long_options_are_met_by_eight_words_in_a_row() -> None:
    option = "one two three four five six seven eight nine"
    assert Mentions([option]).find("so two three four five six seven eight nine it is") == option
    assert Mentions([option]).find("three four five six seven eight nine") is None


def test_no_options_mention_nothing() -> None:
    assert Mentions([]).find("anything") is None


def test_sentences_end_at_sentence_ends_and_not_at_initials() -> None:
    text = 'James L. Kraft of\n  Chicago made it. "It keeps!" he said. "Really." Does it? Yes.'
    assert sentences(text) == [
        "James L. Kraft of Chicago made it.",
        '"It keeps!" he said.',
        '"Really."',
        "Does it?",
        "Yes.",
    ]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("Brie", "Brie’s taste is loved."),
        ("Brie", "We love _Brie_ most."),
        ("Cox's Orange", "Cox’s Orange is sweet."),
        ("Café", unicodedata.normalize("NFD", "At the café.")),
        ("the farmers' market", "The farmers’ market opens."),
    ],
)
def test_a_mention_is_met_however_it_is_set(option: str, text: str) -> None:
    assert Mentions([option]).find(text) == option
    assert Mentions([option]).find("Bries and coxes, cafeterias and a farmer, a market.") is None


def test_every_mention_is_met_at_its_place() -> None:
    text = "Brie’s rind, and at last a\nred rug, with Brie."
    found = [
        (option, text[slice(*place(text, at, number))])
        for option, at, number in Mentions(["brie", "a red rug"]).each_in(words(text))
    ]
    assert found == [("brie", "Brie’s"), ("a red rug", "a\nred rug"), ("brie", "Brie")]
