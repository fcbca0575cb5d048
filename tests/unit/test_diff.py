"""`msmc diff` of builds and arms, and its JSON, whose keys other people's scripts use."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from msmc.cli import main

TEA = """spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "{assistant} likes green tea." rationale "It warms." was verde }
  rule cola "Cola" { statement "{assistant} does not like cola." rationale "It is cold." }
  documents { about rules, rationales }
  eval knows recall { about rules }
  ablation w { arm bare { drop rationale } }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.msm").write_text(TEA, "utf-8")
    (tmp_path / "hot.msm").write_text(TEA.replace("likes green", "likes hot green"), "utf-8")
    (tmp_path / "verde.msm").write_text(TEA.replace("green ", "verde ").replace(" was verde", ""), "utf-8")
    return tmp_path


def msmc(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_the_shape_of_the_json(folder: Path) -> None:
    done = msmc("diff", "tea.msm", "hot.msm", "--format", "json", "--exit-code")
    found = json.loads(done.output)
    assert done.exit_code == 1
    stale = {"stale": 3, "new": 0, "gone": 0, "unchanged": 0}
    still = {"stale": 0, "new": 0, "gone": 0, "unchanged": 3, "tokens": 0}
    rows = found.pop("rows")["full"]
    assert {key: count | {"tokens": 0} for key, count in rows["tea.green"].items()} == {
        "documents": stale | {"tokens": 0},
        "evals": {"stale": 4, "new": 0, "gone": 0, "unchanged": 0, "tokens": 0},
    }
    assert rows["tea.cola.rationale"] == {"documents": still} and rows["tea.green"]["documents"]["tokens"] > 800
    assert found.pop("tokens_to_send") > 1600 and found.pop("summary").startswith(
        "1 node changed; 6 of 12 documents, 8 of 8"
    )
    assert found == {
        "schema_version": 1,
        "old": "tea.msm",
        "new": "hot.msm",
        "changed": True,
        "nodes": [
            {
                "kind": "rule",
                "id": "tea.green",
                "change": "changed",
                "was": None,
                "looks_like": None,
                "arms": [],
                "fields": [
                    {
                        "field": "statement",
                        "old": "{assistant} likes green tea.",
                        "new": "{assistant} likes hot green tea.",
                    }
                ],
            }
        ],
        "notes": [],
    }


def test_nothing_in_json(folder: Path) -> None:
    done = msmc("diff", "tea.msm", "tea.msm", "--format", "json", "--exit-code")
    found = json.loads(done.output)
    assert done.exit_code == 0 and not found["changed"] and found["nodes"] == []
    assert found["summary"] == "no difference in meaning"


def test_problems_in_json_are_those_of_check(folder: Path) -> None:
    (folder / "bad.msm").write_text(TEA.replace("about rules }", "about rles }"), "utf-8")
    done = msmc("diff", "tea.msm", "bad.msm", "--format", "json")
    assert done.exit_code == 1 and [p["name"] for p in json.loads(done.output)] == ["unknown-name"]


def test_a_build_stands_for_its_own_target_and_ablation(folder: Path) -> None:
    """In place of the default target and of `full` alone: what was compiled is compared with what is written now."""
    msmc("compile", "tea.msm", "-a", "w", "--set", "documents.per_clause=2", "-q")
    assert msmc("diff", "build/tea", "tea.msm").output == "no difference in meaning\n"
    done = msmc("diff", "build/tea", "hot.msm")
    assert "changed rule green   (full, w.bare)\n  statement: SmolLM likes {+hot +}green tea." in done.output
    # 2 a clause: green and its rationale in `full`, green in `w.bare`, of which nothing is what the other says
    assert "1 node changed; 6 of 12 documents" in done.output


def test_one_arm_of_a_build_meets_the_same_arm(folder: Path) -> None:
    msmc("compile", "tea.msm", "-a", "w", "-q")
    done = msmc("diff", "build/tea/w.bare", "hot.msm")
    assert "rows of w.bare" in done.output and "rows of full" not in done.output


def test_builds_with_rows_of_the_author_s_are_read_like_others(folder: Path) -> None:
    brought = TEA.replace("  eval", '  documents from "own.jsonl"\n  demos mine from "chats.jsonl"\n  eval')
    (folder / "tea.msm").write_text(brought, "utf-8")
    (folder / "own.jsonl").write_text('{"text": "On tea."}\n', "utf-8")
    turns = '[{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]'
    (folder / "chats.jsonl").write_text(f'{{"messages": {turns}}}\n', "utf-8")
    assert msmc("compile", "tea.msm").exit_code == 0
    done = msmc("diff", "build/tea", "tea.msm", "--exit-code")
    assert done.exit_code == 0, done.output


def test_two_arms_that_are_named_are_compared_whatever_their_names(folder: Path) -> None:
    msmc("compile", "tea.msm", "-a", "w", "-q")
    done = msmc("diff", "build/tea/full", "build/tea/w.bare", "--exit-code")
    assert done.exit_code == 1 and "rows of full -> w.bare" in done.output
    assert "changed rule green   (full -> w.bare)\n  rationale: [-It warms.-]" in done.output


def test_builds_with_other_targets_say_so(folder: Path) -> None:
    msmc("compile", "tea.msm", "-q")
    msmc("compile", "tea.msm", "-q", "-o", "more", "--set", "documents.per_clause=5")
    done = msmc("diff", "build/tea", "more/tea")
    assert "note: the builds have different targets: documents.per_clause" in done.output
    assert done.output.splitlines()[-1].startswith("no node changed; 0 of 20 documents, 0 of 8 eval rows stale")


def test_a_rename_is_one_from_either_side(folder: Path) -> None:
    assert "renamed rule green, was verde" in msmc("diff", "verde.msm", "tea.msm").output
    assert "renamed rule verde, was green" in msmc("diff", "tea.msm", "verde.msm").output


def test_a_rename_is_one_for_a_build_where_the_source_beside_it_says_so(folder: Path) -> None:
    msmc("compile", "verde.msm", "-q")
    assert "renamed rule green, was verde" in msmc("diff", "build/tea", "tea.msm").output
    msmc("compile", "tea.msm", "-q", "-o", "new")
    between = msmc("diff", "build/tea", "new/tea").output
    assert "removed rule verde" in between and "looks like verde renamed: add `was verde`" in between


def test_a_file_with_several_specs_has_nodes_and_no_rows(folder: Path) -> None:
    two = TEA + 'spec mate "Mate" { assistant "A" by "B" rule hot { statement "Hot." } }\n'
    (folder / "two.msm").write_text(two, "utf-8")
    (folder / "more.msm").write_text(two.replace('"Hot."', '"Very hot."') + 'spec soup "Soup" {}\n', "utf-8")
    done = msmc("diff", "two.msm", "more.msm")
    assert "changed rule mate.hot\n  statement: [-Hot-]{+Very hot+}." in done.output
    assert "added spec soup" in done.output and "rows were not compared" in done.output


def test_a_value_that_two_specs_of_a_file_serve_is_told_once(folder: Path) -> None:
    specs = 'import "heat.msm" as h\n' + "".join(
        f'spec {name} "{name}" {{ assistant "A" by "B" rule hot "Hot" {{ serves h.heat statement "Hot." }} }}\n'
        for name in ("mate", "soup")
    )
    for name in ("old", "new"):
        (folder / name).mkdir()
        (folder / name / "heat.msm").write_text(f'value heat "Heat" {{ statement "It is {name}." }}\n', "utf-8")
        (folder / name / "drinks.msm").write_text(specs, "utf-8")
    done = msmc("diff", "old/drinks.msm", "new/drinks.msm")
    assert done.output.startswith("changed value heat.heat\n  statement: It is [-old-]{+new+}.\n\nnote: rows were not")


def test_gone_rows_stand_with_the_new_name_whatever_else_the_file_holds(folder: Path) -> None:
    beside = 'value zest "Zest" { statement "It is fresh." }\n'
    for place, source in (("old", "verde.msm"), ("new", "tea.msm")):
        (folder / place).mkdir()
        (folder / place / "zest.msm").write_text(beside + (folder / source).read_text("utf-8"), "utf-8")
    done = msmc("diff", "old/zest.msm", "new/zest.msm")
    assert "\ngreen (was verde)   3 new, 3 gone" in done.output, "one line, with what is new"


def test_control_characters_of_a_text_do_not_reach_the_terminal(folder: Path) -> None:
    (folder / "bell.msm").write_text(TEA.replace("likes green", "likes \x1b[2J green"), "utf-8")
    done = msmc("diff", "tea.msm", "bell.msm")
    assert "\x1b" not in done.output and "␛" in done.output
