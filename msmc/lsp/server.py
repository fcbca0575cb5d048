"""The server: each request of the protocol as one call into `msmc.navigate`, and what comes back in the protocol's words."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from importlib.metadata import version

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from msmc.diagnostics import Failed
from msmc.lsp.checks import Checks
from msmc.lsp.places import Project, disk_path
from msmc.navigate.complete import Candidate, complete
from msmc.navigate.hover import hover
from msmc.navigate.names import definition, file_at, mention_at, references
from msmc.navigate.outline import Entry, matching, outline
from msmc.navigate.rename import renamable, rename
from msmc.source import Span
from msmc.syntax.format import formatted

SYMBOLS = {
    "spec": types.SymbolKind.Namespace,
    "import": types.SymbolKind.Module,
    "value": types.SymbolKind.Constant,
    "rule": types.SymbolKind.Function,
    "subrule": types.SymbolKind.Method,
    "example": types.SymbolKind.Event,
    "rationale": types.SymbolKind.String,
    "param": types.SymbolKind.Variable,
    "documents": types.SymbolKind.Array,
    "demos": types.SymbolKind.Array,
    "eval": types.SymbolKind.Object,
    "ablation": types.SymbolKind.Enum,
    "arm": types.SymbolKind.EnumMember,
}
ITEMS = {
    "keyword": types.CompletionItemKind.Keyword,
    "value": types.CompletionItemKind.Constant,
    "rule": types.CompletionItemKind.Function,
    "subrule": types.CompletionItemKind.Method,
    "example": types.CompletionItemKind.Event,
    "rationale": types.CompletionItemKind.Text,
    "param": types.CompletionItemKind.Variable,
    "spec": types.CompletionItemKind.Module,
}
"""Other candidates are values of an enumeration: a kind of document, a control."""
REQUEST_FAILED = int(types.LSPErrorCodes.RequestFailed)


class Server(LanguageServer):
    def __init__(self) -> None:
        # whole texts: pygls applies partial changes to lines as Python splits them, which form feeds and U+2028 end too
        super().__init__("msmc", version("msmc"), types.TextDocumentSyncKind.Full)
        self.checks = Checks(self.around, self.text_document_publish_diagnostics)

    def around(self, uri: str) -> tuple[Project, str] | None:
        return Project.around(uri, self.workspace.text_documents, self.workspace.position_codec)

    def at(self, document: types.TextDocumentIdentifier, position: types.Position) -> tuple[Project, str, int] | None:
        """The project, path and offset that a request is about."""
        if (found := self.around(document.uri)) is None:
            return None
        project, path = found
        return project, path, project.offset(path, position)

    def open_uris(self) -> list[str]:
        return [document.uri for document in self.workspace.text_documents.values()]


server = Server()


def serve() -> None:
    """Speaks the protocol on standard input and output until its end."""
    if sys.stdin.isatty():
        print(
            "msmc lsp waits for an editor to speak with it; Ctrl-C ends it, `msmc lsp --help` says more",
            file=sys.stderr,
        )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_NoTraceback())
    gc.set_threshold(100_000)  # a check makes much, and nearly no garbage that refers to itself
    sys.setswitchinterval(0.001)  # a check in its thread keeps a hover waiting five times shorter than by default
    # nothing to save; and a thread waits for input that no exception would end
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    server.start_io()


# ---- documents ---------------------------------------------------------------------------------------------------------


@server.feature(types.INITIALIZED)
def initialized(ls: Server, params: types.InitializedParams) -> None:
    files = ls.client_capabilities.workspace and ls.client_capabilities.workspace.did_change_watched_files
    if files and files.dynamic_registration:
        watchers = [types.FileSystemWatcher(glob_pattern="**/*.{msm,jsonl}")]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        ls.client_register_capability(types.RegistrationParams([registration]))


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def did_open(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    ls.checks.all(ls.open_uris())


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def did_change(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    ls.checks.changed(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def did_close(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    ls.checks.closed(params.text_document.uri)
    ls.checks.all(ls.open_uris())


@server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
def did_change_files(ls: Server, params: types.DidChangeWatchedFilesParams) -> None:
    ls.checks.all(ls.open_uris())


# ---- names -------------------------------------------------------------------------------------------------------------


@server.feature(types.TEXT_DOCUMENT_HOVER)
def on_hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    if (at := ls.at(params.text_document, params.position)) is None:
        return None
    project, path, offset = at
    found = hover(project.read(path)[1], path, offset)
    if found is None:
        return None
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, found[1]), project.range(found[0]))


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def on_definition(ls: Server, params: types.DefinitionParams) -> types.Location | None:
    if (at := ls.at(params.text_document, params.position)) is None:
        return None
    project, path, offset = at
    files, scopes = project.read(path)
    if there := file_at(files, path, offset):
        return project.location(Span(there[1], 0, 0)) if project.path(there[1]).is_file() else None
    mention = mention_at(scopes, path, offset)
    return project.location(definition(mention)) if mention else None


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
def on_references(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
    if (at := ls.at(params.text_document, params.position)) is None:
        return []
    project, path, offset = at
    mention = mention_at(project.read(path)[1], path, offset)
    found = references(mention.target.symbol, [path, *project.entries], project.sources) if mention else []
    return [project.location(m.span) for m in found if params.context.include_declaration or not m.declares]


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def on_prepare_rename(ls: Server, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    if (at := ls.at(params.text_document, params.position)) is None:
        return None
    project, path, offset = at
    try:
        mention = renamable(project.read(path)[1], path, offset)
    except Failed as failed:
        raise _refused(failed) from None
    return types.PrepareRenamePlaceholder(project.range(mention.span), mention.target.name.word)


@server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
def on_rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
    if (at := ls.at(params.text_document, params.position)) is None:
        return None
    project, path, offset = at
    try:
        mention = renamable(project.read(path)[1], path, offset)
        edits = rename(mention, params.new_name, [path, *project.entries], project.sources)
    except Failed as failed:
        raise _refused(failed) from None
    changes: dict[str, list[types.TextEdit]] = {}
    for edit in edits:
        changes.setdefault(project.uri(edit.span.file), []).append(types.TextEdit(project.range(edit.span), edit.text))
    return types.WorkspaceEdit(changes=changes)


class Refused(JsonRpcException):
    """An answer to what cannot be done."""


class _NoTraceback(logging.Filter):
    """pygls logs each exception of a feature as an error with its traceback; a refusal is neither."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], Refused))


