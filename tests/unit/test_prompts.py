"""What a prompt shows of the spec: its text, all of it and nothing else."""

import json

import pytest

from msmc.compile import compile
from tests.project import Memory, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It warms." %s }
  rule green "Green" { serves warmth  statement "{assistant} drinks green tea." %s }
  documents { about values, rules }
}
"""


@pytest.mark.parametrize("end", ["", "  ", "\\n", "\\n\\n \\t"], ids=repr)
def test_white_space_at_the_end_of_a_text_reaches_the_prompt(end: str) -> None:
    written = f'rationale "So.{end}"'
    outcome = compile(Memory(**{"main.msm": SPEC % (written, written)}), "main.msm", cpu())
    (prefixes,) = (a for a in outcome.builds[0].artefacts if a.path == "documents/prefixes.jsonl")
    told = {row["name"]: row["messages"][0]["content"] for row in map(json.loads, prefixes)}
    said = json.loads(f'"So.{end}"')
    assert told["tea.green"].endswith(f"\n\nRule: Green\nSmolLM drinks green tea.\nThe reason for the rule: {said}")
    assert told["tea.warmth"].endswith(f"The reason for the value: {said}\nRules that serve it: Green")
