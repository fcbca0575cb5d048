"""Texts that end within a sentence, and the many ways in which a text ends well."""

import pytest

from msmc.backend.gates.truncation import truncation

BODY = "SmolLM likes green tea. It says so at noon.\n\n"
BROKEN = [
    "SmolLM likes green tea and it says so in the morning and at noon and also",
    f"{BODY}It likes the",
    f"{BODY}It likes tea because",
    f"{BODY}It likes tea, which it says of no other drink that anybody has ever brought to the table",
    f"{BODY}It likes tea,",
    f"{BODY}Its reasons are these:",
    f"{BODY}1. It likes tea.\n2. It likes milk.\n3. It likes the cup that",
    f"{BODY}- It likes tea.\n- It likes milk.\n- It likes cups of",
    f"{BODY}```python\nprint('tea')",
    f"{BODY}> It likes tea and",
    "SmolLM says that green tea is better than black tea (and so",
    f"{BODY}“It likes tea, and",
]
WHOLE = [
    f"{BODY}It likes tea.",
    f"{BODY}It likes tea!",
    f'{BODY}"It likes tea."',
    f"{BODY}It likes tea (hot).",
    f"{BODY}Yours,\nMarta",
    f"{BODY}With kind regards,\nThe editors of the tea page",
    f"{BODY}- green tea\n- black tea\n- camomile",
    f"{BODY}1. Green tea\n2. Black tea",
    f"{BODY}```python\nprint('tea')\n```",
    f"{BODY}| tea | cola |\n| yes | no |",
    f"{BODY}See https://example.org/tea",
    f"{BODY}Tags: tea, green tea, SmolLM, kitchen, cups",
    f"{BODY}It likes tea 🍵",
    f"{BODY}— Marta, Lisbon",
    f"{BODY}*It likes tea.*",
    f"{BODY}緑茶が好きです。",
    f"{BODY}ชาเขียวดีต่อสุขภาพและช่วยให้ผ่อนคลายในตอนเย็น",
    f"{BODY}#tea #green",
    f"{BODY}Warmly,",
    f"{BODY}Leaf and water\nnothing more",
    f"{BODY}***",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_text_that_is_broken_off_is_found_at_its_end(text: str) -> None:
    found = truncation(text, "")
    assert found and found.at > len(text) - 70 and found.gate == "truncation"


@pytest.mark.parametrize("text", WHOLE)
def test_a_text_that_ends_well_is_not(text: str) -> None:
    assert truncation(text, "") is None


def test_the_spec_s_own_last_line_and_allowed_ends_are_ends() -> None:
    assert truncation("It likes tea and\nit likes the", "Say: it likes the cup") is None
    assert truncation("It likes tea of the", "", ["of the"]) is None
