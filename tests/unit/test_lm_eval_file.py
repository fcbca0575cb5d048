"""`eval NAME lm_eval "…"`: a file of the author's is read, and what it names is put into the build; a name is lm-eval's own."""

import json
from typing import Any

import pytest

from msmc.analyze.lm_eval_file import _measure, _rows
from msmc.compile import compile
from tests.project import Memory, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "{assistant} likes green tea." rationale "It warms." }
  documents { about rules }
  eval sums lm_eval "TASK"
}
"""
TASK = """
include: base.yaml
task: sums
doc_to_text: !function words.ask
process_results: !function numpy.mean
"""
BASE = "dataset_path: json\ndataset_kwargs: {data_files: {test: [rows/sums.jsonl]}}\ntest_split: test\n"
FILES = {
    "specs/tea/own/sums.yaml": TASK,
    "specs/tea/own/base.yaml": BASE,
    "specs/tea/own/words.py": "def ask(doc): ...",
}


def compiled(task: str = "own/sums.yaml", **files: str) -> Any:
    return compile(Memory(**{"specs/tea/main.msm": SPEC.replace("TASK", task), **files}), "specs/tea/main.msm", cpu())


def told(task: str = "own/sums.yaml", **files: str) -> list[str]:
    return [f"{p.name}: {p.message}" for p in compiled(task, **files).problems if p.severity == "error"]


@pytest.mark.parametrize(
    ("rows", "folder"), [("specs/tea/own/rows/sums.jsonl", "specs/tea/own"), ("rows/sums.jsonl", ".")]
)
def test_a_build_has_the_task_and_all_that_it_names_where_they_were(rows: str, folder: str) -> None:
    outcome = compiled(**FILES, **{rows: '{"q": "1 + 1"}\n'})
    files = {artefact.path: "".join(artefact) for artefact in outcome.builds[0].artefacts}
    brought = {path: text for path, text in files.items() if path.startswith("tasks/")}
    assert brought == {f"tasks/sums/{path}": text for path, text in {**FILES, rows: '{"q": "1 + 1"}\n'}.items()}
    task = json.loads(json.dumps(outcome.arms["tasks"]["sums"]))
    assert task["tool"] == "lm_eval" and task["task"] == "sums"
    assert task["path"] == task["files"][0] == "specs/tea/own/sums.yaml"
    assert task["folder"] == folder, (
        "rows lie beside the task, or are named from the project's folder as lm_eval names them"
    )
    assert not any("evals/sums" in path for path in files), "forced choice is not scored anew when a task is edited"


def test_a_name_is_a_task_of_lm_evals_own() -> None:
    outcome = compiled("arc_easy")
    assert outcome.arms["tasks"]["sums"] == {"tool": "lm_eval", "task": "arc_easy", "path": None}
    assert not any("does not run it yet" in note for note in outcome.notes)


def test_the_name_of_a_files_task_may_be_given_and_must_be_right() -> None:
    rows = {"rows/sums.jsonl": "{}\n"}
    assert told("own/sums.yaml@sums", **FILES, **rows) == []
    assert told("own/sums.yaml@sum", **FILES, **rows) == ["unknown-name: `specs/tea/own/sums.yaml` has no task `sum`"]


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("", "it holds no keys"),
        ("task: [", "it is not YAML: expected the node content, but found '<stream end>'"),
        ("task: !!python/object:os.system x", "it is not YAML: could not determine a constructor for the tag"),
        ("group: sums\ntask: [a, b]", "it is a group: name one of its tasks"),
        ("dataset_path: json", "it has no `task`"),
        ("task: sums\ninclude: sums.yaml", "it includes itself"),
        ("task: sums\ndataset_kwargs: {data_files: '*.jsonl'}", "`*.jsonl` names no file"),
    ],
)
def test_a_file_that_is_no_task_is_told_when_the_spec_is_checked(task: str, reason: str) -> None:
    (problem,) = told(**{"specs/tea/own/sums.yaml": task})
    assert problem.startswith(
        f"task-unusable: `specs/tea/own/sums.yaml` is no task of lm-eval that can be run: {reason}"
    )


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ("include: other.yaml", "file-missing: there is no file `specs/tea/own/other.yaml`"),
        ("task: sums\ndataset_kwargs: {data_files: x.jsonl}", "file-missing: there is no file `specs/tea/own/x.jsonl`"),
        ("task: sums\ndataset_kwargs: {data_files: /etc/passwd}", "import-escapes: `/etc/passwd` lies outside the project"),
        ("task: sums\ndataset_kwargs: {data_files: ../../../../x}", "import-escapes: `../../../../x` lies outside the project"),
    ],
)  # fmt: skip
def test_what_a_task_names_must_be_there_and_inside_the_project(task: str, problem: str) -> None:
    assert told(**{"specs/tea/own/sums.yaml": task}) == [problem]


def test_a_file_that_is_not_there_is_told_at_its_place() -> None:
    assert told() == ["file-missing: there is no file `specs/tea/own/sums.yaml`"]
    assert told("../../../sums.yaml") == ["import-escapes: `../sums.yaml` lies outside the project"]


def test_rows_from_the_web_are_left_where_they_are() -> None:
    task = "task: sums\ndataset_kwargs: {data_files: {test: https://example.org/sums.jsonl}}"
    assert told(**{"specs/tea/own/sums.yaml": task}) == []


@pytest.mark.parametrize(
    "aliases",
    [
        "keys: &a [*a]\n",
        "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(30)),
    ],
    ids=["a list in itself", "nine times nine times …"],
)
def test_aliases_are_followed_once(aliases: str) -> None:
    assert not told(**FILES | {"specs/tea/own/sums.yaml": TASK + aliases, "rows/sums.jsonl": '{"q": "1 + 1"}\n'})


@pytest.mark.parametrize(
    ("keys", "measure"),
    [
        ({"metric_list": [{"metric": "acc_norm"}, {"metric": "acc"}]}, "acc_norm"),
        ({"metric_list": [{"metric": "acc"}], "filter_list": [{"name": "one"}]}, "acc"),
        ({"metric_list": [{"metric": "exact_match"}], "filter_list": [{"name": "one"}, {"name": "two"}]}, None),
        ({"metric_list": [{"metric": "bleu"}]}, None),
        ({"metric_list": [{"metric": "acc"}], "process_results": "words.results"}, None),
        ({"metric_list": "acc"}, None),
        ({}, None),
    ],
)
def test_a_measure_is_known_where_lm_eval_is_sure_to_give_it(keys: dict[str, Any], measure: str | None) -> None:
    assert _measure(keys) == measure


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        ({"test_split": "test"}, ["own/test.jsonl"]),
        ({"validation_split": "held"}, ["own/a.jsonl", "own/b.jsonl"]),
        ({"test_split": "test[:3]"}, []),
        ({"test_split": "test", "process_docs": "words.some"}, []),
        ({"test_split": "test", "dataset_path": "csv"}, []),
        ({"test_split": "odd"}, []),
        ({}, []),
    ],
)
def test_rows_are_counted_where_each_line_is_asked(keys: dict[str, Any], rows: list[str]) -> None:
    files = {"test": "test.jsonl", "held": ["a.jsonl", "b.jsonl"], "odd": "odd.json"}
    assert _rows({"dataset_path": "json", "dataset_kwargs": {"data_files": files}, **keys}, "own") == rows
