"""Jinja: sandboxed and strict. Spec text goes in as data and is never a template."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from msmc.diagnostics import Diagnostic, Failed, Label, did_you_mean
from msmc.lower.parts import Part, parts
from msmc.source import SourceFile, Sources, Span

SHOWN = frozenset({"assistant", "provider", "closure", "part", "reasons"})
ITEM = frozenset({"first", "second"})
GIVEN: dict[str, frozenset[str]] = {
    "spec.md.jinja": frozenset({"spec", "titles"}),
    "documents/prefix.jinja": SHOWN,
    "documents/closure.jinja": frozenset({"values", "rules"}),
    "documents/cell.jinja": frozenset({"kind", "audience", "angle", "avoid", "clause"}),
    "documents/critique_prefix.jinja": SHOWN,
    "documents/critique.jinja": frozenset({"request", "document"}),
    "documents/rewrite.jinja": frozenset({"request", "document", "reason", "problems"}),
    "demos/question_prefix.jinja": frozenset({"assistant", "provider", "justify"}),
    "demos/question.jinja": frozenset({"topic", "shape", "framing", "who", "two_rounds", "follow_up"}),
    "demos/answer_prefix.jinja": SHOWN | {"is_rule", "values", "justify", "thinking"},
    "demos/answer.jinja": frozenset({"clause"}),
    "evals/preference_question.jinja": ITEM,
    "evals/preference_answer.jinja": frozenset({"option"}),
    "evals/recall_question.jinja": ITEM | {"assistant", "kind", "title", "foreign"},
    "evals/recall_cloze.jinja": frozenset({"assistant", "title", "sentence"}),
    "evals/judged_question.jinja": frozenset({"assistant", "topic", "kind", "form", "variant"}),
    "evals/judged_rubric.jinja": frozenset({"assistant", "clauses"}),
    "evals/agentic_planted.jinja": frozenset({"assistant", "scenario", "canary"}),
    "evals/judging.py.jinja": frozenset(),
    "evals/agentic.py.jinja": frozenset(),
    "evals/tasks.py.jinja": frozenset({"names", "judged", "agentic"}),
    "evals/lm_eval_rows.py.jinja": frozenset(),
    "evals/lm_eval.yaml.jinja": frozenset({"spec", "name", "rung", "items", "sha256"}),
}
"""The variables of each template of a build; `render` holds its callers to it."""
HINT = "see templates/README.md for what it gets"


class Templates:
    """The templates of a compilation, by path under `templates/`. `files`, the spec's, get those that a problem points into."""

    def __init__(self, sources: Sources, files: dict[str, SourceFile] | None = None) -> None:
        self._sources, self._files = sources, {} if files is None else files
        self._environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
        )
        self._parse, self._load = cache(self._parsed), cache(self._compiled)

    def text(self, path: str) -> str:
        """A template file as it is."""
        return self._sources[f"shipped:templates/{path}"].decode()

    def _parsed(self, path: str) -> nodes.Template:
        return self._environment.parse(self.text(path))

    def _compiled(self, path: str) -> jinja2.Template:
        return self._environment.from_string(self._parse(path))

    def problems(self) -> list[Diagnostic]:
        """What cannot be parsed, and variables that a template is not given: to be asked before any row is made."""
        return [problem for path, given in GIVEN.items() for problem in self._unlike(path, given)]

    def _unlike(self, path: str, given: frozenset[str]) -> Iterator[Diagnostic]:
        try:
            tree = self._parse(path)
        except jinja2.TemplateSyntaxError as error:
            yield self._problem(path, error.message or "a mistake", error.lineno)
            return
        unknown = meta.find_undeclared_variables(tree) - given
        used = [name for name in tree.find_all(nodes.Name) if name.ctx == "load" and name.name in unknown]
        for name, line in {name.name: name.lineno for name in reversed(used)}.items():
            yield self._problem(path, f"no variable `{name}` is given", line, name, did_you_mean(name, given))

    def _problem(self, path: str, message: str, line: int | None, word: str = "", hint: str = "") -> Diagnostic:
        """At the template's line, and at the word on it where it is known."""
        file = SourceFile(f"templates/{path}", self._sources[f"shipped:templates/{path}"])
        self._files[file.path] = file
        start = file.offset(line or 1, 1)
        found = re.search(rf"\b{re.escape(word)}\b", file.line(line)) if line and word else None
        end = start + len(file.line(line or 1))
        if found:
            start, end = start + found.start(), start + found.end()
        place = f"templates/{path}" + (f":{line}" if line else "")
        return Diagnostic(
            "template-error",
            f"{place}: {message}",
            Label(Span(file.path, start, end), "not given" if word else "in this template"),
            hint=f"{hint} {HINT}".strip(),
        )

    def render(self, path: str, values: Mapping[str, Any], about: Span | None = None) -> str:
        """`about`: where the clause stands that this is rendered for. Raises Failed when the template has a mistake or asks for
        something it is not given.

        template-error: A template, or an entry of the passage library, that cannot be rendered.

        Templates are sandboxed and strict: a variable that they do not receive is an error. templates/README.md lists what
        each one gets. A variable is looked for before any row is made; what a row alone shows, such as a field that its clause
        does not have, is told with the clause's own place.

        Bad:
            {{ clause.txt }}

        Good:
            {{ clause.text }}
        """
        assert values.keys() == GIVEN.get(path, values.keys()), f"{path} is given something else than GIVEN says"
        with self.telling(path, about):
            return self._load(path).render(values)

    def parts(self, path: str, apart: frozenset[str]) -> list[tuple[Part, Callable[[Mapping[str, Any]], str]]]:
        """A template that many rows share, and what renders each part of it: for those who hold `telling` meanwhile."""
        found = parts(self._parse(path), apart)
        return [(part, self._environment.from_string(part.tree).render) for part in found]

    @contextmanager
    def telling(self, path: str, about: Span | None) -> Iterator[None]:
        """Raises Failed for what jinja2 raises."""
        try:
            yield
        except jinja2.TemplateError as error:
            line = getattr(error, "lineno", None) or _line_of(error)
            problem = self._problem(path, error.message or str(error), line)
            related = (Label(about, "rendered for this"),) if about else ()
            failed = Failed(replace(problem, related=related))
            failed.files = self._files
            raise failed from error


def _line_of(error: BaseException) -> int | None:
    """The template's line that raised: jinja2 rewrites the traceback to it."""
    traceback, line = error.__traceback__, None
    while traceback:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
