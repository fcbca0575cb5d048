"""Chats as a model reads them: its chat template, rendered without transformers."""

import re
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""The marks around what the assistant says, which only transformers' own extension reads."""


class Chat:
    """A chat template."""

    def __init__(self, template: str) -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as transformers has it
        environment.globals["raise_exception"] = _raise
        self._template = environment.from_string(GENERATION.sub("", template))

    def render(self, messages: list[dict[str, Any]]) -> str:
        return self._template.render(messages=messages, add_generation_prompt=False)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
