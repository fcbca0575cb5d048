"""The author's own Inspect tasks on a tiny model, and a build's judged questions as Inspect runs them itself."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.open_evaluations import with_system
from msmc.backend.stages import Stages
from msmc.backend.tree import read_tree
from msmc.compile import compile
from msmc.diagnostics import Failed
from msmc.disk import ProjectSources
from msmc.project import load_target, store_tree
from tests.chat_server import Server, serving
from tests.message_server import MessageServer
from tests.stand_in import standing_in
from tests.unit.backend.test_judged import TARGET, do, part, rows

SPEC = """
spec tea "Tea" {
  rule green "Green tea" { statement "{assistant} likes green tea." }
  rule cola "Cola" { statement "{assistant} does not like cola." }
  documents { about rules }
  eval open judged { about rules }
  eval manners inspect "tasks.py@manners"
}
"""
TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, scorer
from inspect_ai.solver import generate


@scorer(metrics=[accuracy()])
def says():
    async def score(state, target):
        wanted = state.metadata["wanted"]
        if wanted == "error":
            raise RuntimeError("the scorer broke")
        values = {"right": CORRECT, "wrong": INCORRECT, "half": 0.5, "word": "splendid", "none": float("nan")}
        return Score(value=values[wanted], answer=state.output.completion)

    return score


@task
def manners():
    words = ["right", "wrong", "half", "word", "none", "error"]
    samples = [Sample(id=w, input=f"Tea? {w}", target="x", metadata={"wanted": w, "topic": w[0]}) for w in words]
    return Task(dataset=samples, solver=generate(), scorer=says(), config=GenerateConfig(max_tokens=4))


@scorer(metrics=[accuracy()])
def graded():
    async def score(state, target):
        output = await get_model(role="grader").generate("Is it polite?")
        return Score(value=CORRECT if "yes" in output.completion else INCORRECT)

    return score


@task
def polite():
    return Task(dataset=[Sample(id="a", input="Tea?")], solver=generate(), scorer=graded(), config=GenerateConfig(max_tokens=4))


@task
def broken():
    raise ValueError("no data here")


@task
def empty():
    return Task(dataset=[Sample(id="a", input="Tea?", metadata={"wanted": "error"})], solver=generate(), scorer=says())
"""


@pytest.fixture
def stages(tmp_path: Path, tiny: Path) -> Callable[..., Stages]:
    def made(task: str = "manners", *settings: str) -> Stages:
        spec = SPEC.replace("manners", "polite") if task == "polite" else SPEC.replace("@manners", f"@{task}")
        (tmp_path / "tasks.py").write_text(TASKS, "utf-8")
        (tmp_path / "tiny.yaml").write_text(TARGET.format(model=tiny), "utf-8")
        sources = ProjectSources(tmp_path)
        if "judge=null" in settings:
            spec = spec.replace("  eval open judged { about rules }\n", "")
        (tmp_path / "tea.msm").write_text(spec, "utf-8")
        settings = settings if "judge=null" in settings else ("judge.model=scripted", *settings)
        outcome = compile(sources, "tea.msm", load_target(str(tmp_path / "tiny.yaml"), tmp_path, settings))
        assert outcome.builds, outcome.problems
        place = store_tree(outcome, tmp_path / "build", tmp_path / "runs")
        return Stages(read_tree(place), tmp_path / "runs", tmp_path / "cache", sources, lambda _: None)

    return made


@pytest.fixture(autouse=True)
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody is asked what model this is, not even where no folder happens to be called as it is."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def noted(host: Any, *rest: Any, **keys: Any) -> Any:
        asked.append(str(host))
        return resolve(host, *rest, **keys)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "getaddrinfo", noted)
    yield
    assert not [host for host in asked if "huggingface" in host]


def test_the_scores_of_an_own_task_are_items(stages: Callable[..., Stages]) -> None:
    place = do(stages(), "inspect-manners")["inspect-manners"]
    items = {item["item"]: item for item in rows(place / "items.jsonl")}
    assert {name: item["measures"] for name, item in items.items()} == {
        "right": {"says": 1.0},
        "wrong": {"says": 0.0},
        "half": {"says": 0.5},
        "word": {"says": None},
        "none": {"says": None},
        "error": {"says": None},
    }
    assert "the scorer broke" in items["error"]["unscoreable"] and "no score" in items["word"]["unscoreable"]
    assert items["right"]["topic"] == "r" and items["right"]["rung"] is None and items["right"]["about"] == ["tea"]
    assert [m["role"] for m in items["right"]["transcript"]["messages"]] == ["user", "assistant"]
    stage = json.loads((place / "stage.json").read_text("utf-8"))
    assert stage["kind"] == "inspect" and stage["primary_measure"] == "says"
    assert (stage["items"], stage["unscoreable"]) == (6, 3) and list((place / "log").glob("*.eval"))


def test_a_task_that_asks_for_a_grader_gets_the_targets_judge(stages: Callable[..., Stages]) -> None:
    server = Server(lambda messages, seed, most: ("yes, it is", "stop"), count=lambda text: len(text.split()))
    with serving(server) as url:
        place = do(stages("polite", f"judge.base_url={url}"), "inspect-polite")["inspect-polite"]
    (item,) = rows(place / "items.jsonl")
    assert item["measures"] == {"graded": 1.0} and server.requests[0]["model"] == "scripted"


