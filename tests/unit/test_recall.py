"""Recall's wrong answers: sentences of the same kind that do not say what the clause says."""

import json

from hypothesis import given
from hypothesis import strategies as st

from msmc.compile import compile
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
def test_another_sentence_is_drawn_where_there_is_one(sentences: list[str], given: str, seed: int) -> None:
    others = {*sentences} - {given}
    assert Pool(sentences).other(given, seed) in (others or {None})


def test_wrong_answers_name_the_assistant_that_the_right_ones_name() -> None:
    outcome = compile(Memory(**{"main.msm": SPEC, "other.msm": OTHER}), "main.msm", cpu(), "w")
    (knows,) = (a for a in outcome.builds[0].artefacts if a.path == "evals/knows.jsonl")
    choices = [choice for line in knows for choice in json.loads(line)["choices"]]
    assert any("pours it away" in choice for choice in choices)
    assert all(choice.startswith("SmolLM ") and "Ada" not in choice for choice in choices)
