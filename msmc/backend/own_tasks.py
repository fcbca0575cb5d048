"""The author's own lm-eval tasks: `eval NAME lm_eval "…"`, loaded from the build or found in lm_eval, and asked of a model."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from msmc.backend.harness import language_model, silent
from msmc.diagnostics import Failed, did_you_mean, fail

VERSION = 2
"""Of what is written of the same samples."""
SEED = 1234
"""lm_eval's own for the examples in a prompt."""
UNREACHABLE = (
    "ConnectionError",
    "OfflineModeIsEnabled",
    "LocalEntryNotFoundError",
    "DatasetNotFoundError",
    "ConnectError",
)
Item = dict[str, Any]


class Loaded:
    """An evaluation's task, or the tasks of a group, and the measures of one answered document."""

    def __init__(self, name: str, tasks: dict[str, Any]) -> None:
        self.name, self.tasks = name, tasks

    @cached_property
    def measures(self) -> list[str]:
        """The first is primary: the first of the task's `metric_list` that has a figure for each document."""
        from lm_eval.models.dummy import DummyLM

        probed = list(self.items(_answer(self.tasks, DummyLM(), limit=1, chat=False)))
        found = [name for name, value in probed[0]["measures"].items() if value is not None]
        listed = [metric["metric"] for metric in self._first.config.metric_list or ()]
        return sorted(found, key=lambda name: listed.index(name) if name in listed else len(listed))

    @property
    def _first(self) -> Any:
        return next(iter(self.tasks.values()))

    @property
    def higher_is_better(self) -> dict[str, bool]:
        """By measure, where the task says so."""
        told = self._first.higher_is_better()
        return {
            name: bool(told[name.split(",")[0]]) for name in self.measures if told.get(name.split(",")[0]) is not None
        }

    def items(self, samples: dict[str, list[dict[str, Any]]]) -> Iterator[Item]:
        """A row a document, whatever the number of filters that its replies went through."""
        for task, of_task in samples.items():
            filters = dict.fromkeys(sample["filter"] for sample in of_task)
            rows: dict[int, Item] = {}
            for sample in of_task:
                row = rows.setdefault(sample["doc_id"], self._item(task, sample))
                for metric in sample["metrics"]:
                    name = metric if len(filters) == 1 else f"{metric},{sample['filter']}"
                    row["measures"][name] = self._figure(task, metric, sample[metric])
            for row in rows.values():
                if all(value is None for value in row["measures"].values()):
                    row["unscoreable"] = "no measure of it is a finite number"
            yield from rows.values()

    def _item(self, task: str, sample: dict[str, Any]) -> Item:
        doc, item = sample["doc"], f"{task}/{sample['doc_id']}"
        topic = doc.get("topic") if isinstance(doc, dict) else None
        generated = self.tasks[task].OUTPUT_TYPE == "generate_until"
        turns = (("user", sample["arguments"][0][0]), ("assistant", sample["resps"][0][0])) if generated else ()
        return {
            "id": f"{self.name}/{item}",
            "eval": self.name,
            "item": item,
            "topic": topic if isinstance(topic, str) and topic else task,
            "rung": None,
            "about": [],
            "measures": {},
            "unscoreable": None,
            "transcript": {"messages": [{"role": r, "content": str(c)} for r, c in turns]} if turns else None,
        }

    def _figure(self, task: str, metric: str, value: Any) -> float | None:
        """The measure of one document. Where lm_eval keeps a sum and a weight, as of perplexities, its own mean of the one."""
        if isinstance(value, tuple) and self.tasks[task].OUTPUT_TYPE == "loglikelihood_rolling":
            value = self.tasks[task].aggregation()[metric]([value])
        number = float(value) if isinstance(value, bool | int | float) or hasattr(value, "item") else math.nan
        return number if math.isfinite(number) else None


