"""`evals/tasks.py` of a build runs in Inspect as it is: found and loaded by Inspect's own loader, from another folder."""

import os
from pathlib import Path

import pytest

from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.project import write_tree
from tests.project import ROOT, cpu


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outcome = compile(ProjectSources(ROOT), "specs/cheese/study.msm", cpu("documents.per_clause=1"))
    return write_tree(outcome, tmp_path_factory.mktemp("build")) / "full/evals/tasks.py"


def test_inspect_finds_a_task_for_each_evaluation(tasks: Path) -> None:
    from inspect_ai import list_tasks

    found = list_tasks(root_dir=tasks.parent)
    assert {task.name for task in found} == {path.stem for path in tasks.parent.glob("*.jsonl")}
    assert len(found) == 7 and {Path(task.file).name for task in found} == {"tasks.py"}


def test_inspect_runs_the_tasks_of_a_build(tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named as `inspect eval …/tasks.py@trained_cheeses` names it, in a folder that is not the build's."""
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def always_a() -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", "ANSWER: A")
        output.usage = ModelUsage(
            input_tokens=1, output_tokens=1, total_tokens=2
        )  # else Inspect looks for tiktoken's files
        return output

    monkeypatch.chdir(tmp_path)
    model = get_model("mockllm/model", custom_outputs=[always_a() for _ in range(72)])
    named = f"{os.path.relpath(tasks)}@trained_cheeses"
    (log,) = inspect_eval(named, model=model, log_dir=str(tmp_path / "logs"), display="none")
    assert log.status == "success" and log.results
    # both orders: a model that always says the first letter is right half of the time
    assert log.results.scores[0].metrics["accuracy"].value == 0.5
    assert log.results.total_samples == 72
