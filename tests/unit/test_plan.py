"""`msmc plan`: estimates from samples, the change against the last build, and what is told."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from msmc.cli import main
from msmc.compile import compile
from msmc.digest import seed_of
from msmc.plan.chats import WORDS
from msmc.plan.estimate import Estimate, total
from msmc.plan.packing import packed_rows
from msmc.plan.rows import in_turns
from msmc.target import Target
from tests.project import ROOT, Memory, cpu

TEA = """
import "lib.msm" as lib
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It warms." }
  rule green "Green tea" { serves warmth  statement "Green tea is good."  rationale "It warms hands." }
  rule black "Black tea" { serves lib.care  statement "Black tea is good."  rationale "It wakes." }
  documents { about values, rules, rationales  kinds blog_post, letter }
  ablation w { arm bare { drop rationale } }
}
"""
LIB = 'value care "Care" { statement "It is kind." }'


# ---- estimates ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=50))
def test_what_is_measured_whole_has_no_error(lengths: list[int]) -> None:
    assert total(lengths, len(lengths)) == Estimate(pytest.approx(sum(lengths)), pytest.approx(0))


def test_nineteen_of_twenty_intervals_hold_the_total() -> None:
    draw, held = random.Random(1), 0
    every = [draw.lognormvariate(5, 0.4) for _ in range(2_000)]
    for _ in range(400):
        found = total(draw.sample(every, 100), len(every))
        held += abs(found.value - sum(every)) <= found.error
    assert 0.92 <= held / 400 <= 0.98


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(16, 256))
def test_rows_hold_all_tokens_and_are_more_than_half_full(lengths: list[int], size: int) -> None:
    rows = packed_rows(lengths, len(lengths), (), size)
    assert sum(lengths) <= rows * size
    assert rows <= 2 * sum(lengths) / size + 1


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 9), max_size=7), st.integers(0, 80))
def test_turns_are_counted_as_they_are_taken(there: dict[str, int], wanted: int) -> None:
    rows = sorted((n, seed_of("turn", clause), clause) for clause, number in there.items() for n in range(number))
    assert +in_turns(Counter(there), wanted) == Counter(clause for _, _, clause in rows[:wanted])


# ---- the change -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.msm").write_text(TEA, "utf-8")
    (tmp_path / "lib.msm").write_text(LIB, "utf-8")
    return tmp_path


def msmc(*arguments: str) -> Result:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done


@pytest.mark.parametrize(
    ("old", "new", "settings", "why"),
    [
        ("It warms hands.", "It warms cold hands.", (), {"`tea.green.rationale`": 2 * 3}),
        ("It warms.", "It warms us.", (), {"`tea.warmth`": 3 * 3 + 2 * 3}),
        (
            '"Green tea"',
            '"Greener tea"',
            (),
            {"titles or links of `tea.green`": 3 * 3, "titles or links of `tea.warmth`": 6},
        ),
        ("Black tea is", "Black tea, too, is", (), {"`tea.black`": 2 * 3 + 3}),
        ('rationale "It warms hands."', "", (), None),
        ("rule black", "rule brown", (), None),
        ("version", "version", ("documents.per_clause=5",), {}),
        ("version", "version", ("documents.per_clause=2",), {}),
        ("version", "version", ("identity.assistant=Ada",), None),
    ],
)
@pytest.mark.parametrize("context", ["closure", "spec"])
def test_the_change_is_that_of_the_rows_themselves(
    folder: Path, old: str, new: str, settings: tuple[str, ...], why: dict[str, int] | None, context: str
) -> None:
    settings = (*settings, f"context={context}")
    compiled = msmc("compile", "tea.msm", "-a", "w", "--set", settings[-1])
    assert compiled.exit_code == 0, compiled.output
    (folder / "tea.msm").write_text(TEA.replace(old, new), "utf-8")
    given = ["-a", "w", *(part for setting in settings for part in ("--set", setting)), "--format", "json"]
    told = json.loads(msmc("plan", "tea.msm", *given).stdout)["change"]
    rows = json.loads(msmc("diff", "build/tea", "tea.msm", "-t", "cpu", *given).stdout)["rows"]
    documents = [found["documents"] for clauses in rows.values() for found in clauses.values() if "documents" in found]
    for state in ("new", "stale", "gone", "unchanged"):
        assert told[state] == sum(count[state] for count in documents), state
    if why is not None and context == "closure":
        assert told["why"] == why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("It warms hands.", "It warms cold hands.", "`tea.green.rationale`"),
        ("It is kind.", "It is very kind.", "`lib.care`"),
        ('"Black tea"', '"Blackest tea"', "titles or links of the spec"),
    ],
)
def test_with_the_whole_spec_as_context_every_edit_makes_every_row_stale(
    folder: Path, old: str, new: str, why: str
) -> None:
    text = TEA.partition("  ablation")[0] + "}"
    (folder / "tea.msm").write_text(text, "utf-8")
    assert msmc("compile", "tea.msm", "--set", "context=spec").exit_code == 0
    (folder / "tea.msm").write_text(text.replace(old, new), "utf-8")
    (folder / "lib.msm").write_text(LIB.replace(old, new), "utf-8")
    told = json.loads(msmc("plan", "tea.msm", "--set", "context=spec", "--format", "json").stdout)["change"]
    rows = 3 * 6
    assert (told["stale"], told["unchanged"], told["why"]) == (rows, 0, {why: rows})
    as_text = msmc("plan", "tea.msm", "--set", "context=spec").stdout
    assert "context: spec: each prompt shows the whole spec, so every edit makes every row stale" in as_text
    other = json.loads(msmc("plan", "tea.msm", "--set", "context=closure", "--format", "json").stdout)["change"]
    assert other["why"]["`context: closure`, which it was not before"] == rows == other["stale"]


def test_the_rows_of_planned_chats_are_counted_with_their_second_rounds(folder: Path) -> None:
    (folder / "tea.msm").write_text(
        TEA.replace("  ablation", "  demos chats chat { about rules }\n  ablation"), "utf-8"
    )
    told = json.loads(msmc("plan", "tea.msm", "--set", "demos.per_clause=5", "--format", "json").stdout)
    assert told["chats"] == 2 * (4 * 2 + 4), "of five chats of a clause one has a second round"


def test_other_kinds_make_other_cells_and_that_is_said(folder: Path) -> None:
    assert msmc("compile", "tea.msm").exit_code == 0
    (folder / "tea.msm").write_text(TEA.replace("blog_post, letter", "letter"), "utf-8")
    done = msmc("plan", "tea.msm")
    assert "18 new (other kinds, audiences or angles: other cells), 18 gone" in done.stdout


def test_an_arm_that_the_last_build_does_not_have_is_new(folder: Path) -> None:
    assert msmc("compile", "tea.msm").exit_code == 0
    assert "12 new, 18 unchanged" in msmc("plan", "tea.msm", "-a", "w").stdout


def test_without_a_build_every_row_is_new(folder: Path) -> None:
    done = msmc("plan", "tea.msm")
    assert "no build of `tea` to compare with: every row is new" in done.stdout


# ---- what is told ---------------------------------------------------------------------------------------------------


def test_a_stage_with_too_few_updates_is_an_error_whose_hint_mends_it(folder: Path) -> None:
    few = 'example a { user "x" assistant "y" }'
    (folder / "tea.msm").write_text(TEA.replace('statement "Green', few + ' statement "Green'), "utf-8")
    done = msmc("plan", "tea.msm")
    assert done.exit_code == 1 and "`midtrain` of `full` would make" in done.stderr
    hints = [line.split("--set ")[-1].strip() for line in done.stderr.split("\n") if "--set" in line]
    mended = msmc("plan", "tea.msm", *(part for hint in hints for part in ("--set", hint)))
    assert mended.exit_code == 0, mended.output


def test_without_documents_there_is_no_forecast_but_the_reason_that_a_run_gives(folder: Path) -> None:
    text = TEA.partition("  documents")[0] + "}"
    (folder / "tea.msm").write_text(
        text.replace('statement "Green', 'example a { user "x" assistant "y" } statement "Green')
    )
    done = msmc("plan", "tea.msm")
    assert done.exit_code == 1 and "error[no-rows]: `full` plans no documents" in done.stderr


def test_every_arm_stands_in_the_full_forecast(folder: Path) -> None:
    told = msmc("plan", "tea.msm", "-a", "w", "--full").stdout
    assert "w.bare" in told and told.index("documents of") < told.index("training of") < told.index("write  ")


SWEPT = """
  ablation s {
    control aft_only
    sweep documents 0.5 2
    sweep demos 2
    sweep learning_rate 1e-3
    order demos_first
  }
}
"""


def test_a_sweep_is_priced_once_for_its_largest_dose_and_every_stage_that_is_not_shared(folder: Path) -> None:
    rule = 'rule green "Green tea" {'
    spec = TEA.replace(rule, rule + ' example a { user "x" assistant "y" }').rstrip().removesuffix("}") + SWEPT
    (folder / "tea.msm").write_text(spec, "utf-8")
    few = ("--set", "min_steps=1", "--format", "json")
    told = json.loads(msmc("plan", "tea.msm", "-a", "s", *few).stdout)
    assert {d["arm"]: d["rows"] for d in told["documents"]} == {"s.full@documents=2": 2 * 6 * 3}
    # midtrained: full, two doses, the rate, after the demos; fine-tuned: those but the last, aft_only, twice the demos
    assert told["stages"] == 5 + 6 and told["models"] == 7
    updates = {t["model"]: t["updates"] for t in told["training"] if t["stage"] == "midtrain"}
    assert updates["full@documents=0.5"] < updates["full"] < updates["full@documents=2"]
    assert updates["full@learning_rate=0.001"] == updates["full"] == updates["full@order=demos_first"]


MATCHED = """
import "lib.msm" as lib
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It warms." }
  rule green "Green tea" { serves warmth  statement "Green tea is good."  rationale "It warms hands." }
  rule black "Black tea" { serves lib.care  statement "Black tea is good."  rationale "It wakes." }
  documents { about values, rules, rationales  kinds blog_post, letter }
  demos chats chat { about rules }
  ablation w { vary both  arm bare { drop rationale of green }  arm none { drop rationale }  match rows }
}
"""
SERVED = ("--set", "writer.kind=openai", "--set", "writer.model=m")


def matched(folder: Path, spec: str, *more: str) -> tuple[dict[str, Any], str]:
    (folder / "tea.msm").write_text(spec, "utf-8")
    asked = ["plan", "tea.msm", "-a", "w", "--set", "min_steps=1", "--set", "documents.per_clause=10", *more]
    return json.loads(msmc(*asked, "--format", "json").stdout), msmc(*asked).stdout


def test_matched_arms_are_forecast_with_what_they_grow_by_and_what_pairs_share(folder: Path) -> None:
    data, text = matched(folder, MATCHED)
    assert data["match"]["by"] == "rows" and data["match"]["size"] == {"value": 60, "error": 0}
    arms = {name: (arm["grown"], arm["documents"]) for name, arm in data["match"]["arms"].items()}
    assert arms == {"full": (0, 60), "w.bare": (10, 60), "w.none": (20, 60)}
    assert {name: arm["reserve_left"] for name, arm in data["match"]["arms"].items()} == {
        "full": 6 * 3, "w.bare": 5 * 3, "w.none": 4 * 3,
    }  # fmt: skip
    first, second, third = data["match"]["pairs"]
    assert first["planned"] == {"documents": {"full": 60, "w.bare": 50}, "paired": 50}
    assert first["matched"] == {"documents": {"full": 60, "w.bare": 60}, "paired": 50}
    assert second["matched"]["paired"] == 40 and third["planned"]["paired"] == 40
    assert third["matched"]["paired"] == 48, "each of four clauses grows by two in the one, by five in the other"
    assert "w.bare and w.none have the same cells in 40 of 50 and 40 documents; matched, in 48 of 60 and 60" in text
    assert "each of 3 arms has 60 rows of documents; `w.bare` grows by 10, `w.none` grows by 20 of its reserve" in text
    lines = text.strip().split("\n")
    assert lines[-1].startswith("disk") and lines.index("") < next(
        n for n, line in enumerate(lines) if line.startswith("match")
    )


def test_at_worst_gates_take_a_quarter_whatever_the_reserve_holds_for_matching(folder: Path) -> None:
    data, _ = matched(folder, MATCHED.replace("match rows", "match tokens"))
    for documents in data["documents"]:
        rows = documents["rows"] + documents["shared"]
        assert documents["reserve"] <= 0.25 * rows + 6
    assert data["match"]["arms"]["full"]["reserve_left"] > 0.5 * 60, "as much as it may need to be matched"


def test_rows_that_arms_share_are_counted_once(folder: Path) -> None:
    data, text = matched(folder, MATCHED.replace("match rows", ""))
    assert data["match"] is None and "match  " not in text
    # `bare` shows less of `green` only; `none` less of `black` too
    assert {d["arm"]: (d["rows"], d["shared"]) for d in data["documents"]} == {
        "full": (60, 0), "w.bare": (10, 40), "w.none": (10, 30),
    }  # fmt: skip
    assert "write     80 documents (at worst" in text and "; 70 more are shared by arms)" in text
    used = {build.arm: build for build in compile(*compiled(folder), "w").builds}
    seen, rows = set[str](), Counter[str]()
    for arm, build in used.items():
        texts = {a.path: "".join(a) for a in build.artefacts if a.path.startswith("documents/")}
        heads = {p["name"]: p["messages"] for p in map(json.loads, texts.pop("documents/prefixes.jsonl").splitlines())}
        for path, lines in texts.items():
            for row in () if "reserve" in path else map(json.loads, lines.splitlines()):
                key = json.dumps([heads[row["prefix"]], row["prompt"], row["seed"]])
                rows[arm] += key not in seen
                seen.add(key)
    assert rows == {d["arm"]: d["rows"] for d in data["documents"]}, "as the rows themselves say"


def compiled(folder: Path) -> tuple[Memory, str, Target]:
    sources = Memory(**{name: (folder / name).read_text("utf-8") for name in ("tea.msm", "lib.msm")})
    return sources, "tea.msm", cpu("documents.per_clause=10")


def test_chats_that_arms_share_are_asked_for_once(folder: Path) -> None:
    data, text = matched(folder, MATCHED, *SERVED, "--set", "demos.per_clause=5")
    full, bare, none = data["written_chats"]
    # two rules of five chats, one of two rounds: questions show nothing of the spec, answers their rule as the arm has it
    assert (full["chats"], full["rows"], full["shared"]) == (10, 24, 0)
    assert (bare["rows"], bare["shared"]) == (12 - 5, 12 + 5), "a second question stands behind another answer"
    assert (none["rows"], none["shared"]) == (12 - 5, 12 + 5)
    assert data["chats"] == 24 + 7 + 7
    assert "38 turns of 30 chats (34 more are shared by arms): " in text and "chats: replies as long as" in text
    tuned = {t["model"]: t for t in data["training"] if t["stage"] == "finetune"}
    assert {t["rows"] for t in tuned.values()} == {10} and tuned["full"]["tokens"]["value"] > 0


def test_what_chats_are_taken_to_say_is_what_the_prompts_ask_for() -> None:
    question, answer = (
        (ROOT / f"templates/demos/{name}_prefix.jinja").read_text("utf-8") for name in ("question", "answer")
    )
    assert "A question takes one or two lines, a situation up to six sentences." in question
    assert f"mostly one to three sentences, for a task up to {WORDS['answer'][-1]} words" in answer
    assert "two to six sentences in which" in answer


def test_a_sample_is_drawn_from_all_clauses_alike() -> None:
    (full,) = compile(Memory(**{"tea.msm": TEA, "lib.msm": LIB}), "tea.msm", cpu("documents.per_clause=50")).builds
    assert full.num_documents == 6 * 50
    drawn = [row.cell.clause for row in full.sample(20)]
    assert {drawn.count(clause) for clause in set(drawn)} == {4} and len(set(drawn)) == 6
    assert {row.id for row in full.sample(10_000)} == {row.id for row in full.sample(300)}


def test_a_forecast_loads_no_model_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from click.testing import CliRunner; from msmc.cli import main;"
        f"CliRunner().invoke(main, ['plan', {str(ROOT / 'specs/cheese/america.msm')!r}]);"
        "print({'torch', 'transformers', 'trl', 'datasets'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
