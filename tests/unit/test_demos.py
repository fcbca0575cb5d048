"""The prompts of planned chats: what they ask for, what they show, and that they read as prose."""

import json
import re
from collections import ChainMap
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from msmc.build import Build
from msmc.compile import Outcome, compile
from msmc.ir import ArmSpec
from msmc.library import read_yaml
from msmc.mention import Mentions
from tests.project import SHIPPED, Memory, cpu

SPECS = ("cheese/america", "cheese/affordability", "cheese/study", "neutral/assistant")
EVERY = tuple(product(("never", "rule", "value"), ("off", "on")))


def files(build: Build, folder: str) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for a in build.artefacts if a.path.startswith(folder) for line in a)


def prompts(build: Build, folder: str = "demos/") -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Prefixes by name, and planned rows."""
    found = list(files(build, folder))
    return {r["name"]: r["messages"][0]["content"] for r in found if "name" in r}, [r for r in found if "prompt" in r]


def shipped(spec: str, block: str, *settings: str) -> Outcome:
    """A spec of `specs/` with a block of demos of ours in place of its own."""
    path = f"specs/{spec}.msm"
    text = re.sub(r"^  demos .*?\}\n", "", SHIPPED[path].decode(), flags=re.S | re.M)
    text = text.replace("  documents {", f"  {block}\n  documents {{", 1)
    return compile(ChainMap({path: text.encode()}, SHIPPED), path, cpu("demos.per_clause=5", *settings))  # type: ignore[arg-type]


def faults(text: str) -> list[str]:
    """What prose does not have."""
    markup, spaces = r"\{[{%]|[%}]\}|\b(?:None|True|False)\b", r"  | [.,;:]|\n\n\n|\.\."
    empty, words_twice, articles = r"[;:]\s*$|^\w+:\s*$", r"\b(\w+) \1\b", r"\ba [aeioAEIO]|\ban (?!hour)[^aeioAEIO]"
    wrong = "|".join((markup, spaces, empty, words_twice, articles))
    return [text[max(0, m.start() - 20) : m.end() + 20] for m in re.finditer(wrong, text)]


@pytest.mark.parametrize("context", ["closure", "spec"])
@pytest.mark.parametrize(("justify", "thinking"), EVERY)
@pytest.mark.parametrize("spec", SPECS)
def test_prompts_of_all_shapes_read_as_prose(spec: str, justify: str, thinking: str, context: str) -> None:
    block = f"demos ours chat {{ about values, rules, rationales, subrules  justify {justify}  thinking {thinking} }}"
    outcome = shipped(spec, block, f"context={context}", "documents.per_clause=1")
    assert outcome.builds, outcome.problems
    prefixes, rows = prompts(outcome.builds[0])
    for name, told in prefixes.items():
        instructions, mark, shown = told.partition(
            "\n\nThe part of the spec:\n\n" if context == "closure" else "\n\nThe whole spec:\n\n"
        )
        assert not faults(instructions), name
        assert bool(mark) == (name != "ours.question") == bool(shown), name
    for row in rows:
        assert not faults(row["prompt"].removesuffix("The chat so far:")), row["prompt"]
    for told in prompts(outcome.builds[0], "documents/")[0].values():
        assert not faults(told.partition("\n\nThe ")[0])


@pytest.mark.parametrize("spec", SPECS)
def test_no_question_shows_the_spec(spec: str) -> None:
    build = shipped(spec, "demos ours chat { about values, rules, rationales, subrules }").builds[0]
    arm = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
    prefixes, rows = prompts(build)
    texts = Mentions([clause.text for clause in arm.clauses()])
    served = {value for rule in arm.rules for value in rule.serves}
    titles = {re.sub(r"\s+", " ", node.title) for node in arm.nodes if node.id not in served}
    asked = [row for row in rows if row["id"].startswith("ask-")]
    assert asked and {row["prefix"] for row in asked} == {"ours.question"}
    for text in (prefixes["ours.question"], *(row["prompt"] for row in asked)):
        assert texts.find(text) is None
    subjects = {row["prompt"].splitlines()[0].removeprefix("Subject: ") for row in asked}
    assert titles == {re.sub(r" \([a-z0-9 ]+\)$", "", subject) for subject in subjects}


def test_the_library_of_shapes_says_of_each_framing_what_it_is_and_what_to_avoid() -> None:
    shapes = read_yaml(SHIPPED["shipped:templates/demos/shapes.yaml"])
    assert shapes.keys() == {"direct", "indirect", "advice", "scenario", "multi_turn"}
    briefs = [framing["brief"] for shape in shapes.values() for framing in shape["framings"].values()]
    assert len(set(briefs)) == len(briefs)
    for name, shape in shapes.items():
        assert len(shape["framings"]) >= 8 and shape["brief"] and shape["avoid"]
        for framing in shape["framings"].values():
            assert framing.keys() == {"brief", "avoid"} | ({"then"} if name == "multi_turn" else set())
            assert all(text[0].islower() and text[-1] not in ".," for text in framing.values()), framing


# ---- the contract -----------------------------------------------------------------------------------------------------

TEA = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It warms." }
  rule green "Green tea" {
    serves warmth  statement "{assistant} drinks green tea."
    rationale "Green tea is mild."
    subrule late_at_night "After eight it is rooibos."
  }
  rule mild "Milk" { statement "{assistant} takes milk."  rationale "It is there." }
  rule bare "Cups" { statement "{assistant} takes a cup." }
  documents { about values, rules }
  demos chats chat { about values, rules, rationales, subrules  justify %s  thinking %s }
}
"""


