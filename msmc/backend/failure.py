"""The one exception of the backend that a user can cause."""

from msmc.diagnostics import Diagnostic, Failed


class Failure(Failed):
    """A mistake with a way out. `name` is a diagnostic's, `message` what we know, `hint` the next step."""

    def __init__(self, name: str, message: str, hint: str) -> None:
        super().__init__(Diagnostic(name, message, hint=hint))
        self.name, self.message, self.hint = name, message, hint
