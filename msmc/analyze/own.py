"""What a spec brings along: `documents from`, `demos … from`, `eval … inspect|lm_eval`."""

from __future__ import annotations

import ast as python
import posixpath
from functools import cached_property
from typing import TYPE_CHECKING

from msmc.analyze.files import leaves, read_source
from msmc.analyze.items import read_own
from msmc.analyze.nodes import Nodes
from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.ir import CLAUSE_WORDS, OpenQuestion, OwnRow, OwnRows, Task
from msmc.source import Span
from msmc.syntax import ast

if TYPE_CHECKING:
    from msmc.analyze.blocks import BlockReader


class OwnReader:
    """Reads what the blocks of a spec name as the author's own."""

    def __init__(self, blocks: BlockReader) -> None:
        self.blocks, self.resolver, self.problems = blocks, blocks.resolver, blocks.problems
        self.spec, self.nodes = blocks.spec, blocks.nodes

    def beside(self, written: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.blocks.path), written))

    def documents(self, item: ast.DocumentsFrom) -> OwnRows:
        return self._rows("own_documents", "text", item.path)

    def demos(self, item: ast.DemosFrom) -> OwnRows:
        return self._rows(item.name.word, "messages", item.path)

    def _rows(self, name: str, key: str, written: ast.Quoted) -> OwnRows:
        path = self.beside(written.plain)
        found, problems = read_own(path, key, self.resolver.sources, written.span, self.resolver.files.sources)
        self.problems += problems
        rows = tuple(row.model_copy(update={"about": self.about(row, where)}) for where, row in found)
        for where, row in found:
            self.resolver.spans.setdefault(row.document_id if key == "text" else row.chat_id, where)
        return OwnRows.model_construct(name=name, path=path, rows=rows)

    def about(self, row: OwnRow | OpenQuestion, where: Span) -> tuple[str, ...]:
        known = self._known if row.about else frozenset()
        found = []
        for about in row.about:
            node = next((i for i in (f"{self.spec}.{about}", about) if i in known), None)
            if node is None and about not in CLAUSE_WORDS:
                message = f"there is no value, rule or clause `{about}`"
                hint = did_you_mean(about, [i.removeprefix(self.spec + ".") for i in known])
                self.problems.append(Diagnostic("bad-row", message, Label(where), hint=hint))
            found.append(node or about)
        return tuple(dict.fromkeys(found))

    @cached_property
    def _known(self) -> frozenset[str]:
        """The spec's own clauses and nodes, and the values of other files that its rules serve."""
        served = {value for rule in self.nodes.rules.values() for value in rule.serves} - self.nodes.values.keys()
        lent = [value for value in map(self.resolver.value, served) if value]
        return frozenset({*self.nodes.ids(), *Nodes({value.id: value for value in lent}).ids()} - self.nodes.examples())

    def task(self, item: ast.EvalTask) -> Task | None:
        """An evaluation of the author's own; None where its file cannot be used."""
        name, written = item.name.word, item.task.plain
        file, _, task = written.partition("@")
        path = self.beside(file)
        if item.tool.word == "lm_eval":
            if not file.endswith((".yaml", ".yml")):
                return Task.model_construct(name=name, tool="lm_eval", task=written)
            return (
                None if self._leaves(path, file, item.task.span) else self._of_lm_eval(name, path, task, item.task.span)
            )
        if not (file.endswith(".py") and task.isidentifier()):
            message = f"`{written}` does not say which task of which file"
            hint = f'for example: eval {name} inspect "tasks.py@{name}"'
            self.problems.append(Diagnostic("unknown-name", message, Label(item.task.span), hint=hint))
            return None
        if self._leaves(path, file, item.task.span):
            return None
        source = read_source(path, self.resolver.sources)
        if isinstance(source, Diagnostic):
            where = Label(item.task.span, "asked for here")
            self.problems.append(Diagnostic(source.name, source.message, where, hint=source.hint))
            return None
        self.resolver.files.sources[path] = source
        if problem := _no_function(path, source.text, task, item.task.span):
            self.problems.append(problem)
        return Task.model_construct(name=name, tool="inspect", task=task, path=path)

    def _leaves(self, path: str, written: str, where: Span) -> bool:
        if leaves(path, written):
            self.problems.append(Diagnostic("import-escapes", f"`{path}` lies outside the project", Label(where)))
            return True
        return False

    def _of_lm_eval(self, name: str, path: str, task: str, where: Span) -> Task | None:
        """The task of a YAML file; `task` is its name where the spec gives it, and may be left out."""
        from msmc.analyze.lm_eval_file import read_task  # most specs have none, and pay for no YAML

        found = read_task(path, self.resolver.sources, where, self.resolver.files.sources)
        if isinstance(found, Diagnostic):
            self.problems.append(found)
            return None
        if task and task != found.task:
            message, hint = f"`{path}` has no task `{task}`", f"its task is `{found.task}`"
            self.problems.append(Diagnostic("unknown-name", message, Label(where, "not defined there"), hint=hint))
            return None
        return Task.model_construct(
            name=name,
            tool="lm_eval",
            task=found.task,
            path=path,
            files=found.files,
            folder=found.folder,
            measure=found.measure,
            rows=found.rows,
        )


def _no_function(path: str, code: str, task: str, where: Span) -> Diagnostic | None:
    """What keeps a Python file from having a function. The file is read, never run."""
    try:
        tree = python.parse(code)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        message = f"`{path}` is not Python" + (f" (line {line})" if line else "")
        return Diagnostic("unreadable", message, Label(where, "asked for here"), hint="mend the file")
    names = [node.name for node in tree.body if isinstance(node, python.FunctionDef)]
    if task in names:
        return None
    message = f"`{path}` has no task `{task}`"
    return Diagnostic("unknown-name", message, Label(where, "not defined there"), hint=did_you_mean(task, names))
