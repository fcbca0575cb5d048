"""An editor that types: how long from sending a change to having its diagnostics. `lsp_session.py FILE FAST SERVER…`

A change adds a word to a rule's text in the middle of the file. FAST is how many changes are sent at once, without waiting: the
figure is then the time from the last one to its diagnostics. Prints the median of 15 as `{"figure": …}`.
"""

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

TIMES = 15


async def session(file: Path, fast: int, command: list[str]) -> float:
    client = LanguageClient("benchmark", "1")
    answers: asyncio.Queue[int | None] = asyncio.Queue()

    @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def keep(params: types.PublishDiagnosticsParams) -> None:
        answers.put_nowait(params.version)

    await client.start_io(*command)
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities(), root_uri=file.parent.as_uri()))
    client.initialized(types.InitializedParams())
    text, version, seconds = file.read_text("utf-8"), 1, list[float]()
    middle = text.index("rule rule_120 ")
    middle = text.index("statement", middle) + len('statement "')
    item = types.TextDocumentItem(file.as_uri(), "msm", version, text)
    client.text_document_did_open(types.DidOpenTextDocumentParams(item))
    while await answers.get() != version:
        pass
    for _ in range(TIMES):
        for _ in range(fast):
            version += 1
            text = f"{text[:middle]}Word {text[middle:]}"
            started = time.perf_counter()
            document = types.VersionedTextDocumentIdentifier(version, file.as_uri())
            change = types.TextDocumentContentChangeWholeDocument(text)
            client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))
        while await answers.get() != version:
            pass
        seconds.append(time.perf_counter() - started)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return statistics.median(seconds)


if __name__ == "__main__":
    figure = asyncio.run(session(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
    print(json.dumps({"figure": figure}))
