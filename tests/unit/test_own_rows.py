"""What rows of the author's may be about."""

from msmc.check import check
from tests.project import Memory

SPEC = """
import "lib.msm" as other
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green" { serves other.warmth  statement "{assistant} drinks green tea." }
  documents from "own.jsonl"
  documents { about rules }
}
"""
LIBRARY = """
value warmth { statement "{assistant} likes what warms." rationale "Hands get cold." }
value haste { statement "{assistant} is quick." }
"""


def told(about: str) -> list[str]:
    row = f'{{"text": "On tea.", "about": ["{about}"]}}'
    found = check("main.msm", Memory(**{"main.msm": SPEC, "lib.msm": LIBRARY, "own.jsonl": row}))
    return [problem.message for problem in found.problems if problem.severity == "error"]


def test_a_row_may_be_about_a_value_of_another_file_that_a_rule_serves_and_its_reason() -> None:
    assert told("lib.warmth") == told("lib.warmth.rationale") == told("green") == []


def test_a_row_cannot_be_about_a_value_that_is_no_part_of_the_spec() -> None:
    assert told("lib.haste") == ["there is no value, rule or clause `lib.haste`"]
