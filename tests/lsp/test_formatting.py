"""Formatting through the server: the same text as `msmc fmt`, with the document's own line ends."""

from pathlib import Path

import pytest
from lsprotocol import types

from msmc.lsp.places import BOM
from msmc.source import SourceFile
from msmc.syntax.format import formatted
from tests.lsp.client import Editor, edit

LOOSE = 'spec   s {\n   assistant "A" by "B"\n value a{ statement "🧀" }   # why\n}\n'
BROKEN = LOOSE.replace("value a", "value a b")


@pytest.mark.parametrize("bom", ["", BOM])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_document_is_formatted_as_fmt_does_it(tmp_path: Path, bom: str, end: str) -> None:
    tidy, problems = formatted(SourceFile("a.msm", LOOSE.encode()))
    assert tidy is not None and tidy != LOOSE and not problems

    async def session(editor: Editor) -> None:
        async def asked(path: str) -> list[types.TextEdit]:
            options = types.FormattingOptions(tab_size=8, insert_spaces=False)  # there is one style
            params = types.DocumentFormattingParams(editor.document(path), options)
            return list(await editor.text_document_formatting_async(params) or ())

        editor.open("a.msm", bom + LOOSE.replace("\n", end))
        (change,) = await asked("a.msm")
        assert change.new_text == tidy.replace("\n", end)
        # a byte order mark stays where it is
        assert change.range == types.Range(types.Position(0, len(bom)), types.Position(4, 0))
        editor.open("tidy.msm", bom + tidy.replace("\n", end))
        assert await asked("tidy.msm") == []
        editor.open("broken.msm", bom + BROKEN.replace("\n", end))
        assert await asked("broken.msm") == []

    edit(tmp_path, session)