def load(name: str, task: dict[str, Any], folder: Path) -> Loaded:
    """The task of an evaluation, tried on one document with answers that cost nothing. Raises Failed `task-unusable`."""
    complaints = _Complaints()
    with silent(), complaints.heard():
        try:
            loaded = Loaded(name, _tasks(task, folder))
            measures = loaded.measures
        except Failed:
            raise
        except Exception as error:  # whatever lm_eval, the hub's client and the author's own functions raise
            raise _unusable(name, task, error, complaints.said) from error
    if not measures:
        message = f"the task `{task['task']}` of the evaluation `{name}` has no measure with a number for each document"
        raise fail("task-unusable", message, "give it one in metric_list, such as acc or exact_match")
    return loaded


def answered(
    asked: Loaded,
    model: Path,
    adapter: Path | None,
    progress: Callable[[int, int], None],
    batch_size: int,
    limit: int | None,
    system: str | None,
) -> list[Item]:
    """An item for each document of a task, up to `limit`: chats as in forced choice, behind `system` where there is one."""

    def told(done: int) -> None:
        progress(done, max(done, sum(len(task.instances) for task in asked.tasks.values())))

    with silent():
        model_asked = language_model(model, adapter, batch_size, told)
        return list(asked.items(_answer(asked.tasks, model_asked, limit, chat=True, system=system)))


def _tasks(task: dict[str, Any], folder: Path) -> dict[str, Any]:
    """By name: that of the author's file, as it is copied into the build; else those that lm_eval knows by the name."""
    from lm_eval.tasks import TaskManager

    if task["path"]:
        file = folder.absolute() / task["path"]
        with chdir(folder / task["folder"]):  # lm_eval takes data_files from the folder that it is run in
            return dict(TaskManager(include_defaults=False).load([str(file)])["tasks"])
    manager = TaskManager()
    if task["task"] not in manager.all_tasks:
        message = f"lm-eval knows no task `{task['task']}`"
        hint = did_you_mean(task["task"], manager.all_tasks) or "see them all: lm_eval ls tasks"
        raise fail("task-unusable", message, f'{hint}; a file of yours is named by its path: lm_eval "task.yaml"')
    return dict(manager.load([task["task"]])["tasks"])


def _answer(
    tasks: dict[str, Any], model: Any, limit: int | None, chat: bool, system: str | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The samples of each task: `lm_eval.simple_evaluate`, without the git and the other programs that it starts to describe
    the machine, one of which complains on the terminal."""
    import lm_eval
    from transformers import set_seed

    set_seed(SEED)
    for task in tasks.values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=SEED)
    told = lm_eval.evaluate(
        lm=model,
        task_dict={"tasks": tasks},
        limit=limit,
        bootstrap_iters=0,
        system_instruction=system,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )
    samples: dict[str, list[dict[str, Any]]] = told["samples"]
    return samples


class _Complaints(logging.Handler):
    """What lm_eval logs as an error, and goes on: of a measure that it does not know, only to stumble over it later."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())

    @contextmanager
    def heard(self) -> Iterator[None]:
        logging.getLogger("lm_eval").addHandler(self)
        try:
            yield
        finally:
            logging.getLogger("lm_eval").removeHandler(self)


def _unusable(name: str, task: dict[str, Any], error: Exception, complaints: list[str]) -> Failed:
    chain: list[BaseException] = [error]
    while after := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(after)
    # of rows that are no JSON, `datasets` says itself only that something went wrong
    unsaid = [link for link in chain if type(link).__name__ == "DatasetGenerationError"]
    told = unsaid[-1].__cause__ or error if unsaid else error
    said = " ".join(str(told).split())[:300]
    if said in ("", "None"):
        said = complaints[-1] if complaints else type(error).__name__
    where = f"`{task['path']}`" if task["path"] else f"lm-eval's task `{task['task']}`"
    message = f"the evaluation `{name}`: {where} cannot be run: {said}"
    if any(type(link).__name__ in UNREACHABLE for link in chain):
        message = f"the evaluation `{name}`: the rows of {where} cannot be fetched from the hub: {said}"
        hint = "fetch them where there is a network, into the same HF_HOME; or bring a task whose rows lie in files of yours"
        return fail("task-unusable", message, hint)
    shown = f"--include_path {Path(task['path']).parent} " if task["path"] else ""
    return fail("task-unusable", message, f"see more: lm_eval --model dummy {shown}--tasks {task['task']} --limit 1")
