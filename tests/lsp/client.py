"""An editor for tests: pygls's own client over the standard streams of a `msmc lsp` process, in a project of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls import uris
from pygls.lsp.client import LanguageClient

PATIENCE = 60.0


class Editor(LanguageClient):
    """Opens and changes documents, keeps the latest diagnostics of each."""

    def __init__(self, root: Path) -> None:
        super().__init__("tests", "1")
        self.root = root
        self.problems: dict[str, types.PublishDiagnosticsParams] = {}
        self.published: list[types.PublishDiagnosticsParams] = []
        self.complaints: list[Exception] = []
        self._news = asyncio.Event()

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def keep(params: types.PublishDiagnosticsParams) -> None:
            self.problems[params.uri] = params
            self.published.append(params)
            self._news.set()

    def report_server_error(self, error: Exception, source: Any) -> None:
        self.complaints.append(error)

    def uri(self, path: str) -> str:
        return str(uris.from_fs_path(str(self.root / path)))

    async def begin(self, *encodings: types.PositionEncodingKind) -> types.InitializeResult:
        await self.start_io(sys.executable, "-m", "msmc", "lsp")
        general = types.GeneralClientCapabilities(position_encodings=list(encodings) or None)
        folder = types.WorkspaceFolder(self.root.as_uri(), "project")
        capabilities = types.ClientCapabilities(general=general)
        result = await self.initialize_async(types.InitializeParams(capabilities, workspace_folders=[folder]))
        self.initialized(types.InitializedParams())
        return result

    async def end(self) -> int:
        """Shuts the server down; its exit code."""
        await self.shutdown_async(None)
        self.exit(None)
        assert self._server is not None
        code = await asyncio.wait_for(self._server.wait(), PATIENCE)
        await self.stop()
        return code

    # ---- documents -------------------------------------------------------------------------------------------------

    def open(self, path: str, text: str | None = None) -> None:
        text = (self.root / path).read_bytes().decode() if text is None else text
        item = types.TextDocumentItem(self.uri(path), "msm", 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(self, path: str, text: str, version: int) -> None:
        document = types.VersionedTextDocumentIdentifier(version, self.uri(path))
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def close(self, path: str) -> None:
        document = types.TextDocumentIdentifier(self.uri(path))
        self.text_document_did_close(types.DidCloseTextDocumentParams(document))

    async def diagnostics(
        self, path: str, holds: Callable[[types.PublishDiagnosticsParams], bool]
    ) -> list[types.Diagnostic]:
        """The file's diagnostics, once they are as expected."""

        async def wait() -> list[types.Diagnostic]:
            while (known := self.problems.get(self.uri(path))) is None or not holds(known):
                self._news.clear()
                await self._news.wait()
            return list(known.diagnostics)

        return await asyncio.wait_for(wait(), PATIENCE)

    def document(self, path: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri(path))


def edit(
    root: Path, session: Callable[[Editor], Coroutine[Any, Any, None]], *encodings: types.PositionEncodingKind
) -> None:
    """One session with a server, from its start to its quiet end."""

    async def whole() -> None:
        editor = Editor(root)
        await editor.begin(*encodings)
        await session(editor)
        assert await editor.end() == 0
        assert editor.complaints == []  # nothing but the protocol on standard output

    asyncio.run(whole())


def place(text: str, mark: str, behind: int = 0) -> types.Position:
    """Where a piece of text stands, in an editor that counts UTF-16; `behind` its beginning by so many characters."""
    at = text.index(mark) + behind
    before = text[:at].split("\n")
    return types.Position(len(before) - 1, len(before[-1].encode("utf-16-le")) // 2)
