"""The one exception of the backend that a user can cause; the command line turns it into a diagnostic."""

from __future__ import annotations


class Failure(Exception):
    """A mistake with a way out.

    `name` is kebab-case (`model-not-found`), `message` says what we know, `hint` the next step.
    """

    def __init__(self, name: str, message: str, hint: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.hint = hint
