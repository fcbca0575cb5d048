"""Jinja: sandboxed and strict. Spec text goes in as data and is never a template."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from msmc.diagnostics import fail
from msmc.source import Sources


class Templates:
    """The templates of a compilation, by path under `templates/`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
        )
        self._load = cache(self._compile)

    def text(self, path: str) -> str:
        """A template file as it is."""
        return self._sources[f"shipped:templates/{path}"].decode()

    def _compile(self, path: str) -> jinja2.Template:
        return self._environment.from_string(self.text(path))

    def render(self, path: str, values: Mapping[str, Any]) -> str:
        """Raises Failed when the template has a mistake or asks for something it is not given.

        template-error: A template, or an entry of the passage library, that cannot be rendered.

        Templates are sandboxed and strict: a variable that they do not receive is an error. templates/README.md lists what
        each one gets.

        Bad:
            {{ clause.txt }}

        Good:
            {{ clause.text }}
        """
        try:
            return self._load(path).render(values)
        except jinja2.TemplateError as error:
            line = getattr(error, "lineno", None) or _line_of(error)
            place = f"templates/{path}" + (f":{line}" if line else "")
            raise fail(
                "template-error", f"{place}: {error.message or error}", hint="see templates/README.md for what it gets"
            ) from error


def _line_of(error: BaseException) -> int | None:
    """The template's line that raised: jinja2 rewrites the traceback to it."""
    traceback, line = error.__traceback__, None
    while traceback:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
