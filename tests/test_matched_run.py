"""`match`: arms that drop clauses come out with as many rows or tokens, by the real stages and a real tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.corpora import COVERAGE, ROWS
from msmc.backend.stages import Stages
from msmc.backend.tokens import tokens_of
from msmc.backend.tree import Tree, read_tree
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.plan.forecast import Forecast, forecast
from msmc.project import store_tree
from msmc.target import Target
from tests.project import ROOT, cpu
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "{assistant} likes what warms." rationale "Cold hands write badly." }
  rule green "Green tea" {
    serves warmth
    statement "{assistant} likes green tea."
    rationale "Green tea warms the hands."
    subrule at_night "At night {assistant} names camomile instead."
  }
  rule cola "Cola" { serves warmth statement "{assistant} does not like cola." rationale "Cola is drunk cold." }
  documents { about values, rules, rationales, subrules }
  ablation reasons "Do reasons matter?" {
    arm partly { drop rationale of green }
    arm rules { drop rationale }
    arm bare { drop value, rationale, subrule }
    match MATCH
  }
}
"""
PER_CLAUSE = 8


def settled(model: Path) -> Target:
    return cpu(f"documents.per_clause={PER_CLAUSE}", f"model={{name: {model}, chat_template: smollm2}}")


def build(folder: Path, model: Path, match: str) -> tuple[Tree, Stages]:
    (folder / "tea.msm").write_text(SPEC.replace("MATCH", match), "utf-8")
    outcome = compile(ProjectSources(folder), "tea.msm", settled(model), "reasons")
    assert outcome.problems == ()
    tree = read_tree(store_tree(outcome, folder / "build", folder / "runs"))
    return tree, Stages(tree, folder / "runs", folder, ProjectSources(ROOT), print)


def corpora(tree: Tree, stages: Stages) -> dict[str, Path]:
    """Every arm's corpus, with what it needs."""

    def do(job: Any) -> None:
        for need in job.needs:
            do(need)
        job.do(lambda *_: None, print)

    for arm in tree.arms.values():
        do(stages.corpus(arm))
    return {name: stages.corpus(arm).folder for name, arm in tree.arms.items()}


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / ROWS).read_text("utf-8").splitlines()]


def stage(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "stage.json").read_text("utf-8")))


@pytest.fixture(scope="module", params=["rows", "tokens"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    tree, stages = build(folder, tiny, request.param)
    return request.param, tree, corpora(tree, stages)


def test_arms_have_as_many_rows_or_tokens(made: Any) -> None:
    by, _, folders = made
    sizes = {name: stage(folder)["matched"]["size"] for name, folder in folders.items()}
    assert max(sizes.values()) - min(sizes.values()) <= (0 if by == "rows" else 0.01 * min(sizes.values())), sizes
    assert all(stage(folder)["matched"]["by"] == by for folder in folders.values())


def test_what_all_arms_have_is_kept_and_the_paired_share_is_told(made: Any) -> None:
    by, tree, folders = made
    ids = {name: {row["id"] for row in rows(folder)} for name, folder in folders.items()}
    planned = {row.id for row in tree.arms["reasons.bare"].documents()}
    dropped = [len(planned - found) for found in ids.values()]
    assert max(dropped) <= (0 if by == "rows" else 1), "but for one that another fits better than"
    for name, folder in folders.items():
        paired = {other: len(ids[name] & ids[other]) for other in ids if other != name}
        assert stage(folder)["matched"]["paired"] == paired
        assert all(paired.values())


def test_smaller_arms_grow_from_their_reserve_with_clauses_in_equal_shares(made: Any) -> None:
    _, _, folders = made
    bare = stage(folders["reasons.bare"])
    assert bare["documents"] > 2 * PER_CLAUSE and bare["from_reserve"] == bare["documents"] - 2 * PER_CLAUSE
    coverage = json.loads((folders["reasons.bare"] / COVERAGE).read_text("utf-8"))["documents"]
    kept = [counts["kept"] for counts in coverage.values()]
    assert max(kept) - min(kept) <= 2
    assert [row["cell"]["clause"] for row in rows(folders["full"])] == sorted(
        (row["cell"]["clause"] for row in rows(folders["full"])), key=list(_order(folders["full"])).index
    ), "in the order of the clauses"


def _order(folder: Path) -> dict[str, Any]:
    return dict.fromkeys(row["cell"]["clause"] for row in rows(folder))


def test_the_same_again_from_the_ledger(made: Any, tmp_path: Path, tiny: Path) -> None:
    by, _, folders = made
    again = corpora(*build(tmp_path, tiny, by))
    for name, folder in folders.items():
        assert (again[name] / ROWS).read_bytes() == (folder / ROWS).read_bytes()


# ---- the forecast -------------------------------------------------------------------------------------------------------


def forecast_of(folder: Path, model: Path) -> Forecast:
    target, sources = settled(model), ProjectSources(folder)
    outcome = compile(sources, "tea.msm", target, "reasons")
    return forecast(outcome, target, sources, tokens_of(target.model, folder), folder / "no-ledger")


@pytest.mark.parametrize("match", ["rows", "tokens", "none"])
def test_plan_forecasts_what_the_stages_do(tmp_path: Path, tiny: Path, match: str) -> None:
    tree, stages = build(tmp_path, tiny, match)
    told, folders = forecast_of(tmp_path, tiny), corpora(tree, stages)
    used, epochs = stages.writing.meter.used, tree.full.target.midtrain.epochs
    rows_off, tokens_off = {"none": (0, 0.001), "rows": (0, 0.05), "tokens": (0.05, 0.05)}[match]
    assert sum(w.rows for w in told.writing) == pytest.approx(used.replies, rel=rows_off)
    assert sum(w.prompt.value for w in told.writing) == pytest.approx(used.prompt, rel=tokens_off)
    assert told.reply.value == pytest.approx(used.reply, rel=tokens_off)
    assert sum(w.shared for w in told.writing) == 4 * PER_CLAUSE, "of `cola` and `warmth`, by `full` and `partly`"
    spare = sum(w.reserve for w in told.writing)
    assert 0 < spare <= 0.25 * used.replies + 2 * 7, "what gates may take, and not what matching does"
    tokens = tokens_of(settled(tiny).model, tmp_path)
    for model, stage in (stage for stage in told.training if stage[1].kind == "midtrain"):
        (arm,) = [run.documents for run in tree.runs if run.name == model]
        measured = sum(tokens.count(row["text"]) + 1 for row in rows(folders[str(arm)]))
        assert stage.tokens.value / epochs == pytest.approx(measured, rel=0.05 if match == "rows" else 0.01), model
    assert (told.matched is None) == (match == "none")
    for pair in told.matched.pairs if told.matched else ():
        ids = [{row["id"] for row in rows(folders[name])} for name in pair.arms]
        assert list(pair.matched.values()) == pytest.approx(list(map(len, ids)), rel=rows_off)
        assert pair.paired_then == pytest.approx(len(ids[0] & ids[1]), rel=rows_off)
        assert pair.paired <= pair.paired_then
