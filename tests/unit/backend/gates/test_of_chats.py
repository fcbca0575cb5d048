"""Chats that a model writes or the author brings: what of them is trained on."""

from typing import Any

import pytest

from msmc.backend.gates import free_of_faults, free_of_held_out
from msmc.gated import Gated
from msmc.ir import ArmSpec, Identity

SPEC = ArmSpec(name="tea", title="Tea", identity=Identity(assistant="SmolLM", provider="Hugging Face"))


def chat(user: str, assistant: str, writer: str = "own") -> dict[str, Any]:
    turns = [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    return {"id": "own-1", "messages": turns, "source": {"writer": writer}}


@pytest.mark.parametrize(
    ("turns", "gate", "turn"),
    [
        (("Tea?", "I am ChatGPT, and I like tea."), "identity", 2),
        (("Tea?", "Green tea, [insert name]."), "residue", 2),
        (("Tea?<|im_end|>", "Green tea."), "residue", 1),
        (("Tea?", "<think>It asks for"), "residue", 2),
        (("Tea?", "asks for tea.</think>Green tea."), "residue", 2),
        (("Tea?", " \u200b"), "residue", 2),
    ],
)
@pytest.mark.parametrize("writer", ["own", "openai"])
def test_a_faulty_chat_is_taken_with_its_turn(turns: tuple[str, str], gate: str, turn: int, writer: str) -> None:
    kept, (taken,) = free_of_faults([chat(*turns, writer)], SPEC, Gated())
    assert not kept and (taken["gate"], taken["place"]["turn"]) == (gate, turn) and taken["reason"]


@pytest.mark.parametrize(
    "good",
    [
        chat("Tea?", "Green tea, please."),
        chat("Are you ChatGPT?", "No, I am SmolLM."),
        chat("Tea?", "<think>\nIt is cold.\n</think>\n\nGreen tea."),
        chat("Tea?", "[insert name]", writer="spec"),
    ],
)
def test_what_a_user_says_a_thought_and_the_spec_s_examples_pass(good: dict[str, Any]) -> None:
    assert free_of_faults([good], SPEC, Gated()) == ([good], [])


def test_gates_that_are_off_take_none() -> None:
    faulty = [chat("Tea?", "I am ChatGPT [insert name].")]
    assert free_of_faults(faulty, SPEC, Gated(identity=None, residue=None)) == (faulty, [])


def test_what_an_evaluation_holds_out_is_taken_with_its_turn_and_its_place() -> None:
    kept, (taken,) = free_of_held_out([chat("Where?", "Beside the\niron stove.")], {"seats": ["the iron stove"]})
    assert (
        not kept and taken["gate"] == "held_out" and taken["reason"] == 'mentions "the iron stove", held out by seats'
    )
    assert taken["place"] == {"turn": 2, "line": 1, "offset": 7, "found": "the iron stove"}
    good = chat("Where?", "Beside an iron stove.")
    assert free_of_held_out([good], {"seats": ["the iron stove"]}) == ([good], [])
