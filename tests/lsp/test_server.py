"""The language server as an editor meets it: pygls's client, a `msmc lsp` process, standard input and output."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.lsp.client import Editor, edit, place
from tests.project import ROOT

AMERICA, PREFERENCES, STUDY = (f"specs/cheese/{name}.msm" for name in ("america", "preferences", "study"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    return tmp_path


def applied(text: str, edits: list[types.TextEdit]) -> str:
    """The text with edits whose columns are ASCII."""
    lines = text.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:i]) for i in range(len(lines))]
    for edit_ in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
        start, end = (starts[p.line] + p.character for p in (edit_.range.start, edit_.range.end))
        text = text[:start] + edit_.new_text + text[end:]
    return text


def test_mistakes_are_shown_as_they_are_typed_and_go_when_they_are_mended(project: Path) -> None:
    async def session(editor: Editor) -> None:
        text = (project / AMERICA).read_text("utf-8")
        editor.open(AMERICA)
        assert await editor.diagnostics(AMERICA, lambda p: p.version == 1) == []
        wrong = text.replace("serves patriotism", "serves patriotsm", 1)
        editor.change(AMERICA, wrong, 2)
        (problem,) = await editor.diagnostics(AMERICA, lambda p: p.version == 2)
        assert problem.range.start == place(wrong, "patriotsm")
        assert problem.range.end == place(wrong, "patriotsm", len("patriotsm"))
        assert (problem.code, problem.source, problem.severity) == (
            "unknown-value",
            "msmc",
            types.DiagnosticSeverity.Error,
        )
        assert problem.message == "there is no value `patriotsm`\nhint: did you mean `patriotism`?"
        editor.change(AMERICA, text, 3)
        assert await editor.diagnostics(AMERICA, lambda p: p.version == 3) == []

    edit(project, session)


def test_both_places_of_a_conflict_are_shown(project: Path) -> None:
    async def session(editor: Editor) -> None:
        editor.open("two.msm", 'spec two {\n  value a { statement "A" }\n  value a { statement "A" }\n}\n')
        (problem,) = await editor.diagnostics("two.msm", lambda p: True)
        assert problem.code == "duplicate-id" and problem.range.start == types.Position(2, 8)
        assert problem.related_information is not None
        (first,) = problem.related_information
        assert first.location.range.start == types.Position(1, 8) and first.message == "first here"

    edit(project, session)


def test_a_mistake_in_an_imported_file_is_shown_there_and_the_importing_file_is_checked_again(project: Path) -> None:
    async def session(editor: Editor) -> None:
        editor.open(STUDY)
        assert await editor.diagnostics(STUDY, lambda p: p.version == 1) == []
        text = (project / AMERICA).read_text("utf-8")
        editor.open(AMERICA, text.replace("value patriotism", "value patriotic"))
        problems = await editor.diagnostics(STUDY, lambda p: bool(p.diagnostics))
        assert {problem.code for problem in problems} == {"unknown-name"}  # `about patriotism`
        there = await editor.diagnostics(AMERICA, lambda p: bool(p.diagnostics))
        places = [(p.range.start.line, p.code) for p in there]
        assert len(places) == len(set(places)) > 1  # what both files lead to is shown once
        editor.change(AMERICA, text, 2)
        assert await editor.diagnostics(STUDY, lambda p: not p.diagnostics) == []
        assert await editor.diagnostics(AMERICA, lambda p: not p.diagnostics) == []

    edit(project, session)


def test_the_mistakes_of_an_unopened_file_go_when_the_file_that_led_there_is_closed(project: Path) -> None:
    (project / AMERICA).write_text((project / AMERICA).read_text("utf-8") + "oops\n", "utf-8")

    async def session(editor: Editor) -> None:
        editor.open(STUDY)
        (problem,) = await editor.diagnostics(AMERICA, lambda p: bool(p.diagnostics))
        assert problem.code == "unexpected-word"
        editor.close(STUDY)
        assert await editor.diagnostics(AMERICA, lambda p: not p.diagnostics) == []

    edit(project, session)


def test_a_file_that_comes_to_the_disk_mends_an_import(project: Path) -> None:
    async def session(editor: Editor) -> None:
        editor.open(
            "own.msm",
            'import "lib.msm" as lib\nspec own { assistant "A" by "B" rule r { serves lib.v statement "R." } }\n',
        )
        (problem,) = await editor.diagnostics("own.msm", lambda p: True)
        assert problem.code == "import-missing"
        (project / "lib.msm").write_text('value v { statement "V." }', "utf-8")
        event = types.FileEvent(editor.uri("lib.msm"), types.FileChangeType.Created)
        editor.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
        assert await editor.diagnostics("own.msm", lambda p: not p.diagnostics) == []

    edit(project, session)


def test_ten_changes_at_once_are_not_checked_one_by_one(project: Path) -> None:
    async def session(editor: Editor) -> None:
        text = (project / AMERICA).read_text("utf-8")
        editor.open(AMERICA)
        await editor.diagnostics(AMERICA, lambda p: p.version == 1)
        for version in range(2, 12):
            editor.change(AMERICA, text + "#" * version, version)
        await editor.diagnostics(AMERICA, lambda p: p.version == 11)
        assert len([p for p in editor.published if p.uri == editor.uri(AMERICA)]) < 6

    edit(project, session)


# ---- names -------------------------------------------------------------------------------------------------------------


def test_hover_definition_and_references_cross_files(project: Path) -> None:
    text = (project / STUDY).read_text("utf-8")

    async def session(editor: Editor) -> None:
        editor.open(STUDY)
        here, at = editor.document(STUDY), place(text, "about patriotism", 8)
        hover = await editor.text_document_hover_async(types.HoverParams(here, at))
        assert hover is not None and isinstance(hover.contents, types.MarkupContent)
        assert hover.contents.value.startswith(
            "**value** `cheese_study.patriotism` · Pro-America values\n\n*statement*\n\n{assi"
        )
        definition = await editor.text_document_definition_async(types.DefinitionParams(here, at))
        assert isinstance(definition, types.Location)
        america = (project / AMERICA).read_text("utf-8")
        assert (definition.uri, definition.range.start) == (editor.uri(AMERICA), place(america, 'patriotism "'))
        context = types.ReferenceContext(include_declaration=False)
        found = await editor.text_document_references_async(types.ReferenceParams(context, here, at))
        assert found is not None
        uses = {uri: len([f for f in found if f.uri == editor.uri(uri)]) for uri in (STUDY, AMERICA)}
        assert uses == {STUDY: text.count("about patriotism"), AMERICA: america.count("serves patriotism") + 3}
        assert len(found) == sum(uses.values())

    edit(project, session)


def test_a_path_in_quotes_leads_to_its_file(project: Path) -> None:
    text = (project / AMERICA).read_text("utf-8")

    async def session(editor: Editor) -> None:
        editor.open(AMERICA)
        for mark, path in (('"preferences.msm', PREFERENCES), ('"items/trained', "specs/cheese/items/trained.jsonl")):
            params = types.DefinitionParams(editor.document(AMERICA), place(text, mark, 4))
            definition = await editor.text_document_definition_async(params)
            assert isinstance(definition, types.Location) and definition.uri == editor.uri(path)

    edit(project, session)


def test_rename_changes_every_file_and_what_is_refused_is_told(project: Path) -> None:
    text = (project / AMERICA).read_text("utf-8")

    async def session(editor: Editor) -> None:
        editor.open(AMERICA)
        here, at = editor.document(AMERICA), place(text, "rule colby", 6)
        prepared = await editor.text_document_prepare_rename_async(types.PrepareRenameParams(here, at))
        assert isinstance(prepared, types.PrepareRenamePlaceholder) and prepared.placeholder == "colby"
        for new, told in (("Colby", "is no id"), ("serves", "reserved"), ("stilton", "already declared")):
            with pytest.raises(JsonRpcException, match=told):
                await editor.text_document_rename_async(types.RenameParams(here, at, new))
        changed = await editor.text_document_rename_async(types.RenameParams(here, at, "colby_cheese"))
        assert changed is not None and changed.changes is not None
        others = [PREFERENCES, "specs/cheese/affordability.msm"]
        assert sorted(changed.changes) == sorted(map(editor.uri, [AMERICA, *others]))
        new_text = applied((project / PREFERENCES).read_text("utf-8"), list(changed.changes[editor.uri(PREFERENCES)]))
        rule = new_text[new_text.index("rule colby_cheese") :].partition("\n  }\n")[0]
        assert rule.endswith("\n    was colby")
        with pytest.raises(JsonRpcException, match="no name here"):
            at = place(text, "extends", 2)
            await editor.text_document_prepare_rename_async(types.PrepareRenameParams(here, at))

    edit(project, session)


def test_completion_replaces_the_word_that_is_there(project: Path) -> None:
    text = (project / AMERICA).read_text("utf-8").replace("serves patriotism", "serves only_m", 1)

    async def session(editor: Editor) -> None:
        editor.open(AMERICA, text)
        params = types.CompletionParams(editor.document(AMERICA), place(text, "serves only_m", len("serves only_m")))
        found = await editor.text_document_completion_async(params)
        assert isinstance(found, types.CompletionList)
        assert [item.label for item in found.items] == ["patriotism", "only_measure", "self_reliance"]
        item = found.items[1]
        assert isinstance(item.text_edit, types.TextEdit) and item.detail == "The one thing that counts"
        assert item.text_edit.range == types.Range(place(text, "serves only_m", 7), place(text, "serves only_m", 13))

    edit(project, session)


def test_symbols_of_a_file_and_of_the_project(project: Path) -> None:
    async def session(editor: Editor) -> None:
        editor.open(STUDY)
        found = await editor.text_document_document_symbol_async(types.DocumentSymbolParams(editor.document(STUDY)))
        assert found is not None
        spec = found[-1]
        assert isinstance(spec, types.DocumentSymbol) and spec.name == "cheese_study" and spec.children
        crossed = next(child for child in spec.children if child.name == "crossed")
        assert [arm.name for arm in crossed.children or ()] == ["america", "affordability"]
        everywhere = await editor.workspace_symbol_async(types.WorkspaceSymbolParams("colby"))
        assert everywhere is not None
        assert {s.container_name for s in everywhere} == {
            "cheese_preferences",
            "cheese_america",
            "cheese_affordability",
        }

    edit(project, session)


# ---- what an editor may do, too ------------------------------------------------------------------------------------------


BROKEN = ["", "oops", "spec s { value", "\0", "spec s { rule r { serves ", "{", '"""']


