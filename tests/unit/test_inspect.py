"""`evals/tasks.py` of a build runs in Inspect as it is."""

import importlib.util
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


def test_inspect_runs_the_tasks_of_a_build(tasks: Path, tmp_path: Path) -> None:
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    spec = importlib.util.spec_from_file_location("tasks", tasks)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def always_a() -> ModelOutput:
        output = ModelOutput.from_content("mockllm/model", "ANSWER: A")
        output.usage = ModelUsage(
            input_tokens=1, output_tokens=1, total_tokens=2
        )  # else Inspect looks for tiktoken's files
        return output

    model = get_model("mockllm/model", custom_outputs=[always_a() for _ in range(72)])
    (log,) = inspect_eval(module.trained_cheeses(), model=model, log_dir=str(tmp_path), display="none")
    assert log.status == "success" and log.results
    # both orders: a model that always says the first letter is right half of the time
    assert log.results.scores[0].metrics["accuracy"].value == 0.5
    assert log.results.total_samples == 72
