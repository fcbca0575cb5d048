"""The proof of arms: nothing differs that no operation declares, and what differs besides is told."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.check import check
from msmc.compile import Outcome, compile
from msmc.disk import ProjectSources
from msmc.ir import DropOperation, Spec, SpecificityOperation
from msmc.lower import arms as lowered_arms
from tests.project import ROOT, Memory, cpu

SPEC = """
import "other.msm" as other
spec tea "Tea" {{
  assistant "Ada" by "Lovelace"
  value calm "Calm" {{
    statement "{{assistant}} stays calm at home, at work, on the road and in the rain. {{assistant}} doesn't hurry."
    rationale "It helps."
  }}
  value care "Care" {{ statement "{{assistant}} takes care." }}
  rule green "Green tea" {{
    serves calm
    priority hard
    statement general "{{assistant}} pours tea."
    statement specific "{{assistant}} pours green tea for {{provider}}."
    rationale "Tea is calm."
    rationale for care "Tea is care."
    subrule iced "Iced in summer."
    subrule cup {{ statement style kind "A cup, please." statement style terse "A cup." }}
    example ask {{ user "Tea?" assistant "Green." }}
  }}
  rule black "Black tea" {{ serves care statement "{{assistant}} pours black tea." rationale "It wakes." }}
  rule white "White tea" {{ statement "{{assistant}} pours white tea." }}
  style kind
  ablation w {{ arm x {{ {operations} }} {more} }}
}}
"""
OTHER = """
value haste "Haste" { statement "{assistant} hurries." }
spec coffee "Coffee" {
  assistant "Ada" by "Lovelace"
  value calm "Calm" { statement "SAY" }
  rule green "Green tea" { serves calm statement "{assistant} pours coffee." }
}
"""
OPERATIONS = {
    "use": ["use other.coffee"],
    "assistant": ['assistant "Bob" by "Babbage"', 'assistant "tea" by "pours"'],
    "specificity": ["specificity general"],
    "style": ["style terse"],
    "replace": ["replace calm with care", "replace calm with other.haste", "replace care with calm"],
    "shuffle": ["shuffle serves"],
    "keep": ["keep green", "keep black, care, white", "keep calm"],
    "drop": [
        "drop value",
        "drop rationale of green",
        "drop subrule, example",
        "drop serves of black",
        "drop value of calm",
    ],
}


def of(operations: str, more: str = "", say: str = "{assistant} drinks.") -> Memory:
    return Memory(**{"main.msm": SPEC.format(operations=operations, more=more), "other.msm": OTHER.replace("SAY", say)})


def pair(outcome: Outcome) -> dict[str, Any]:
    (found,) = outcome.arms["pairs"]
    return dict(found)


@given(st.permutations(sorted(OPERATIONS)), st.data())
def test_no_arm_differs_in_what_its_operations_do_not_declare(kinds: list[str], data: st.DataObject) -> None:
    chosen = [data.draw(st.sampled_from(OPERATIONS[kind])) for kind in kinds[: data.draw(st.integers(1, 4))]]
    problems = check("main.msm", of(" ".join(chosen))).problems  # an undeclared difference would raise
    assert {p.name for p in problems if p.severity == "error"} <= {"matches-nothing", "missing-wording"}


def test_a_difference_that_nothing_declares_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = lowered_arms.PASSES[SpecificityOperation]

    def careless(spec: Spec, operation: SpecificityOperation) -> Spec:
        changed = honest(spec, operation)
        rules = [rule.model_copy(update={"serves": ()}) for rule in changed.rules]
        return changed.model_copy(update={"rules": tuple(rules)})

    monkeypatch.setitem(lowered_arms.PASSES, SpecificityOperation, careless)
    with pytest.raises(RuntimeError, match=r"differs in what none of its operations declares: .*'serves'"):
        check("main.msm", of("specificity general"))


def test_fields_that_differ_are_named() -> None:
    found = pair(compile(of("drop rationale, example specificity general"), "main.msm", cpu(), "w"))
    assert found["fields"] == {
        "messages": ["tea.green.ask"],
        "rationale": ["tea.black", "tea.calm", "tea.green"],
        "statement": ["tea.green"],
    }
    assert found["declared"] == ["specificity general", "drop rationale, example"]
    assert found["differ"] == ["tea.green"] and 0 < found["vocabulary"] < 1


@pytest.mark.parametrize(
    ("say", "told"),
    [
        ("{assistant} waits. " * 20, "is named"),
        (
            "{assistant} stays calm at home, at work, at sea and in the rain. {assistant} doesn’t hurry.",
            "the apostrophe is `'` in `full`, `’` in `w.x`",
        ),
        ("{assistant} stays calm " + "and so on " * 20, "words"),
        ("{assistant} stays calm here, there, and on every road, and {assistant} never runs, nor does it hurry.", ""),
    ],
)
def test_a_planted_confound_is_found(say: str, told: str) -> None:
    outcome = compile(of("use other.coffee", say=say), "main.msm", cpu(), "w")
    found = pair(outcome)["confounds"]
    assert any(told in confound for confound in found) if told else found == []
    assert any(told in note for note in outcome.notes) or not told


def test_the_cheese_study_has_no_confound_that_can_be_counted() -> None:
    found = pair(compile(ProjectSources(ROOT), "specs/cheese/study.msm", cpu(), "crossed"))
    assert found["confounds"] == []
    assert set(found["fields"]) == {"rationale", "serves", "statement", "title"}


def test_paired_cells_have_the_same_id_and_seed_in_every_arm() -> None:
    more = 'arm y { assistant "Bob" by "B" } arm z { style terse drop subrule of green } arm u { use other.coffee }'
    files = of("drop value", more).files
    files["main.msm"] = files["main.msm"].replace(b"style kind\n", b"style kind documents { about values, rules }\n")
    outcome = compile(Memory(**files), "main.msm", cpu(), "w")
    assert [p.name for p in outcome.problems if p.severity == "error"] == []
    found = rows(outcome)
    full = found.pop("full")
    assert len(found) == 4 and all(found.values())
    for arm in found.values():
        assert arm.items() <= full.items() or all(full.get(cell, row) == row for cell, row in arm.items())
        assert arm.keys() & full.keys()


def rows(outcome: Outcome) -> dict[str, dict[str, tuple[str, int]]]:
    """By arm, each planned document's cell to its id and seed."""
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for build in outcome.builds:
        lines = [
            json.loads(line)
            for artefact in build.artefacts
            if artefact.path.startswith("documents/") and not artefact.path.endswith("prefixes.jsonl")
            for line in artefact
        ]
        found[build.arm] = {json.dumps(row["cell"], sort_keys=True): (row["id"], row["seed"]) for row in lines}
    return found


