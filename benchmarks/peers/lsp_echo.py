"""The floor of a language server: pygls takes a document whole at every change, and answers that nothing is wrong."""

from lsprotocol import types
from pygls.lsp.server import LanguageServer

server = LanguageServer("echo", "1", types.TextDocumentSyncKind.Full)


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def answer(ls, params):
    document = params.text_document
    ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(document.uri, [], document.version))


server.start_io()
