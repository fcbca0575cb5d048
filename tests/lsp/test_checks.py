"""What the language server does where msmc itself fails."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.workspace import PositionCodec, TextDocument

from msmc.lsp import checks
from msmc.lsp.places import Project


def test_a_failure_of_msmc_is_shown_and_the_next_change_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = TextDocument((tmp_path / "a.msm").as_uri(), "oops")
    shown = list[types.PublishDiagnosticsParams]()

    def fail(*_: Any) -> None:
        raise KeyError("a mistake of ours")

    async def session() -> None:
        server = checks.Checks(lambda uri: Project.around(uri, {document.uri: document}, PositionCodec()), shown.append)
        with monkeypatch.context() as patch:
            patch.setattr(checks, "check", fail)
            server.changed(document.uri)
            while not shown:
                await asyncio.sleep(0.01)
        server.changed(document.uri)
        while len(shown) < 2:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(session(), 30))
    (failed,), (mistake,) = (params.diagnostics for params in shown)
    assert failed.code == "internal-error" and "KeyError: 'a mistake of ours'" in failed.message
    assert mistake.code == "unexpected-word"