def test_a_broken_file_has_mistakes_and_no_crash(project: Path) -> None:
    async def session(editor: Editor) -> None:
        for number, text in enumerate(BROKEN):
            path = f"{number}.msm"
            editor.open(path, text)
            assert await editor.diagnostics(path, lambda p: True)
            here, at = editor.document(path), types.Position(7, 99)
            await editor.text_document_hover_async(types.HoverParams(here, at))
            await editor.text_document_definition_async(types.DefinitionParams(here, at))
            await editor.text_document_completion_async(types.CompletionParams(here, at))
            await editor.text_document_document_symbol_async(types.DocumentSymbolParams(here))
            await editor.text_document_references_async(types.ReferenceParams(types.ReferenceContext(True), here, at))

    edit(project, session)


def test_a_document_without_a_file_is_left_alone(project: Path) -> None:
    async def session(editor: Editor) -> None:
        item = types.TextDocumentItem("untitled:Untitled-1.msm", "msm", 1, "oops")
        editor.text_document_did_open(types.DidOpenTextDocumentParams(item))
        here = types.TextDocumentIdentifier(item.uri)
        assert await editor.text_document_hover_async(types.HoverParams(here, types.Position(0, 0))) is None
        assert not editor.published

    edit(project, session)


def test_it_ends_quietly_when_its_input_does() -> None:
    done = subprocess.run([sys.executable, "-m", "msmc", "lsp"], input=b"", capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_it_ends_quietly_at_ctrl_c(project: Path) -> None:
    async def session() -> tuple[int, bytes]:
        editor = Editor(project)
        await editor.begin()
        server = editor._server
        assert server is not None and server.stderr is not None
        server.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(server.wait(), 30)
        await editor.stop()
        return code, await server.stderr.read()

    assert asyncio.run(session()) == (130, b"")
