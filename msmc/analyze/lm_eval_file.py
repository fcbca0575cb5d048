"""A task file of lm-eval, read without lm-eval: which task it is, and every file that it reads."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from msmc.analyze.files import leaves, read_source
from msmc.diagnostics import Diagnostic, Failed, Label
from msmc.source import SourceFile, Sources, Span

SHAPE = "compare with: task: tea, dataset_path: json, dataset_kwargs: {data_files: {test: tea.jsonl}}, test_split: test"

OF_EACH = ("acc", "acc_norm", "exact_match")
"""Metrics that are sure to have a figure for each document."""
QUOTED = 'text with braces or a colon stands in quotes: doc_to_text: "{{question}}"'


class TaskFile(NamedTuple):
    """What a build needs of it. Paths are project-relative."""

    task: str
    folder: str
    """What its `data_files` are relative to."""
    files: tuple[str, ...]
    """Those that it reads, itself first."""
    measure: str | None
    """What its headline is by; None: only lm-eval can tell."""
    rows: tuple[str, ...]
    """Those of `files` whose every line is a document that is asked; none: only lm-eval can tell."""


class _Function(str):
    """`!function module.name`"""


class _Loader(yaml.SafeLoader):
    """YAML as lm-eval has it; the functions are named, and not imported."""


def _function(loader: _Loader, node: yaml.ScalarNode) -> _Function:
    return _Function(loader.construct_scalar(node))


_Loader.add_constructor("!function", _function)


def read_task(path: str, sources: Sources, asked: Span, files: dict[str, SourceFile]) -> TaskFile | Diagnostic:
    """The task of a YAML file that the source asks for at `asked`, or what is wrong with it. Adds what it reads to `files`.

    task-unusable: A task of lm-eval that cannot be run.

    A file of yours is read when the spec is checked: it is one task, and the rows, functions and files to include that it
    names must be there. What only lm-eval can see, such as a template that names a field which the rows do not have, and
    whether a task of its own has its rows at hand, `run` tells before it trains anything.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval sums lm_eval "sums.yaml"
        }

        # sums.yaml
        dataset_path: json
        dataset_kwargs: {data_files: {test: sums.jsonl}}

        # sums.jsonl
        {"question": "1 + 1 =", "answer": "2"}

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval sums lm_eval "sums.yaml"
        }

        # sums.yaml
        task: sums
        dataset_path: json
        dataset_kwargs: {data_files: {test: sums.jsonl}}
        test_split: test
        output_type: generate_until
        doc_to_text: "{{question}}"
        doc_to_target: "{{answer}}"
        metric_list: [{metric: exact_match}]

        # sums.jsonl
        {"question": "1 + 1 =", "answer": "2"}
    """
    reader = _Reader(sources, asked, files)
    try:
        config = reader.config(path, ())
        task = config.get("task")
        if not isinstance(task, str):
            reason = "it is a group: name one of its tasks" if "group" in config else "it has no `task`"
            raise reader.unusable(path, reason)
        folder = reader.data(path, config)
    except Failed as failure:
        return failure.problems[0]
    return TaskFile(task, folder, tuple(reader.read), _measure(config), tuple(_rows(config, folder)))


def _measure(config: dict[str, Any]) -> str | None:
    """The first of `metric_list`, where it is called so in the figures: of several filters each adds its name."""
    listed, filters = config.get("metric_list"), config.get("filter_list") or ()
    first = listed[0] if isinstance(listed, list) and listed else None
    found = first.get("metric") if isinstance(first, dict) else None
    plain = isinstance(filters, list | tuple) and len(filters) < 2 and "process_results" not in config
    return found if plain and found in OF_EACH else None


def _rows(config: dict[str, Any], folder: str) -> list[str]:
    """The files of the split that is asked, where `datasets` takes a document from each of their lines and nothing drops any."""
    given = config.get("dataset_kwargs")
    if config.get("dataset_path") != "json" or "process_docs" in config or not isinstance(given, dict):
        return []
    files, split = given.get("data_files"), config.get("test_split") or config.get("validation_split")
    found = files.get(split) if isinstance(files, dict) else files if split == "train" else None
    named = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    plain = given.keys() == {"data_files"} and all(isinstance(n, str) and n.endswith(".jsonl") for n in named)
    return [posixpath.normpath(posixpath.join(folder, name)) for name in named] if plain else []


class _Reader:
    """Follows what one task file names."""

    def __init__(self, sources: Sources, asked: Span, files: dict[str, SourceFile]) -> None:
        self.sources, self.asked, self.files = sources, asked, files
        self.read: dict[str, SourceFile] = {}

    def config(self, path: str, chain: tuple[str, ...]) -> dict[str, Any]:
        """The keys of a file, laid over those of the files that it includes. Raises Failed."""
        if path in chain:
            raise self.unusable(path, "it includes itself")
        source = self._file(path, chain[-1] if chain else "", path)
        try:
            found = yaml.load(source.text, Loader=_Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            problem = getattr(error, "problem", None) or "it cannot be read"
            raise self.unusable(path, f"it is not YAML: {problem}", mark.index if mark else 0, QUOTED) from error
        if not isinstance(found, dict):
            raise self.unusable(path, "it holds no keys")
        for function in (scalar for scalar in _scalars(found, set()) if isinstance(scalar, _Function)):
            module = posixpath.join(posixpath.dirname(path), *function.split(".")[:-1]) + ".py"
            if not isinstance(read_source(module, self.sources), Diagnostic):  # else of an installed package
                self._file(module, path, function)
        included = found.pop("include", None) or ()
        under: dict[str, Any] = {}
        for name in [included] if isinstance(included, str) else included:
            under |= self.config(self._inside(path, posixpath.dirname(path), str(name)), (*chain, path))
        return under | found

    def data(self, path: str, config: dict[str, Any]) -> str:
        """The folder that the files of rows are relative to: the task's own, else, as lm-eval is mostly run, the project's."""
        given = config.get("dataset_kwargs")
        files = _scalars(given.get("data_files") if isinstance(given, dict) else None, set())
        named = [name for name in files if isinstance(name, str) and "://" not in name]
        for name in named:
            if "*" in name:
                raise self.unusable(path, f"`{name}` names no file: msmc keeps those that are named one by one")
        beside = posixpath.dirname(path)
        for folder in (beside, ""):
            found = [self._inside(path, folder, name) for name in named]
            if not any(isinstance(read_source(file, self.sources), Diagnostic) for file in found):
                break
        else:
            folder, found = beside, [self._inside(path, beside, name) for name in named]
        for name, file in zip(named, found, strict=True):
            self._file(file, path, name)
        return folder or "."

    def unusable(self, path: str, reason: str, at: int = 0, hint: str = SHAPE) -> Failed:
        source = self.read.get(path)
        end = source.text.find("\n", at) if source else -1
        where = Label(Span(path, at, max(end, at)) if source else self.asked)
        related = (Label(self.asked, "asked for here"),) if source else ()
        message = f"`{path}` is no task of lm-eval that can be run: {reason}"
        return Failed(Diagnostic("task-unusable", message, where, related, hint=hint))

    def _inside(self, path: str, folder: str, name: str) -> str:
        found = posixpath.normpath(posixpath.join(folder, name))
        if leaves(found, name):
            message = f"`{name}` lies outside the project"
            raise Failed(
                Diagnostic("import-escapes", message, self._label(path, name), hint="copy it into the project")
            )
        return found

    def _file(self, path: str, by: str, name: str) -> SourceFile:
        """A file that another one, or the spec itself, names."""
        found = read_source(path, self.sources)
        if isinstance(found, Diagnostic):
            where = self._label(by, name) if by else Label(self.asked, "asked for here")
            raise Failed(Diagnostic(found.name, found.message, where, hint=found.hint))
        self.read[path] = self.files[path] = found
        return found

    def _label(self, path: str, name: str) -> Label:
        at = self.read[path].text.find(name)
        return Label(Span(path, at, at + len(name)) if at >= 0 else Span(path, 0, 0), "named here")


def _scalars(value: Any, seen: set[int]) -> Iterator[Any]:
    """All that a value holds; what an alias repeats, once. `seen`: lists and mappings that were gone into."""
    if not isinstance(value, dict | list):
        yield value
    elif id(value) not in seen:
        seen.add(id(value))
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _scalars(inner, seen)
