"""An evaluation of the author's own."""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample


@task
def patience() -> Task:
    return Task(dataset=[Sample(input="Hurry?", target="No")])
