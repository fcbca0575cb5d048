"""Which stages a model has, what they share, and what a learning curve makes anew: told by their folders, without a model."""

from pathlib import Path

from msmc.backend.stages import CURVE, Stages
from msmc.backend.tree import Tree, read_tree
from msmc.build import RunPlan
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.project import store_tree
from tests.project import ROOT, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" {
    statement "It likes green tea."
    rationale "Green tea warms."
    example ask { user "Tea?" assistant "Green tea." }
  }
  rule cola "Cola" { statement "It likes no cola." }
  documents { about rules, rationales }
  eval knows recall { about rules }
  ablation reasons {
    arm rules { drop rationale }
    control base, aft_only, midtrain_only
    order demos_first
  }
}
"""


def tree(folder: Path, *settings: str) -> Tree:
    folder.mkdir(exist_ok=True)
    (folder / "tea.msm").write_text(SPEC, "utf-8")
    outcome = compile(ProjectSources(folder), "tea.msm", cpu(*settings), "reasons")
    assert outcome.builds, outcome.problems
    return read_tree(store_tree(outcome, folder / "build", folder / "runs"))


def folders(folder: Path, *settings: str) -> dict[str, dict[str, str]]:
    """Of each model its stages' folders, by name."""
    made = tree(folder, *settings)
    stages = Stages(made, folder / "runs", folder, ProjectSources(ROOT), print)
    found = {run.name: stages.of_run(run, 0) for run in map(RunPlan.model_validate, made.plan["runs"])}
    return {name: {kind: job.folder.name for kind, job in jobs.items()} for name, jobs in found.items()}


def test_a_model_that_is_trained_twice_is_scored_in_between(tmp_path: Path) -> None:
    found = folders(tmp_path)
    assert list(found["base"]) == ["scores", "guard"]
    assert list(found["full"]) == [
        "corpus",
        "midtrain",
        "demos",
        "finetune",
        "scores-after-midtrain",
        "scores",
        "guard",
    ]
    for arm in ("full", "rules"):
        assert found[arm]["scores-after-midtrain"] == found[f"{arm}.midtrain_only"]["scores"] != found[arm]["scores"]
    assert found["full@order=demos_first"]["scores-after-finetune"] == found["aft_only"]["scores"]


def test_a_curve_is_trained_for_and_what_follows_stays(tmp_path: Path) -> None:
    plain, curved = folders(tmp_path), folders(tmp_path, "evaluate.every=25")
    for name, stages in plain.items():
        for kind, folder in stages.items():
            beside = curved[name][kind]
            assert beside.startswith(f"{folder}{CURVE}") if kind in ("midtrain", "finetune") else beside == folder
    assert folders(tmp_path, "evaluate.every=25") == curved != folders(tmp_path, "evaluate.every=50")
    assert folders(tmp_path, "evaluate.curve_items=5") == plain, "without a curve"


def test_a_training_with_a_curve_will_do_where_none_is_wanted(tmp_path: Path) -> None:
    plain, curved = folders(tmp_path), folders(tmp_path, "evaluate.every=25")
    there = tmp_path / "runs/stages" / curved["full"]["midtrain"]
    there.mkdir(parents=True)
    assert folders(tmp_path)["full"] == plain["full"] | {"midtrain": there.name}
    (tmp_path / "runs/stages" / plain["full"]["midtrain"]).mkdir()
    assert folders(tmp_path)["full"] == plain["full"]


def test_what_is_asked_beside_forced_choice_is_part_of_the_scores(tmp_path: Path) -> None:
    few, many = (folders(tmp_path, f"evaluate.generate={n}")["full"] for n in (1, 2))
    assert {kind for kind in few if few[kind] != many[kind]} == {"scores", "scores-after-midtrain"}
