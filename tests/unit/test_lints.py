"""Lints: each is told where it is meant to be and nowhere else; what the one that reads prose promises, it keeps."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from msmc.check import check
from msmc.cli import main
from msmc.lint.texts import demo_gives_reason, gives_reason
from tests.project import ROOT, SHIPPED, Memory

PROSE = ROOT / "tests" / "golden" / "lints" / "demo_gives_reason.txt"
HEAD = 'assistant "SmolLM" by "Hugging Face"'
REASON = 'rationale "It keeps the peace at breakfast."'


def told(*items: str, before: str = "", **files: str) -> list[str]:
    """The names of what is told of a spec with these declarations."""
    source = "\n".join([before, 'spec s "S" {', HEAD, *items, "}"])
    others = {f"{name}.msm": text for name, text in files.items()}
    return [problem.name for problem in check("main.msm", Memory(**{"main.msm": source, **others})).problems]


def rules(*reasons: str) -> str:
    return " ".join(f'rule r{n} "R" {{ statement "{{assistant}} does {n}." {r} }}' for n, r in enumerate(reasons))


# ---- what is innocent: where a lint could be wrong, it is silent ---------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [
        # a spec without reasons, one with half of them, one that nothing is made of
        (rules("", "", ""), "documents { about rules }"),
        (rules(REASON, ""), "documents { about rules, rationales }"),
        (rules(REASON, REASON, ""),),
        # a reason for one value is a reason
        (
            'value v "V" { statement "{assistant} is kind." }',
            rules(REASON, REASON),
            'rule r2 "R" { serves v statement "{assistant} does it." rationale for v "It is kind to all." }',
            "documents { about rules, rationales, v }",
        ),
        # values that only documents, only an evaluation or only an arm have a use for
        ('value v "V" { statement "{assistant} is kind." }', rules(""), "documents { about v, rules }"),
        # an example shows its rule; nothing need be about it
        (
            'rule r "R" { statement "{assistant} waits." example e { user "Now?" assistant "Soon." } }',
            'rule q "Q" { statement "{assistant} asks." }',
            "eval knows recall { about q }\n documents { about q }",
        ),
        # a text that mentions `because` where demos may justify, or where nothing is said of it
        (
            'rule r "R" { statement "{assistant} waits." example e { user "Now?" assistant "No, because it rains." } }',
            "demos d chat { about rules justify rule }",
        ),
        (
            'rule r "R" { statement "{assistant} waits." example e { user "Now?" assistant "No, because it rains." } }',
            "demos d chat { about rules }",
        ),
        # titles: all of them by id, or in a spec that plans no documents
        ('rule a_b { statement "{assistant} waits." }', "documents { about rules }"),
        (rules(""), 'rule a_b { statement "{assistant} waits." }', "demos d chat { about rules }"),
        # a short reason, and one that adds a word to those of its rule
        (
            'rule r "R" { statement "{assistant} waits in the rain." rationale "Rain." }',
            "documents { about rules, rationales }",
        ),
        # a param for whoever extends it
        ('param place "here"', rules("")),
    ],
)
def test_nothing_is_told(items: tuple[str, ...]) -> None:
    assert told(*items) in ([], ["nothing-to-evaluate"])


@pytest.mark.parametrize("spec", ["cheese/america", "cheese/affordability", "cheese/study"])
def test_shipped_pairs_are_many_and_even(spec: str) -> None:
    told_of = {problem.name for problem in check(f"specs/{spec}.msm", SHIPPED).problems}
    assert not told_of & {"too-few-trained-items", "aligned-by-length"}


def test_nothing_is_told_of_a_file_with_an_error() -> None:
    twice = 'statement general "{assistant} waits." statement specific "{assistant} waits."'
    assert told(f'rule r "R" {{ {twice} }}') == ["wordings-identical"]
    assert told(f'rule r "R" {{ {twice} serves nothing_here }}') == ["unknown-value"]


def test_a_library_is_used_by_one_spec_and_left_alone_by_itself() -> None:
    lib = 'value v { statement "{assistant} is kind." } value w "W" { statement "{assistant} is calm." }'
    assert [p.name for p in check("lib.msm", Memory(**{"lib.msm": lib})).problems] == []
    use = 'rule r "R" { serves lib.v statement "{assistant} waits." }'
    assert told(use, "documents { about rules }", before='import "lib.msm" as lib', lib=lib) == []


# ---- suppression ---------------------------------------------------------------------------------------------------------

TWICE = 'statement general "{assistant} waits." statement specific "{assistant} waits."'
REPEATED = 'rationale general "It keeps calm." rationale specific "It keeps calm."'
ALLOW = "# msmc: allow wordings-identical -- the two are to be compared with others\n"


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (f'{ALLOW} rule r "R" {{ {TWICE} {REPEATED} }}', 0),  # a rule with its parts
        (f'{ALLOW} documents {{ about rules }} rule r "R" {{ {TWICE} }}', 1),  # not the one after the next
        (f'rule r "R" {{ {TWICE} {ALLOW} }}', 1),  # nor the one before
        (f'rule r "R" {{ statement general "A." {ALLOW} statement specific "A." {REPEATED} }}', 1),  # an item alone
        (f'{ALLOW.replace("wordings-identical", "MSM329")} rule r "R" {{ {TWICE} }}', 0),
        (f'{ALLOW.replace("wordings-identical", "title-missing")} rule r "R" {{ {TWICE} }}', 1),
    ],
)
def test_a_suppression_is_for_the_declaration_that_begins_next(rule: str, left: int) -> None:
    assert told(rule).count("wordings-identical") == left


def test_a_suppression_in_prose_is_prose() -> None:
    prose = f'rule r "R" {{ statement """\n{ALLOW}""" }}'
    assert told(prose, "documents { about rules }") == []


def test_a_warning_of_arms_can_be_suppressed() -> None:
    values = 'value v "V" { statement "{assistant} is kind." } value w "W" { statement "{assistant} is calm." }'
    rule = 'rule r "R" { serves v statement "{assistant} waits." rationale "It is raining outside." }'
    blocks = "documents { about values, rules, rationales }"
    arm = "ablation a { %s arm b { replace v with w } }"
    assert told(values, rule, blocks, arm % "") == ["plain-rationale"]
    assert told(values, rule, blocks, arm % "# msmc: allow plain-rationale -- that is the question\n") == []


PARENT = f"""spec parent "Parent" {{
  {HEAD}
  rule r "R" {{
    statement "{{assistant}} waits."
    # msmc: allow demo-gives-reason -- it quotes the customer
    example e {{ user "Now?" assistant "No, because it rains." }}
  }}
  documents {{ about rules }}
}}
"""
CHILD = """import "parent.msm" as parent
spec child "Child" extends parent.parent { demos d chat { about rules  justify never }  documents { about rules } }
"""


def test_a_suppression_that_a_child_needs_is_used_where_both_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parent.msm").write_text(PARENT, "utf-8")
    (tmp_path / "child.msm").write_text(CHILD, "utf-8")
    monkeypatch.chdir(tmp_path)

    def checked(*paths: str) -> list[str]:
        done = CliRunner().invoke(main, ["check", "--format", "json", *paths])
        problems = json.loads(done.stdout)
        assert done.exit_code == bool(problems) and all(p["severity"] == "warning" for p in problems)
        return [p["name"] for p in problems]

    assert checked("parent.msm") == ["unused-suppression"]
    assert checked("child.msm") == []
    assert checked("parent.msm", "child.msm") == checked(".") == []


def test_a_lint_is_told_by_compile_which_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.msm").write_text(f'spec s "S" {{ {HEAD} rule r "R" {{ {TWICE} }} documents {{ about rules }} }}')
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["compile", "s.msm"])
    assert done.exit_code == 0 and "warning[wordings-identical]" in done.stderr and (tmp_path / "build/s/full").is_dir()


# ---- the lint that reads prose -------------------------------------------------------------------------------------------


def replies() -> list[tuple[str, bool, bool]]:
    """Each reply of the golden: whether it gives a reason, and whether the lint is marked as wrong about it."""
    gives, innocent = PROSE.read_text("utf-8").partition("\ngives\n")[2].split("\ninnocent\n")
    lines = [(line, kind) for part, kind in ((gives, True), (innocent, False)) for line in part.split("\n") if line]
    return [(line.removesuffix(" !"), kind, line.endswith(" !")) for line, kind in lines]


def test_the_lint_of_reasons_is_as_right_as_its_docstring_says() -> None:
    found = replies()
    assert sum(gives for _, gives, _ in found) >= 20 and sum(not gives for _, gives, _ in found) >= 20
    hits = sum(gives and gives_reason(reply) is not None for reply, gives, _ in found)
    flagged = sum(gives_reason(reply) is not None for reply, _, _ in found)
    precision, recall = hits / flagged, hits / sum(gives for _, gives, _ in found)
    assert precision >= 0.9
    promised = re.search(r"Precision ([\d.]+), recall ([\d.]+)", demo_gives_reason.__doc__ or "")
    assert promised and (f"{precision:.2f}", f"{recall:.2f}") == promised.groups()


@pytest.mark.parametrize(("reply", "gives", "wrong"), replies())
def test_the_marks_say_where_the_lint_of_reasons_is_wrong(reply: str, gives: bool, wrong: bool) -> None:
    assert (gives_reason(reply) is not None) == (gives != wrong)
