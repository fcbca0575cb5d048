"""Source files and places in them: the lowest layer, no knowledge of the language."""

from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

Sources = Mapping[str, bytes]
"""Project-relative path (with `/`) to content. May read lazily; a missing path raises KeyError, an unreadable one OSError."""


class Span(NamedTuple):
    """A half-open range of characters in a file whose line ends were read as LF and whose BOM was dropped."""

    file: str
    start: int
    end: int


class SourceFile:
    """The text of one file, and where its lines begin. Two with the same path and text are equal."""

    def __init__(self, path: str, content: bytes) -> None:
        """Raises UnicodeDecodeError when the content is not UTF-8."""
        self.path = path
        self.text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceFile) and (self.path, self.text) == (other.path, other.text)

    def __hash__(self) -> int:
        return hash((self.path, self.text))

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts[:-1]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, in code points."""
        row = bisect_right(self._starts, offset) - 1
        return row + 1, offset - self._starts[row] + 1

    def offset(self, line: int, column: int) -> int:
        """The place of a line and column, both from 1; behind a line's end it is that end, behind the last line the file's."""
        if line > len(self._starts):
            return len(self.text)
        return self._starts[line - 1] + min(column - 1, len(self.line(line)))

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its end."""
        start = self._starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]
