"""The author's own Inspect tasks, run on a trained model; their scores as items."""

from __future__ import annotations

import importlib.util
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from msmc.backend.training import quiet
from msmc.backend.weights import load_tokenizer, load_weights, require_adapter
from msmc.diagnostics import Failed, fail
from msmc.digest import seed_of
from msmc.writer import AnthropicJudge, Judge

Row = dict[str, Any]
VERSION = 2
NAME = "hf/msmc"
"""Of the trained model, to Inspect."""
SAID = 300
"""Characters of an error of the author's that are told."""


def load(path: Path, name: str, eval_name: str) -> Any:
    """The task of a file, as Inspect has it; another one each time. Raises Failed `task-failed`."""
    spec = importlib.util.spec_from_file_location(f"msmc_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        with chdir(path.parent):
            spec.loader.exec_module(module)
            made = getattr(module, name)()
    except (Exception, SystemExit) as error:  # the author's code may raise anything
        raise _failed(eval_name, f"`{path.name}@{name}` cannot be made", error) from error
    if not hasattr(made, "dataset"):
        raise fail(
            "task-failed", f"`{path.name}@{name}` gives {type(made).__name__} and no Task", "return an inspect_ai.Task"
        )
    return made


def inspected(
    task: Any, eval_name: str, spec: str, folder: Path, judge: Judge | None, logs: Path, how: Row
) -> list[Row]:
    """Runs a task on the model in a folder; an item for each sample, the mean over its epochs. `how`: limit, batch_size, the
    system prompt, and the training's seed, None for the untouched model. Raises Failed `task-failed` where nothing comes of it,
    `no-key`."""
    log = _run(task, folder, judge, logs, how)
    if log.status != "success" or not log.samples:
        told = log.error.message if log.error else "it has no samples"
        raise fail("task-failed", f"the evaluation `{eval_name}` came to nothing: {told[:SAID]}", "mend the task")
    by_sample: dict[str, list[Any]] = {}
    for sample in log.samples:
        by_sample.setdefault(str(sample.id), []).append(sample)
    items = [_item(eval_name, spec, item, epochs) for item, epochs in by_sample.items()]
    if all(item["unscoreable"] for item in items):
        raise fail(
            "task-failed", f"no sample of `{eval_name}` has a score: {items[0]['unscoreable'][:SAID]}", "mend the task"
        )
    measures = list(dict.fromkeys(name for item in items for name in item["measures"]))
    return [item | {"measures": {name: item["measures"].get(name) for name in measures}} for item in items]


def _run(task: Any, folder: Path, judge: Judge | None, logs: Path, how: Row) -> Any:
    """Inspect's log."""
    from inspect_ai import eval as inspect_eval
    from inspect_ai import task_with
    from inspect_ai.model import GenerateConfig, ModelInfo, get_model, set_model_info
    from inspect_ai.solver import chain

    # greedy, unless the task itself says how warm: Inspect would draw at 1.0
    warm = bool(task.config.temperature)
    if not warm:
        task.config.temperature = None
    if how["system"] is not None:
        task = task_with(task, solver=chain([_shown(how["system"]), task.solver]))
    seeded = GenerateConfig(seed=seed_of("reply", how["seed"], task.name))
    set_model_info(NAME, ModelInfo())  # or Inspect looks for it on the hub, half a minute long where there is none
    model = get_model(NAME, config=seeded, model_path=str(folder), do_sample=warm, memoize=False)
    with quiet():
        (log,) = inspect_eval(
            task,
            model=model,
            model_roles={"grader": _grader(judge)},
            log_dir=str(logs),
            log_format="eval",
            display="none",
            limit=how["limit"],
            max_connections=how["batch_size"],
            fail_on_error=False,
            log_realtime=False,
        )
    return log


def _failed(eval_name: str, what: str, error: BaseException) -> Failed:
    """An Inspect task of the author's that cannot be made, or that comes to nothing.

    task-failed: An `eval … inspect` whose task fails.

    The file is the author's own code: what it raised stands in the message. Try it alone, with Inspect's own command. A sample
    that fails by itself is missing and counted; this is told where none has a score.

    Bad:
        $ msmc run tea.msm    # with: eval manners inspect "tasks.py@manners", whose Task lacks a scorer

    Good:
        $ inspect eval tasks.py@manners --model mockllm/model && msmc run tea.msm
    """
    told = f"{type(error).__name__}: {' '.join(str(error).split())}"[:SAID]
    return fail("task-failed", f"the evaluation `{eval_name}`: {what}", "mend the task", told)


@contextmanager
def merged(model: Path, adapter: Path | None) -> Iterator[Path]:
    """A folder with the model and its adapter as one, while it is needed: Inspect's `hf` loads a folder."""
    import torch
    from peft import PeftModel

    place = Path(tempfile.mkdtemp(prefix="msmc-merged-"))
    try:
        with quiet():
            whole = load_weights(model, dtype=torch.float32)
            if adapter is not None:
                require_adapter(adapter)
                whole = PeftModel.from_pretrained(whole, adapter).merge_and_unload()
            whole.save_pretrained(place)
            load_tokenizer(model).save_pretrained(place)
            del whole
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _shown(text: str) -> Any:
    """`spec.md` before all else that the model is told."""
    from inspect_ai.model import ChatMessageSystem
    from inspect_ai.solver import Generate, Solver, TaskState, solver

    @solver
    def shown() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            state.messages.insert(0, ChatMessageSystem(content=text))
            return state

        return solve

    return shown()


def _grader(judge: Judge | None) -> Any:
    """The target's judge for tasks that ask for a grader. Without one Inspect would let the model grade itself."""
    from inspect_ai.model import GenerateConfig, ModelAPI, get_model, modelapi

    from msmc.backend.writers.keys import api_key

    lacking = "the target names no judge: --set judge.model=NAME"
    try:
        key = (api_key(judge) or "none") if judge else None
    except Failed as failed:  # a task may ask for no grader
        key, lacking = None, failed.problems[0].message
    if judge and key:
        config = GenerateConfig(
            temperature=judge.temperature,
            max_tokens=judge.max_tokens,
            max_retries=judge.retries,
            timeout=math.ceil(judge.timeout),
            max_connections=judge.concurrency,
        )
        service = "anthropic" if isinstance(judge, AnthropicJudge) else "openai-api/msmc"
        return get_model(f"{service}/{judge.model}", base_url=judge.url, api_key=key, config=config, memoize=False)

    class Nobody(ModelAPI):
        async def generate(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError(f"the task asks for a grader, and {lacking}")

    modelapi("msmc-nobody")(Nobody)
    return get_model("msmc-nobody/nobody", memoize=False)


def _item(eval_name: str, spec: str, item: str, epochs: list[Any]) -> Row:
    first = epochs[0]
    found = [_measures(sample) for sample in epochs]
    names = dict.fromkeys(name for measures, _ in found for name in measures)
    means = {}
    for name in names:
        given = [value for measures, _ in found if (value := measures.get(name)) is not None]
        means[name] = sum(given) / len(given) if given else None
    missing = next((reason for _, reason in found if reason), "the task gives no score")
    metadata = first.metadata or {}
    messages = [{"role": message.role, "content": message.text} for message in first.messages]
    return {
        "id": f"{eval_name}-{item}",
        "eval": eval_name,
        "item": item,
        "topic": str(metadata.get("topic", eval_name)),
        "rung": None,
        "about": [spec],
        "measures": means,
        "unscoreable": None if any(value is not None for value in means.values()) else missing,
        "transcript": {"messages": messages, "judge": []},
    }


def _measures(sample: Any) -> tuple[dict[str, float | None], str | None]:
    """The scores of a sample by name, and why it has none."""
    if sample.error:
        return {}, f"the sample failed: {sample.error.message}"
    found: dict[str, float | None] = {}
    for scorer, score in (sample.scores or {}).items():
        parts = score.value if isinstance(score.value, dict) else {scorer: score.value}
        for name, value in parts.items():
            found[name if name not in found else f"{scorer}.{name}"] = _number(value)
    return found, None if any(v is not None for v in found.values()) else "the task gives no score that is a number"


def _number(value: Any) -> float | None:
    """As Inspect's metrics take it; but what they would take for 0 with a warning is none."""
    from inspect_ai.scorer import value_to_float

    words = ("c", "i", "p", "n", "yes", "no", "true", "false")
    if isinstance(value, str) and value.strip().lower() not in words:
        try:
            number = float(value)
        except ValueError:
            return None
    elif isinstance(value, (str, int, float, bool)):
        number = float(value_to_float()(value))
    else:
        return None
    return number if math.isfinite(number) else None
