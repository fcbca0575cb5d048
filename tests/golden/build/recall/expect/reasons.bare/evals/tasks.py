"""The evaluations of this build as Inspect tasks: `inspect eval tasks.py@NAME --model …`.

Multiple choice by letter. A small model cannot do letters: `msmc run` scores whole answers by log-likelihood instead.
"""

import json
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import choice
from inspect_ai.solver import multiple_choice

HERE = Path(__file__).parent


def _task(name: str) -> Task:
    lines = (HERE / f"{name}.jsonl").read_text("utf-8").split("\n")  # not splitlines: texts may hold U+2028
    samples = [json.loads(line) for line in lines if line]
    fields = ("id", "input", "choices", "target", "metadata")
    dataset = MemoryDataset([Sample(**{field: sample[field] for field in fields}) for sample in samples], name=name)
    return Task(dataset=dataset, solver=multiple_choice(), scorer=choice())


@task
def knows() -> Task:
    return _task("knows")
