"""An editor's places (URI, line, column in the units it counts in) and the compiler's (project, path, offset)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from lsprotocol import types
from pygls import uris
from pygls.workspace import PositionCodec, TextDocument

from msmc.analyze.files import Files, read_files, read_source
from msmc.diagnostics import Diagnostic
from msmc.disk import SHIPPED, Overlaid, ProjectSources, project_root, spec_files
from msmc.navigate.scopes import Scopes
from msmc.shipped import shipped
from msmc.source import SourceFile, Span

START = types.Range(types.Position(0, 0), types.Position(0, 0))
BOM = "\ufeff"


def disk_path(uri: str) -> Path | None:
    """None for a document without a file, such as a new one."""
    path = uris.to_fs_path(uri)
    return Path(os.path.abspath(path)) if path else None


class Project:
    """A project as an editor has it at one moment: the texts it holds, and the disk for everything else."""

    def __init__(self, root: Path, documents: Mapping[str, TextDocument], codec: PositionCodec) -> None:
        self.root, self._codec = root, codec
        self._open = {
            path.relative_to(root).as_posix(): document
            for document in documents.values()
            if (path := disk_path(document.uri)) and path.is_relative_to(root)
        }
        held = {path: document.source.encode("utf-8", "surrogatepass") for path, document in self._open.items()}
        self.sources = Overlaid(ProjectSources(root), held)
        self._files: dict[str, SourceFile | None] = {}

    @classmethod
    def around(
        cls, uri: str, documents: Mapping[str, TextDocument], codec: PositionCodec
    ) -> tuple[Project, str] | None:
        """The project that a document belongs to, and its path there."""
        path = disk_path(uri)
        if path is None:
            return None
        project = cls(project_root(path), documents, codec)
        return project, path.relative_to(project.root).as_posix()

    @cached_property
    def entries(self) -> list[str]:
        """All spec files, those among them that are not saved yet."""
        return sorted({*spec_files(self.root), *(path for path in self._open if path.endswith(".msm"))})

    def read(self, entry: str) -> tuple[Files, Scopes]:
        files, _ = read_files(entry, self.sources)
        return files, Scopes(files)

    def source(self, path: str) -> SourceFile | None:
        """None where the file cannot be read as text."""
        if path not in self._files:
            found = read_source(path, self.sources)
            self._files[path] = None if isinstance(found, Diagnostic) else found
        return self._files[path]

    # ---- to the editor ---------------------------------------------------------------------------------------------

    def path(self, path: str) -> Path:
        base = shipped() if path.startswith(SHIPPED) else self.root
        return base / path.removeprefix(SHIPPED)

    def uri(self, path: str) -> str:
        """As the editor spells it, where it has the file open."""
        if path in self._open:
            return self._open[path].uri
        return str(uris.from_fs_path(str(self.path(path))))

    def version(self, path: str) -> int | None:
        return self._open[path].version if path in self._open else None

    def range(self, span: Span) -> types.Range:
        source = self.source(span.file)
        if source is None:
            return START
        return types.Range(self._position(source, span.start), self._position(source, span.end))

    def location(self, span: Span) -> types.Location:
        return types.Location(self.uri(span.file), self.range(span))

    def _position(self, source: SourceFile, offset: int) -> types.Position:
        line, column = source.position(offset)
        before = self._mark(source.path, line) + source.line(line)[: column - 1]
        return types.Position(line - 1, self._codec.client_num_units(before))

    def _mark(self, path: str, line: int) -> str:
        """A byte order mark that the editor counts and the compiler does not see."""
        return BOM if line == 1 and path in self._open and self._open[path].source.startswith(BOM) else ""

    # ---- from the editor -------------------------------------------------------------------------------------------

    def offset(self, path: str, position: types.Position) -> int:
        source = self.source(path)
        if source is None:
            return 0
        whole = source.offset(position.line + 1, 1)
        line = source.line(position.line + 1) if source.position(whole)[0] == position.line + 1 else ""
        units, column = self._codec.client_num_units(self._mark(path, position.line + 1)), 0
        while units < position.character and column < len(line):
            units += self._codec.client_num_units(line[column])
            column += 1
        return whole + column
