"""What a gate finds: its reason, and the place in the text."""

from typing import Any, NamedTuple


class Found(NamedTuple):
    """One thing in one text."""

    gate: str
    """The key of a target's `gates` that it stands under; `coverage` and `held_out` have none."""
    reason: str
    """The same for all that is alike: quarantined rows are counted by it."""
    at: int
    """The offset in the text, in characters."""
    what: str
    """What stands there."""

    def place(self, text: str) -> dict[str, Any]:
        """For whoever looks it up: the line, counted from 1, the offset, and what was found."""
        return {"line": text.count("\n", 0, self.at) + 1, "offset": self.at, "found": self.what}


def short(text: str, most: int = 80) -> str:
    """On one line, for a table."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
