"""Places cross the border unharmed: characters beyond the BMP, line ends of all kinds, byte order marks, every encoding."""

from pathlib import Path

import pytest
from lsprotocol import types

from msmc.lsp.places import BOM
from tests.lsp.client import Editor, edit

ASTRAL = """spec s {
  value a "🧀🧀 é" { statement "🧀 {plcae}" }  # 🧀\u2028 x
  rule b { serves c statement "B" }
  assistant "A" by "B"
}
"""


@pytest.mark.parametrize(("encoding", "column"), [("utf-16", 36), ("utf-32", 33), ("utf-8", 43), (None, 36)])
def test_places_are_counted_as_the_editor_counts(tmp_path: Path, encoding: str | None, column: int) -> None:
    async def session(editor: Editor) -> None:
        for number, (bom, end) in enumerate((bom, end) for bom in ("", BOM) for end in ("\n", "\r\n", "\r")):
            path, text = f"{number}.msm", bom + ASTRAL.replace("\n", end)
            editor.open(path, text)
            first, second = await editor.diagnostics(path, lambda p: True)
            assert (first.code, second.code) == ("unknown-placeholder", "unknown-value")
            assert first.range == types.Range(types.Position(1, column), types.Position(1, column + 5))
            assert second.range == types.Range(types.Position(2, 18), types.Position(2, 19))
            editor.change(path, text.replace("serves c", "serves a").replace("plcae", "assistant"), 2)
            assert await editor.diagnostics(path, lambda p: p.version == 2) == []
            at = types.DefinitionParams(editor.document(path), types.Position(2, 19))
            definition = await editor.text_document_definition_async(at)
            assert isinstance(definition, types.Location)
            assert definition.range == types.Range(types.Position(1, 8), types.Position(1, 9))

    edit(tmp_path, session, *([types.PositionEncodingKind(encoding)] if encoding else []))


def test_a_byte_order_mark_that_the_editor_counts_is_counted(tmp_path: Path) -> None:
    async def session(editor: Editor) -> None:
        editor.open("a.msm", BOM + 'spec s extends t { value v { statement "V." } }\n')
        (problem,) = await editor.diagnostics("a.msm", lambda p: True)
        assert problem.range == types.Range(types.Position(0, 16), types.Position(0, 17))
        symbols = types.DocumentSymbolParams(editor.document("a.msm"))
        found = await editor.text_document_document_symbol_async(symbols)
        assert found is not None and isinstance(found[0], types.DocumentSymbol)
        assert found[0].selection_range == types.Range(types.Position(0, 6), types.Position(0, 7))
        hover = types.HoverParams(editor.document("a.msm"), types.Position(0, 6))
        told = await editor.text_document_hover_async(hover)
        assert told is not None and told.range == found[0].selection_range

    edit(tmp_path, session)
