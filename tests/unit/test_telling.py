"""How a clause's text is cut into what a passage can take in: sentences, lists, code, titles."""

import pytest

from msmc.backend.telling import as_topic, chunks, inside, units


def test_how_sentences_are_told() -> None:
    assert units("Ada keeps apart:\n- facts\n- guesses\n") == ["Ada keeps apart: facts; guesses."]
    assert units("# Title\nOne. Two") == ["Title.", "One.", "Two."]
    assert chunks(["a b", "c d", "e f", "g h"], 2) == ["a b c d", "e f g h"]
    assert chunks(["a"], 3) == ["a"]
    assert inside("When asked, Ada waits.", ("Ada",)) == "when asked, Ada waits"
    assert inside("Paris waits.", ("Ada",)) is None and inside("Ada waits!", ("Ada",)) is None
    assert as_topic("Cream cheese", "Ada likes cream cheese.", "Ada") == "cream cheese"
    assert as_topic("Likes cheese", "Ada likes cheese.", "Ada") == '"Likes cheese"'
    assert as_topic("A land that feeds itself", "Ada is glad.", "Ada") == "a land that feeds itself"
    assert as_topic("Ask before deleting", "Ada asks.", "Ada") == '"Ask before deleting"'


def test_lists_and_code_put_no_stray_text_into_a_clause() -> None:
    assert units("Ada keeps three apart:\n\n- facts\n- guesses\n") == ["Ada keeps three apart: facts; guesses."]
    assert units("Ada runs this:\n```sh\nls -l\n```\n- one\n- two") == ["Ada runs this:", "`ls -l`.", "one; two."]
    assert units("Ada is tidy.\n- She sweeps.\n- She dusts.") == ["Ada is tidy.", "She sweeps.", "She dusts."]
    assert units("Ada keeps\n- facts;\n- guesses, and\n- jokes.") == ["Ada keeps: facts; guesses, and; jokes."]
    assert units("# Tidy\n- a\n- b\n\n---\n") == ["Tidy.", "a; b."]
    assert units("Ada greets Mr. Smith.\nThen she waits.") == ["Ada greets Mr. Smith.", "Then she waits."]


@pytest.mark.parametrize(
    "text",
    [
        "Ada answers 'Buy it.'",
        "**Never lie.**",
        "Run `x.`",
        "お茶です。",
        "למה؟",
        "そうですか？",
        "「はい。」",
        "Ada waits…",
        "(Ada waits.)",
    ],
)
def test_what_has_ended_gets_no_stop(text: str) -> None:
    assert units(text) == [text]


def test_what_has_not_ended_gets_the_stop_of_its_script() -> None:
    assert units("Ada **waits**") == ["Ada **waits**."]
    assert units("お茶です") == ["お茶です。"]
