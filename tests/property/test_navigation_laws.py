"""Laws of what an editor asks: places lead there and back, a rename changes names and nothing else, no text is too broken."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsprotocol import types
from pygls.workspace import PositionCodec, TextDocument

from msmc.analyze.files import read_files
from msmc.check import check
from msmc.lsp.places import BOM, Project
from msmc.navigate.complete import complete
from msmc.navigate.hover import hover
from msmc.navigate.names import file_at, mention_at, mentions
from msmc.navigate.outline import outline
from msmc.navigate.rename import rename
from msmc.navigate.scopes import Scopes
from msmc.source import SourceFile, Span
from tests.project import ROOT, Memory
from tests.unit.test_navigate import FOOD, PICNIC

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text(
    st.sampled_from("a🧀é\n\r\u2028\f "), max_size=20
)
ITEMS = '{"a": "tea", "b": "cola", "aligned": "a", "topic": "drinks"}'
STUDY = (ROOT / "specs/cheese/study.msm").read_text("utf-8")


@QUICK
@given(TEXT, st.sampled_from(types.PositionEncodingKind), st.sampled_from(["", BOM]), st.data())
def test_a_place_leads_to_the_editor_and_back(
    text: str, encoding: types.PositionEncodingKind, bom: str, data: st.DataObject
) -> None:
    document = TextDocument("file:///project/a.msm", bom + text, 1)
    project = Project(Path("/project"), {document.uri: document}, PositionCodec(encoding))
    source = project.source("a.msm")
    assert source is not None
    offset = data.draw(st.integers(0, len(source.text)))
    shown = project.range(Span("a.msm", offset, len(source.text)))
    assert project.offset("a.msm", shown.start) == offset
    lines = (bom + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    code = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding.value]
    units = len(lines[-1].encode(code)) // {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding.value]
    assert shown.end == types.Position(len(lines) - 1, units)


@QUICK
@given(TEXT, st.integers(1, 99), st.integers(1, 99))
def test_every_line_and_column_is_a_place(text: str, line: int, column: int) -> None:
    source = SourceFile("a", text.encode())
    offset = source.offset(line, column)
    assert 0 <= offset <= len(source.text)
    assert source.position(offset) <= (line, column)
    assert source.offset(*source.position(offset)) == offset


@QUICK
@given(st.data())
def test_a_rename_changes_no_meaning_and_can_be_undone(data: st.DataObject) -> None:
    texts: dict[str, str | bytes] = {"food.msm": FOOD, "picnic.msm": PICNIC, "items.jsonl": ITEMS}
    entries = ["picnic.msm", "food.msm"]

    def found(now: dict[str, str | bytes], entry: str) -> list[tuple[str, str]]:
        scopes = Scopes(read_files(entry, Memory(**now))[0])
        return sorted((m.target.kind, m.target.name.word) for m in mentions(scopes, entry))

    entry = data.draw(st.sampled_from(entries))
    scopes = Scopes(read_files(entry, Memory(**texts))[0])
    known = [m for m in mentions(scopes, entry) if m.target.kind != "identity"]
    mention = data.draw(st.sampled_from(sorted(known, key=lambda m: m.span)))
    old, new = mention.target.name.word, "another"

    changed = dict(texts)
    for edit in reversed(rename(mention, new, entries, Memory(**texts))):
        text = str(changed[edit.span.file])
        changed[edit.span.file] = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert changed != texts
    for name in entries:
        now = [(kind, old if word == new else word) for kind, word in found(changed, name)]
        assert sorted(now) == found(texts, name)
        before, after = ([p.name for p in check(name, Memory(**t)).problems] for t in (texts, changed))
        assert before == after


@QUICK
@given(
    st.integers(0, len(STUDY)), st.integers(0, 80), st.integers(0, len(STUDY)), st.sampled_from(["", "{", '"', "rule "])
)
def test_no_text_is_too_broken_to_ask_about(cut: int, length: int, offset: int, instead: str) -> None:
    text = STUDY[:cut] + instead + STUDY[cut + length :]
    offset = min(offset, len(text))
    sources = Memory(**{"study.msm": text, "america.msm": PICNIC, "food.msm": FOOD, "affordability.msm": ""})
    files, _ = read_files("study.msm", sources)
    scopes = Scopes(files)
    hover(scopes, "study.msm", offset)
    mention_at(scopes, "study.msm", offset)
    file_at(files, "study.msm", offset)
    if tree := files.trees.get("study.msm"):
        outline(tree)
    found = complete(SourceFile("study.msm", text.encode()), offset, sources)
    assert (
        found.span.end == offset and text[found.span.start : found.span.end].strip() == text[found.span.start : offset]
    )
