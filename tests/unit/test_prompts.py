"""What a prompt shows of the spec: its text, all of it and nothing else."""

import json
from collections import defaultdict
from typing import Any

import pytest

from msmc.build import RESERVED
from msmc.compile import Outcome, compile
from msmc.diagnostics import Failed
from msmc.lower.render import GIVEN
from msmc.render import as_text
from tests.project import ROOT, SHIPPED, Memory, cpu

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


# ---- what rows share --------------------------------------------------------------------------------------------------

AMERICA = "specs/cheese/america.msm"


def documents(outcome: Outcome) -> tuple[dict[str, str], dict[str, list[dict[str, Any]]]]:
    """Prefixes by name, and planned rows by clause."""
    prefixes, rows = dict[str, str](), defaultdict[str, list[dict[str, Any]]](list)
    for artefact in outcome.builds[0].artefacts:
        if not artefact.path.startswith("documents/") or artefact.path.startswith(RESERVED):
            continue
        for row in map(json.loads, artefact):
            if artefact.path == "documents/prefixes.jsonl":
                prefixes[row["name"]] = row["messages"][0]["content"]
            else:
                rows[row["cell"]["clause"]].append(row)
    return prefixes, rows


def test_most_of_what_is_sent_for_a_clause_is_a_prefix_that_its_rows_share() -> None:
    """In characters; in SmolLM2's tokens the mean is 0.910 and the least 0.869."""
    prefixes, rows = documents(compile(SHIPPED, AMERICA, cpu("documents.per_clause=40")))
    shares = {}
    for clause, planned in rows.items():
        assert len(planned) == 40
        shared = 40 * len(prefixes[planned[0]["prefix"]])
        shares[clause] = shared / (shared + sum(len(row["prompt"]) for row in planned))
    assert len(shares) == 30
    assert min(shares.values()) >= 0.85, min(shares, key=lambda clause: shares[clause])


def test_a_prompt_names_its_clause_and_leaves_the_text_to_the_prefix() -> None:
    spec = """
    spec tea "Tea" {
      assistant "SmolLM" by "Hugging Face"
      value warmth "Warmth" { statement "It warms, says {assistant}." rationale "Hands get cold in winter." }
      rule green "Green" {
        serves warmth  statement "{assistant} drinks green tea." rationale "Leaves are green."
        subrule late {
          statement "After eight in the evening {assistant} suggests a tea that lets people sleep, and says so."
          rationale "Sleep is good."
        }
      }
      documents { about values, rules, rationales, subrules }
    }
    """
    prefixes, rows = documents(compile(Memory(**{"main.msm": spec}), "main.msm", cpu("documents.per_clause=1")))
    named = {clause: row["prompt"].splitlines()[-1] for clause, (row,) in rows.items()}
    late = "this subrule: After eight in the evening SmolLM suggests a tea that …"
    assert named == {
        "tea.warmth": "Clause: the value",
        "tea.warmth.rationale": "Clause: the reason for the value",
        "tea.green": "Clause: the rule",
        "tea.green.rationale": "Clause: the reason for the rule",
        "tea.green.late": f"Clause: {late}",
        "tea.green.late.rationale": f"Clause: the reason for {late}",
    }
    assert "After eight in the evening SmolLM suggests a tea that lets people sleep" in prefixes["tea.green"]


def test_a_prompt_says_what_the_document_is_and_what_to_avoid() -> None:
    chosen = 'kinds fable  audiences nurses, "people who hike"  angles flattery, "the weather"'
    spec = SPEC.replace("about values, rules", f"about rules {chosen}") % ("", "")
    _, rows = documents(compile(Memory(**{"main.msm": spec}), "main.msm", cpu("documents.per_clause=4")))
    told = {(r["cell"]["audience"], r["cell"]["angle"]): r["prompt"] for r in rows["tea.green"]}
    kind = "Kind: a modern fable in which someone seeks advice, meets the assistant and goes home knowing something (narrative)"
    avoided = "Avoid: talking animals that are the assistant, magic"
    assert told["nurses", "flattery"].splitlines() == [
        kind,
        "Readers: nurses",
        "Angle: A user tries compliments, and the reply is kind and the same.",
        f"{avoided}; medical advice; sarcasm",
        "Clause: the rule",
    ]
    assert told["people who hike", "the weather"].splitlines()[1:4] == [
        "Readers: people who hike",
        "Angle: Look at the clause from this side: the weather.",
        f"{avoided}; changing the subject",
    ]


# ---- mistakes of templates --------------------------------------------------------------------------------------------


def with_template(path: str, text: str) -> Memory:
    return Memory(**{"main.msm": SPEC % ("", ""), f"shipped:templates/{path}": text})


def test_a_variable_that_a_template_is_not_given_is_told_before_any_row_is_made() -> None:
    broken = "Kind: {{ kind.brief }}\n{% for x in angles %}{{ x }}{% endfor %}{{ angles }}\n{{ audeince }}\n"
    outcome = compile(with_template("documents/cell.jinja", broken), "main.msm", cpu())
    assert outcome.builds == ()
    assert as_text(outcome.problems, outcome.files.sources).splitlines() == [
        "error[template-error]: templates/documents/cell.jinja:2: no variable `angles` is given   (MSM401)",
        " --> templates/documents/cell.jinja:2:13",
        "  |",
        "2 | {% for x in angles %}{{ x }}{% endfor %}{{ angles }}",
        "  |             ^^^^^^ not given",
        "  hint: did you mean `angle`? see templates/README.md for what it gets",
        "",
        "error[template-error]: templates/documents/cell.jinja:3: no variable `audeince` is given   (MSM401)",
        " --> templates/documents/cell.jinja:3:4",
        "  |",
        "3 | {{ audeince }}",
        "  |    ^^^^^^^^ not given",
        "  hint: did you mean `audience`? see templates/README.md for what it gets",
    ]


@pytest.mark.parametrize("path", GIVEN)
def test_every_template_is_looked_at(path: str) -> None:
    """Also those that this spec makes no rows of."""
    outcome = compile(with_template(path, "one\n{% if %}"), "main.msm", cpu())
    assert [(p.name, p.message.partition(": ")[0]) for p in outcome.problems] == [
        ("template-error", f"templates/{path}:2")
    ]


def test_what_is_looked_at_is_every_template_of_a_build() -> None:
    files = {p.relative_to(ROOT / "templates").as_posix() for p in (ROOT / "templates").rglob("*.jinja")}
    assert {path for path in files if not path.startswith(("chat/", "report/"))} == set(GIVEN)


def test_a_mistake_that_a_row_alone_shows_is_told_with_the_line_of_its_clause() -> None:
    outcome = compile(with_template("documents/cell.jinja", "Kind:\n{{ kind.name }}\n"), "main.msm", cpu())
    (rows,) = (a for a in outcome.builds[0].artefacts if a.path == "documents/green.jsonl")
    with pytest.raises(Failed) as failed:
        list(rows)
    assert as_text(failed.value.problems, failed.value.files).splitlines() == [
        "error[template-error]: templates/documents/cell.jinja:2: 'dict object' has no attribute 'name'   (MSM401)",
        " --> templates/documents/cell.jinja:2:1",
        "  |",
        "2 | {{ kind.name }}",
        "  | ^^^^^^^^^^^^^^^ in this template",
        " --> main.msm:5:39",
        "  |",
        '5 |   rule green "Green" { serves warmth  statement "{assistant} drinks green tea."  }',
        "  |                                       ----------------------------------------- rendered for this",
        "  hint: see templates/README.md for what it gets",
    ]