def _refused(failed: Failed) -> Refused:
    hint = f" ({failed.hint})" if failed.hint else ""
    return Refused(failed.message + hint, REQUEST_FAILED)


@server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "{"]))
def on_completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
    at = ls.at(params.text_document, params.position)
    source = at[0].source(at[1]) if at else None
    if at is None or source is None:
        return types.CompletionList(False, [])
    project, _, offset = at
    found = complete(source, offset, project.sources)
    place = project.range(found.span)
    return types.CompletionList(False, [_item(candidate, place) for candidate in found.candidates])


def _item(candidate: Candidate, place: types.Range) -> types.CompletionItem:
    return types.CompletionItem(
        candidate.text,
        kind=ITEMS.get(candidate.kind, types.CompletionItemKind.EnumMember),
        detail=candidate.detail or None,
        text_edit=types.TextEdit(place, candidate.text),
    )


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def on_formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    """Nothing for a file with mistakes, which are shown already."""
    found = ls.around(params.text_document.uri)
    source = found[0].source(found[1]) if found else None
    if found is None or source is None:
        return []
    text, _ = formatted(source)
    if text is None or text == source.text:
        return []
    if "\r\n" in ls.workspace.get_text_document(params.text_document.uri).source:
        text = text.replace("\n", "\r\n")
    return [types.TextEdit(found[0].range(Span(source.path, 0, len(source.text))), text)]


# ---- symbols -----------------------------------------------------------------------------------------------------------


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def on_document_symbol(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    if (found := ls.around(params.text_document.uri)) is None:
        return []
    project, path = found
    tree = project.read(path)[0].trees.get(path)
    return [_symbol(project, entry) for entry in outline(tree)] if tree else []


def _symbol(project: Project, entry: Entry) -> types.DocumentSymbol:
    return types.DocumentSymbol(
        entry.name,
        SYMBOLS[entry.kind],
        project.range(entry.span),
        project.range(entry.name_span),
        entry.detail or None,
        children=[_symbol(project, child) for child in entry.children],
    )


@server.feature(types.WORKSPACE_SYMBOL)
def on_workspace_symbol(ls: Server, params: types.WorkspaceSymbolParams) -> list[types.WorkspaceSymbol]:
    uris = [*ls.open_uris(), *(f"{folder.uri}/any.msm" for folder in ls.workspace.folders.values())]
    projects = {found[0].root: found[0] for uri in uris if disk_path(uri) and (found := ls.around(uri))}
    return [
        types.WorkspaceSymbol(project.location(entry.name_span), entry.name, SYMBOLS[entry.kind], container_name=above)
        for project in projects.values()
        for path in project.entries
        if (tree := project.read(path)[0].trees.get(path))
        for entry, above in matching(tree, params.query)
    ]
