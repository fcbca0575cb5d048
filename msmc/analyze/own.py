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
        name, tool, written = item.name.word, item.tool.word, item.task.plain
        if tool == "lm_eval":
            return Task.model_construct(name=name, tool="lm_eval", task=written)
        file, _, task = written.partition("@")
        path = self.beside(file)
        if not (file.endswith(".py") and task.isidentifier()):
            message = f"`{written}` does not say which task of which file"
            hint = f'for example: eval {name} inspect "tasks.py@{name}"'
            self.problems.append(Diagnostic("unknown-name", message, Label(item.task.span), hint=hint))
            return None
        if leaves(path, file):
            message = f"`{path}` lies outside the project"
            self.problems.append(Diagnostic("import-escapes", message, Label(item.task.span)))
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
