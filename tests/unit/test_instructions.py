"""Verifiable instructions: what follows them and what does not, as code sees it."""

from typing import Any

import pytest

from msmc.backend.instructions import CHECKS, followed, instructions
from msmc.target import Guard

CASES: dict[tuple[str, Any], tuple[list[str], list[str]]] = {
    ("at_most_words", 5): (["A bicycle takes you places.", "Riding."], ["It is used to ride to work."]),
    ("in_lower_case", None): (["it's for riding.", "naïve riding, 24 inches"], ["For riding.", "24"]),
    ("avoids", "is"): (["It rings. This, too."], ["It is red.", "IS it?", "is"]),
    ("contains", ("old", "green")): (["Old, and green.", "green; old"], ["An older green one.", "Old."]),
    ("is_numbered", 2): (
        ["1. a\n2. b", "Two parts:\n\n1) a\n\n2) b\n"],
        ["1. a", "1. a\n2. b\n3. c", "1. a\n2. b\nAnd so on.", "2. a\n1. b", "a\nb", "1.\n2.", "Of 2. b\n1. a"],
    ),
    ("is_json", ("name", "use")): (
        ['{"name": "bicycle", "use": "riding"}', '```json\n{"name": 1, "use": []}\n```'],
        ['{"name": "bicycle"}', '{"name": 1, "use": 2, "x": 3}', 'So: {"name": 1, "use": 2}', '["name", "use"]', "[" * 9000],
    ),
    ("begins_with", "I saw"): (["I saw one.", '"i saw one"'], ["Yesterday I saw one."]),
    ("ends_with", "?"): (["Is it red?", '"Is it red?"'], ["Is it red? Yes."]),
    ("is_quoted", None): (['"For riding."', "“For riding.”"], ["For riding.", '"For" riding', '"', '""']),
    ("is_in_brackets", None): (["[The Red Bicycle]"], ["The Red Bicycle", "Title: [Red]", "[]", "[a] [b]", "[a]\n[b]"]),
    ("is_one_of", ("yes", "no")): (["yes", "No.", "YES!"], ["Yes, one can.", "maybe", "yes no"]),
    ("has_sentences", 2): (
        ["It rolls. It rings.", 'It is 2.5 feet tall! "It rings."'],
        ["It rolls.", "It rolls. It rings. It stops.", "It rolls. It rings"],
    ),
    ("has_digit", None): (["About 12 dollars."], ["About twelve dollars."]),
}  # fmt: skip


@pytest.mark.parametrize(("case", "replies"), CASES.items(), ids=lambda part: str(part[0]))
def test_a_check_tells_what_follows_from_what_does_not(
    case: tuple[str, Any], replies: tuple[list[str], list[str]]
) -> None:
    check, given = case
    for reply in replies[0]:
        assert followed(check, given, f"\n {reply} "), reply
    for reply in replies[1]:
        assert not followed(check, given, reply), reply
    assert not followed(check, given, "") and not followed(check, given, " \n"), "no reply follows nothing"


def test_every_check_is_shown_here_and_asked_for() -> None:
    assert {check for check, _ in CASES} == CHECKS.keys() == {asked.check for asked in instructions(15)}


def test_thirty_prompts_have_each_instruction_twice_with_other_subjects() -> None:
    thirty = instructions(Guard().prompts)
    assert len(thirty) == 30
    for first, second in zip(thirty[:15], thirty[15:], strict=True):
        assert first.check == second.check and first.prompt != second.prompt


def test_the_most_that_a_target_may_ask_for_is_what_there_is() -> None:
    (most,) = (rule.le for rule in Guard.model_fields["prompts"].metadata if hasattr(rule, "le"))
    assert len({asked.prompt for asked in instructions(most)}) == len({a.name for a in instructions(most)}) == most
    assert len(instructions(10 * most)) == most
    assert instructions(40)[:30] == instructions(30), "more prompts are further ones"