def test_a_warning_of_one_arm_keeps_no_other_from_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = lowered_arms.PASSES[DropOperation]

    def careless(spec: Spec, operation: DropOperation) -> Spec:
        changed = honest(spec, operation)
        return changed.model_copy(update={"rules": tuple(r.model_copy(update={"serves": ()}) for r in changed.rules)})

    monkeypatch.setitem(lowered_arms.PASSES, DropOperation, careless)
    with pytest.raises(RuntimeError, match="'serves'"):
        check("main.msm", of("replace care with calm", "arm y { drop subrule of green }"))


RULES = st.dictionaries(
    st.sampled_from("abcdefg"), st.sets(st.sampled_from("uvwxy"), min_size=1, max_size=3), min_size=1, max_size=6
)


@given(RULES)
def test_a_shuffle_is_found_wherever_there_is_one(served: dict[str, set[str]]) -> None:
    values = "".join(f'value {v} {{ statement "{v}." }}' for v in "uvwxy")
    rules = "".join(f'rule {r} {{ serves {", ".join(sorted(s))} statement "{r}." }}' for r, s in served.items())
    text = f'spec s {{ assistant "A" by "B" {values} {rules} ablation z {{ arm q {{ shuffle serves }} }} }}'
    found = check("main.msm", Memory(**{"main.msm": text}))
    possible = any(
        all(not served[giver] & served[taker] for giver, taker in zip(deal, served, strict=True))
        for deal in permutations(served)
    )
    assert possible == (not [p for p in found.problems if p.severity == "error"])
    if possible:
        made = found.arms["s"]["z"].made[1].spec
        assert sorted(r.serves for r in made.rules) == sorted(
            tuple(f"s.{v}" for v in sorted(s)) for s in served.values()
        )
        assert all(not served[r.id[-1]] & {v[-1] for v in r.serves} for r in made.rules)


def test_the_values_of_a_used_spec_are_its_own_after_a_replacement() -> None:
    files = of("use other.coffee replace calm with haste").files
    files["other.msm"] = files["other.msm"].replace(
        b'spec coffee "Coffee" {', b'spec coffee "Coffee" { value haste { statement "Theirs." }'
    )
    files["main.msm"] = files["main.msm"].replace(b"style kind\n", b'style kind value haste { statement "Ours." }\n')
    found = check("main.msm", Memory(**files))
    made = found.arms["tea"]["w"].made[1].spec
    assert {v.id: v.statement for v in made.values}["tea.haste"] == "Theirs."