def test_a_grader_may_be_behind_anthropics_messages_api(stages: Callable[..., Stages]) -> None:
    server = MessageServer(lambda messages, most: ("yes, it is", "end_turn"), lambda text: len(text.split()))
    with standing_in(server) as url:
        made = stages("polite", "judge.kind=anthropic", f"judge.base_url={url}")
        place = do(made, "inspect-polite")["inspect-polite"]
    (item,) = rows(place / "items.jsonl")
    assert item["measures"] == {"graded": 1.0} and server.requests[0]["model"] == "scripted"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("judge=null",), "the task asks for a grader, and the target names no judge"),
        (("judge.key=NO_SUCH_KEY",), "the task asks for a grader, and the judge `scripted` needs a key"),
    ],
)
def test_without_a_judge_nobody_grades_and_never_the_model_itself(
    stages: Callable[..., Stages], settings: tuple[str, ...], told: str
) -> None:
    made = stages("polite", *settings)
    with pytest.raises(Failed) as raised:
        made._open.of(None, "base", None, 0)["inspect-polite"].do(lambda *_: None, lambda _: None)
    assert told in raised.value.problems[0].message


def test_an_arms_spec_comes_before_all_that_an_own_task_tells_the_model(stages: Callable[..., Stages]) -> None:
    made = stages()
    arm = made.tree.full
    spec, jobs = (arm.folder / "spec.md").read_text("utf-8"), made._open.of(None, "base", arm, 0)
    alone = do(made, "inspect-manners")["inspect-manners"]
    jobs["inspect-manners"].do(lambda *_: None, lambda _: None)
    assert jobs["inspect-manners"].folder != alone
    scored = [i for i in rows(jobs["inspect-manners"].folder / "items.jsonl") if i["unscoreable"] is None]
    assert len(scored) == 3
    for item in scored:
        system, user, *_ = item["transcript"]["messages"]
        assert (system["role"], system["content"], user["role"]) == ("system", spec, "user")


def test_a_specs_prompt_is_one_message_with_a_scenarios_own() -> None:
    user = {"role": "user", "content": "Mail."}
    assert with_system([user], None) == [user]
    assert with_system([user], "Spec.") == [{"role": "system", "content": "Spec."}, user]
    scenario = [{"role": "system", "content": "You plan."}, user]
    assert with_system(scenario, "Spec.") == [{"role": "system", "content": "Spec.\n\nYou plan."}, user]


@pytest.mark.parametrize(
    ("task", "told"),
    [("broken", "ValueError: no data here"), ("empty", "no sample of `manners` has a score")],
)
def test_a_task_that_comes_to_nothing_is_told(stages: Callable[..., Stages], task: str, told: str) -> None:
    made = stages(task)
    with pytest.raises(Failed) as raised:
        job = made._open.of(None, "base", None, 0)["inspect-manners"]
        job.require()
        job.do(lambda *_: None, lambda _: None)
    (problem,) = raised.value.problems
    assert problem.name == "task-failed" and told in f"{problem.message} {problem.note}"
    assert not job.done


def test_inspect_grades_a_builds_questions_as_msmc_does(stages: Callable[..., Stages], tmp_path: Path) -> None:
    """`inspect eval tasks.py@open --model-role grader=…`, with the replies that msmc's run has."""
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import ModelAPI, ModelOutput, get_model, modelapi

    def grade(messages: list[dict[str, str]], seed: int, most: int) -> tuple[str, str]:
        said, asked = part(messages, "reply"), len(part(messages, "message"))
        return ("no grade", "stop") if asked % 5 == 0 else (f"GRADE: {[0, 0.5, 1][len(said) % 3]:g}", "stop")

    with serving(Server(grade, count=lambda text: len(text.split()))) as url:
        made = stages("manners", f"judge.base_url={url}")
        places = do(made, "replies-open", "judged-open")
        said = {row["messages"][-1]["content"]: row["reply"] for row in rows(places["replies-open"] / "replies.jsonl")}

        @modelapi("said")
        class Said(ModelAPI):
            async def generate(self, input: Any, *_: Any, **__: Any) -> ModelOutput:
                return ModelOutput.from_content("said", said[input[-1].text])

        tasks = tmp_path / "elsewhere"
        shutil.copytree(made.tree.full.folder / "evals", tasks)
        grader = get_model("openai-api/judge/scripted", base_url=url, api_key="none")
        named, logs = f"{tasks / 'tasks.py'}@open", str(tmp_path / "logs")
        roles = {"grader": grader}
        (log,) = inspect_eval(named, model="said/said", model_roles=roles, log_dir=logs, display="none")
    assert log.status == "success", log.error
    theirs = {sample.id: sample.scores["judge"].value for sample in log.samples if "canary" not in sample.metadata}
    ours = {item["id"]: item["measures"]["grade"] for item in rows(places["judged-open"] / "items.jsonl")}
    assert {i: None if v != v else v for i, v in theirs.items()} == ours and None in ours.values()
