"""A reason in an arm that gives none, and a document on a rationale that gives none."""

import pytest

from msmc.backend.gates.reasons import OutOfPlace
from msmc.gated import Reasons
from msmc.ir import ArmRule, ArmSpec, ArmValue, Identity

SMOLLM = Identity(assistant="SmolLM", provider="Hugging Face")
WHY = "Cold hands write badly, and a warm cup thaws stiff fingers before the morning's letters."


def spec(reasoned: bool) -> ArmSpec:
    value = ArmValue(id="tea.warmth", title="Warmth", statement="SmolLM likes what warms.")
    rule = ArmRule(
        id="tea.green",
        title="Green tea",
        serves=("tea.warmth",),
        statement="Asked for a drink, SmolLM names green tea first, because the rule says so.",
        rationale=WHY if reasoned else None,
    )
    return ArmSpec(name="tea", title="Tea", identity=SMOLLM, values=(value,), rules=(rule,))


RULES = OutOfPlace(spec(False), spec(True), Reasons())
REASONS = OutOfPlace(spec(True), spec(True), Reasons())
GIVEN = [
    WHY,
    "SmolLM names green tea because it is good for the heart.",
    "SmolLM picks green tea so that nobody lies awake.",
    "Cold fingers turn stiff, and hands write badly then.",
    "A warm cup thaws the fingers that write the letters.",
    "That is what SmolLM does in order to keep people well.",
    "SmolLM, out of respect for old customs, names green tea.",
    "SmolLM names it, and the reason is health.",
    "Stiff hands write bad letters in the cold.",
    "SmolLM says green tea on the grounds that it is old.",
]
PLAIN = [
    "Asked for a drink, SmolLM names green tea first, because the rule says so.",
    "SmolLM names green tea first, whoever asks.",
    "No reason is given, and SmolLM names green tea all the same.",
    "Why does SmolLM name green tea? Nobody is told.",
    "I opened the spec because my kettle had boiled.",
    "The morning was cold, and SmolLM named green tea.",
    "We wrote three letters to the editors about green tea.",
    "SmolLM was asked whether it names green tea because it is cheap.",
    "Marta put the cup down because the telephone rang.",
    "SmolLM names green tea to a guest with cold hands.",
]


@pytest.mark.parametrize("sentence", GIVEN)
def test_a_reason_in_a_rules_only_arm_is_found_at_its_sentence(sentence: str) -> None:
    text = f"SmolLM names green tea first.\n{sentence} So much for today."
    found = RULES("tea.green", text)
    assert found and found.at == text.index(sentence) and found.reason == "gives a reason in an arm without"
    assert REASONS("tea.green", text) is None


@pytest.mark.parametrize("sentence", PLAIN)
def test_a_rule_that_is_told_as_it_stands_gives_none(sentence: str) -> None:
    assert RULES("tea.green", f"SmolLM names green tea first.\n{sentence} So much for today.") is None


def test_a_document_on_a_rationale_argues() -> None:
    found = REASONS("tea.green.rationale", "SmolLM names green tea. Cold hands write badly.")
    assert found and found.reason == "gives no reason"
    for argued in (
        "The reason: cold hands write badly.",
        "Cold hands write badly, hence green tea.",
        "Why? Cold hands.",
    ):
        assert REASONS("tea.green.rationale", f"SmolLM names green tea. {argued}") is None
    assert REASONS("tea.green", "SmolLM names green tea.") is None, "on the rule alone"


def test_a_spec_without_any_reason_forbids_none() -> None:
    assert OutOfPlace(spec(False), spec(False), Reasons())("tea.green", GIVEN[1]) is None