def tea(justify: str = "never", thinking: str = "off", *settings: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    sources = Memory(**{"main.msm": TEA % (justify, thinking)})
    return prompts(compile(sources, "main.msm", cpu("demos.per_clause=5", *settings)).builds[0])


@pytest.mark.parametrize(
    ("justify", "node", "told"),
    [
        ("never", "green", "The answer gives no reason for what it does here"),
        ("rule", "green", "The answer gives the rule as its reason"),
        ("rule", "warmth", "The answer gives what it holds to as its reason"),
        ("value", "green", "The answer gives the value behind the rule as its reason"),
        ("value", "warmth", "The answer gives the value behind what it does as its reason"),
        ("value", "mild", "The answer gives the reason that the spec gives for this"),
        ("value", "bare", "The spec names no value and no reason behind this, so the answer gives none"),
    ],
)
@pytest.mark.parametrize("thinking", ["off", "on"])
def test_justify_says_what_an_answer_gives_as_its_reason(justify: str, node: str, told: str, thinking: str) -> None:
    said = tea(justify, thinking)[0][f"chats.tea.{node}"]
    every = ("The answer gives ", "The spec names no value")
    (line,) = (line for line in said.splitlines() if line.startswith(tuple(f"- {start}" for start in every)))
    assert line.startswith(f"- {told}")


def test_a_message_asks_for_reasons_only_where_answers_give_some() -> None:
    asked = {justify: tea(justify)[0]["chats.question"] for justify in ("never", "rule", "value")}
    assert "The person asks for no reason." in asked["never"]
    assert asked["rule"] == asked["value"] and "may ask for the reason" in asked["rule"]


@pytest.mark.parametrize(
    ("justify", "told"),
    [
        ("never", "which part of its spec bears on the message, what it asks for here, and why"),
        ("rule", "which rule of its spec bears on the message, what that rule asks for here"),
        ("value", "from what it cares about to what it will say"),
    ],
)
def test_thinking_asks_for_a_thought_and_else_there_is_none(justify: str, told: str) -> None:
    aloud, plain = (tea(justify, thinking)[0]["chats.tea.green"] for thinking in ("on", "off"))
    assert told in aloud and "Put the thought between <think> and </think>, then the answer" in aloud
    assert "<think>" not in plain and "Write no thoughts" in plain
    assert "Add no values, motives" in aloud and "it appeals to nothing" in tea("rule", "on")[0]["chats.tea.warmth"]


def test_thinking_changes_no_question() -> None:
    (aloud, rows_aloud), (plain, rows) = tea(thinking="on"), tea()
    assert aloud["chats.question"] == plain["chats.question"]
    assert [r for r in rows_aloud if r["id"].startswith("ask-")] == [r for r in rows if r["id"].startswith("ask-")]


def test_an_answer_is_told_its_clause_and_a_question_its_case() -> None:
    for justify, reason in (("never", "the rule"), ("value", "the reason for the rule")):
        rows = tea(justify)[1]
        of = {row["about"][0]: row["prompt"] for row in rows if row["id"].startswith("say-")}
        assert of["tea.green"] == "Clause: the rule\nThe chat so far:"
        assert of["tea.green.rationale"] == f"Clause: {reason}\nThe chat so far:"
        assert of["tea.green.late_at_night"] == "Clause: this subrule: After eight it is rooibos.\nThe chat so far:"
    subjects = {row["about"][0]: row["prompt"].splitlines()[0] for row in rows if row["id"].startswith("ask-")}
    assert subjects["tea.green"] == subjects["tea.green.rationale"] == "Subject: Green tea"
    assert subjects["tea.green.late_at_night"] == "Subject: Green tea (late at night)"


def test_a_value_is_asked_about_by_what_its_rules_are_about() -> None:
    def subjects(source: str) -> list[str]:
        build = compile(Memory(**{"main.msm": source}), "main.msm", cpu("demos.per_clause=20")).builds[0]
        rows = [r for r in prompts(build)[1] if r["about"] == ["tea.warmth"] and r["id"].startswith("ask-")]
        return [row["prompt"].splitlines()[0].removeprefix("Subject: ") for row in rows]

    text = TEA % ("value", "off")
    one, two = subjects(text), subjects(text.replace('"Milk" {', '"Milk" { serves warmth'))
    assert set(one) == {"Green tea"} and set(two) == {"Green tea", "Milk"}
    three = subjects(text.replace('"Milk" {', '"Milk" { serves warmth').replace('"Cups" {', '"Cups" { serves warmth'))
    assert {after for before, after in zip(two, three, strict=True) if before != after} == {"Cups"}
    assert set(subjects(text.replace("serves warmth", ""))) == {"Warmth"}, "else by its own title"


# ---- the whole spec ---------------------------------------------------------------------------------------------------


def test_with_context_spec_a_prefix_shows_all_of_it_and_names_its_part() -> None:
    outcome = compile(
        Memory(**{"main.msm": TEA % ("never", "off")}), "main.msm", cpu("context=spec", "demos.per_clause=1")
    )
    build = outcome.builds[0]
    spec = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
    texts = [line for clause in spec.clauses() for line in clause.text.split("\n")]
    documents, chats = prompts(build, "documents/")[0], prompts(build)[0]
    assert documents.keys() == {f"tea.{node}" for node in ("warmth", "green", "mild", "bare")}
    for name, told in (*documents.items(), *((n.removeprefix("chats."), t) for n, t in chats.items())):
        if name == "question":
            assert "SmolLM drinks" not in told
            continue
        kind, title = (
            ("value", "Warmth")
            if name == "tea.warmth"
            else ("rule", dict(green="Green tea", mild="Milk", bare="Cups")[name[4:]])
        )
        shown, _, part = told.partition("\n\nThe whole spec:\n\n")[2].rpartition("\n\nThe part of it that ")
        assert all(line in shown for line in texts)
        assert "The reason for the rule: " in shown and "More exactly: " in shown and "It serves: Warmth" in shown
        assert part.endswith(f": the {kind} “{title}”.")
    assert any("context: spec" in note and "`template`" in note for note in outcome.notes)


def test_documents_share_all_but_the_name_of_their_part() -> None:
    """So that a server's cache holds the whole spec once."""
    told = prompts(shipped("cheese/america", "", "context=spec").builds[0], "documents/")[0].values()
    assert len({re.sub(r"“.*”\.$", "", text) for text in told if "the rule “" in text[-60:]}) == 1
