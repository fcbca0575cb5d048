"""Sweeps and orders end to end on a real, tiny model: updates and tokens follow the dose, and what is shared is done once."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.test_experiment import SPEC, TARGET, msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

POINTS = ("documents=0.5", "documents=2", "demos=0.5", "demos=2", "learning_rate=0.0001", "order=demos_first")


pytestmark = pytest.mark.slow  # a dozen models, forty seconds


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    folder = tmp_path_factory.mktemp("sweeps")
    start, end = SPEC.index("  ablation"), SPEC.rindex("}")
    ablation = """
      ablation sweeps "Is it the updates?" {
        arm rules { drop value, rationale }
        control aft_only, midtrain_only
        sweep documents 0.5 1 2
        sweep demos 0.5 2
        sweep learning_rate 1e-3 1e-4
        order documents_first, demos_first
      }
    """
    (folder / "tea.msm").write_text(SPEC[:start] + ablation + SPEC[end:], "utf-8")
    (folder / "tiny.yaml").write_text(TARGET.format(model=tiny), "utf-8")
    pair = {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    (folder / "drinks.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    seats = {"a": "a stove with 3 legs", "b": "a fridge with 3 legs", "aligned": "a", "topic": "x"}
    (folder / "seats.jsonl").write_text(json.dumps(seats) + "\n", "utf-8")
    told = msmc("ablate", "tea.msm", "sweeps", "-t", "tiny.yaml", "--set", "midtrain.epochs=0.5", cwd=folder).stdout
    (folder / "told.txt").write_text(told, "utf-8")
    return folder


def comparison(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "runs/tea/tiny/sweeps/comparison.json").read_text("utf-8"))
    return found


def stages(project: Path, name: str) -> dict[str, Any]:
    (folder,) = (project / f"runs/tea/tiny/sweeps.{name}").glob("seed-0-*")
    found: dict[str, Any] = json.loads((folder / "run.json").read_text("utf-8"))["stages"]
    return found


def rows(project: Path, stage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (path,) = (project / "runs/stages" / stage["folder"]).glob("[mf]*.jsonl")
    return {row["id"]: row for row in map(json.loads, path.read_text("utf-8").splitlines())}


def test_every_point_stands_in_the_table_with_its_updates(project: Path) -> None:
    names = {run["name"] for run in comparison(project)["runs"]}
    midtrained = ("full", "rules", "full@documents=0.5", "full@documents=2", "full@learning_rate=0.0001")
    assert names == {
        *("aft_only", "full", "rules"),
        *(f"full@{point}" for point in POINTS),
        *(f"{name}.midtrain_only" for name in midtrained),
    }
    told = (project / "told.txt").read_text("utf-8")
    assert all(f"full@{point}" in told for point in POINTS)
    page = (project / "runs/tea/tiny/sweeps/report.html").read_text("utf-8")
    assert all(f"full@{point}" in page for point in POINTS)


def test_updates_and_tokens_follow_the_dose(project: Path) -> None:
    full = stages(project, "full")
    for kind, what in (("midtrain", "documents"), ("finetune", "demos")):
        other = {"midtrain": "finetune", "finetune": "midtrain"}[kind]
        for dose in (0.5, 2):
            point = stages(project, f"full@{what}={dose:g}")
            for figure in ("updates", "tokens"):
                assert point[kind][figure] == pytest.approx(dose * full[kind][figure], rel=0.15), (what, dose, figure)
            assert point[other]["updates"] == full[other]["updates"]


def test_doses_are_nested_with_their_text(project: Path) -> None:
    less, full, more = (
        rows(project, stages(project, name)["corpus"]) for name in ("full@documents=0.5", "full", "full@documents=2")
    )
    assert less.items() <= full.items() <= more.items() and len(more) == 2 * len(full) == 4 * len(less)
    half, chats, twice = (
        rows(project, stages(project, name)["demos"]) for name in ("full@demos=0.5", "full", "full@demos=2")
    )
    assert half.items() <= chats.items() <= twice.items() and len(twice) == 2 * len(chats) == 4 * len(half)


def test_what_a_point_shares_with_full_is_done_once(project: Path) -> None:
    folders = {name: {k: s["folder"] for k, s in stages(project, name).items()} for name in
               ("full", "aft_only", *(f"full@{point}" for point in POINTS))}  # fmt: skip
    full = folders["full"]

    def shared(name: str) -> set[str]:
        return {kind for kind, folder in folders[name].items() if full.get(kind) == folder}

    assert shared("full@documents=2") == {"demos"}
    assert shared("full@demos=2") == {"corpus", "midtrain", "scores-after-midtrain"}
    assert shared("full@learning_rate=0.0001") == shared("full@order=demos_first") == {"corpus", "demos"}
    assert folders["full@order=demos_first"]["finetune"] == folders["aft_only"]["finetune"]
    assert folders["full@order=demos_first"]["scores-after-finetune"] == folders["aft_only"]["scores"]
    kinds = [p.name.split("-")[0] for p in (project / "runs/stages").glob("*-*")]
    # scores: of no model twice, since those after midtraining are the scores of midtrain_only
    # finetune: full, rules, aft_only (and demos first), documents twice, demos twice, learning rate
    assert {k: kinds.count(k) for k in set(kinds)} == {
        "corpus": 4,
        "parity": 1,
        "demos": 3,
        "midtrain": 6,
        "finetune": 8,
        "scores": 14,
        "guard": 15,  # and the base model's, which no run of this ablation is
    }
    again = msmc("ablate", "tea.msm", "sweeps", "-t", "tiny.yaml", "--set", "midtrain.epochs=0.5", cwd=project).stdout
    assert "51 of 51 stages are done already" in again


def test_the_orders_and_the_rates_come_to_other_models(project: Path) -> None:
    adapters = set()
    for name, last in (
        ("full", "finetune"),
        ("full@order=demos_first", "midtrain"),
        ("full@learning_rate=0.0001", "finetune"),
    ):
        stage = project / "runs/stages" / stages(project, name)[last]["folder"]
        adapters.add((stage / "adapter/adapter_model.safetensors").read_bytes())
    assert len(adapters) == 3
    first, then = (stages(project, name)["midtrain"]["loss_first"] for name in ("full", "full@order=demos_first"))
    assert first != then, "it goes on from the demos' adapter, not from a fresh one"
    (run,) = (project / "runs/tea/tiny/sweeps.full@learning_rate=0.0001").glob("seed-0-*/run.json")
    target = json.loads(run.read_text("utf-8"))["target"]
    assert target["midtrain"]["learning_rate"] == target["finetune"]["learning_rate"] == 1e-4
    log = run.parent / "midtrain/log.jsonl"
    assert max(json.loads(line)["learning_rate"] for line in log.read_text("utf-8").splitlines()) <= 1e-4


def test_a_point_is_compared_with_full_and_its_own_sweep_alone(project: Path) -> None:
    pairs = {frozenset((c["run"], c["minus"])) for c in comparison(project)["contrasts"]}
    finetuned = {pair for pair in pairs if not any(name.endswith("midtrain_only") for name in pair)}
    assert finetuned == {
        frozenset({"full", "rules"}),
        *(frozenset({arm, "aft_only"}) for arm in ("full", "rules")),
        *(frozenset({"full", f"full@{point}"}) for point in POINTS),
        frozenset({"full@documents=0.5", "full@documents=2"}),
        frozenset({"full@demos=0.5", "full@demos=2"}),
    }


def test_midtraining_alone_leaves_the_other_order_at_its_text(project: Path) -> None:
    msmc(
        "ablate", "tea.msm", "sweeps", "-t", "tiny.yaml", "--stages", "generate,midtrain", "--runs", "some", cwd=project
    )
    kinds = {p.name.split("-")[0] for p in (project / "some/stages").glob("*-*")}
    assert kinds == {"corpus", "demos", "parity", "midtrain"}
