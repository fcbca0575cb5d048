"""Specs with a cursor in them, for tests of what an editor asks."""

from msmc.analyze.files import Files, read_files
from msmc.navigate.scopes import Scopes
from msmc.source import SourceFile, Span
from tests.project import Memory

CURSOR = "‸"


class Marked:
    """Files in memory, one of them with the cursor."""

    def __init__(self, **files: str) -> None:
        files = {name.replace("_msm", ".msm"): text for name, text in files.items()}
        self.file = next(name for name, text in files.items() if CURSOR in text)
        self.offset = files[self.file].index(CURSOR)
        self.texts = {name: text.replace(CURSOR, "") for name, text in files.items()}
        self.sources = Memory(**self.texts)

    @property
    def files(self) -> Files:
        return read_files(self.file, self.sources)[0]

    @property
    def scopes(self) -> Scopes:
        return Scopes(self.files)

    @property
    def source(self) -> SourceFile:
        return SourceFile(self.file, self.texts[self.file].encode())

    def shown(self, span: Span) -> str:
        """A place as `file:line: the line with [the span]`."""
        text = self.texts[span.file]
        line = text.count("\n", 0, span.start) + 1
        begin, end = text.rfind("\n", 0, span.start) + 1, (text + "\n").index("\n", span.end)
        marked = f"{text[begin : span.start]}[{text[span.start : span.end]}]{text[span.end : end]}"
        return f"{span.file}:{line}: {marked.strip()}"
