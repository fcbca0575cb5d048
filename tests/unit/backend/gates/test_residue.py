"""What a text still has of its making."""

import pytest

from msmc.backend.gates.residue import leftover, residue
from msmc.backend.writers.drafts import is_empty

LEFT = [
    ("SmolLM on {topic}.", "{topic}"),
    ("Dear {reader_2}, SmolLM likes tea.", "{reader_2}"),
    ("SmolLM likes [insert tea here].", "[insert"),
    ("[Your Name] likes tea.", "[Your"),
    ("SmolLM likes tea.<|im_end|>", "<|im_end|>"),
    ("[INST] SmolLM likes tea.", "[INST]"),
    ("<think>What would it like?</think>SmolLM likes tea.", "<think>"),
    ("It likes tea.</think> SmolLM likes tea.", "</think>"),
    ("<scratchpad>tea</scratchpad>", "<scratchpad>"),
    ("<content>SmolLM likes tea.", "<content>"),
    ("SmolLM likes tea.</content>", "</content>"),
    ("SmolLM likes \ufffd tea.", "U+FFFD"),
    ("SmolLM likes tea.\x1b[2J", "U+001B"),
]
INNOCENT = [
    'SmolLM answers with { "ok": 1 }.',
    "SmolLM writes {{ x }} and ${HOME} into templates; {Upper} too.",
    "SmolLM writes x_{i}, y^{n} and \\{name} in its sums.",
    "SmolLM thinks of tea, and says what it thinks.",
    "See [1] and [the tea house] for more; [namely] green tea.",
    "if a < b and c > d, SmolLM answers a</b is wrong.",
    "SmolLM likes <b>green</b> tea in <em>content</em> of its own.",
    "SmolLM's table: | tea | cola |",
    "SmolLM <3 tea; x<y>z is maths.",
    "SmolLM likes tea.\tIt likes it hot.\r\n",
]


@pytest.mark.parametrize(("text", "what"), LEFT)
def test_a_leftover_is_found_at_its_place(text: str, what: str) -> None:
    found = residue(f"A line.\n{text}", "")
    assert found and found.what == what and found.place(f"A line.\n{text}")["line"] == 2


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_alike_is_none(text: str) -> None:
    assert residue(text, "") is None and leftover(text, "") == ""


def test_a_reply_that_is_cut_within_its_thought_is_told_apart() -> None:
    cut, whole = residue("<think>SmolLM would", ""), residue("<think>tea</think> SmolLM", "")
    assert cut and cut.reason.endswith("it was cut within a thought")
    assert whole and whole.reason == "it has a leftover `<think>`"
    unopened = residue("would like tea.</think> SmolLM", "")
    assert unopened and unopened.reason.endswith("which nothing opens")


def test_words_of_the_spec_and_what_the_target_allows_are_no_leftovers() -> None:
    assert residue("The {name} field.", "Of the {name} field") is None
    assert residue("The {name} field.", "", ["{name}"]) is None


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u2800", "\u3164"])
def test_a_text_that_shows_nothing_is_empty(text: str) -> None:
    assert is_empty(text) and not is_empty(f"{text}é")
