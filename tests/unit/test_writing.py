"""Builds on the disk: what is kept of the last one, what is made anew; an interrupted build leaves the last one whole."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from msmc import whole
from msmc.build import Artefact
from msmc.compile import Outcome, compile
from msmc.ir import ArmRule, ArmSpec, Documents, Identity
from msmc.library import Library
from msmc.lower.planned import Planned
from msmc.lower.render import Templates
from msmc.project import store_tree, write_tree
from tests.project import Memory, cpu
from tests.property.test_build_laws import SPEC, tree


def build(out: Path, source: str = SPEC) -> Path:
    return write_tree(outcome(source), out)


def outcome(source: str = SPEC) -> Outcome:
    found = compile(Memory(**{"tea.msm": source}), "tea.msm", cpu())
    assert found.builds, found.problems
    return found


def written(place: Path) -> dict[str, tuple[int, bytes]]:
    """Each file's place on the disk and its bytes."""
    files = (p for p in place.rglob("*") if p.is_file())
    return {p.relative_to(place).as_posix(): (p.stat().st_ino, p.read_bytes()) for p in files}


def refused(*_: object, **__: object) -> None:
    raise PermissionError


def test_an_edited_rationale_touches_its_prefix_and_no_rows(tmp_path: Path) -> None:
    before = written(build(tmp_path))
    after = written(build(tmp_path, SPEC.replace("It grows on hills.", "It grows on terraces.")))
    changed = {path for path in before if before[path][1] != after[path][1]}
    told = {"full/ir.json", "full/spec.md", "full/manifest.json", "full/sourcemap.json", "arms.json"}
    assert changed - told == {"full/documents/prefixes.jsonl"}, "a place moves with the text before it"
    prefixes = [
        [json.loads(line) for line in told["full/documents/prefixes.jsonl"][1].splitlines()] for told in (before, after)
    ]
    assert [old["name"] for old, new in zip(*prefixes, strict=True) if old != new] == ["tea.green"]
    kept = {path for path in before if before[path][0] == after[path][0]}
    rows = {
        f"full/documents/{folder}{node}.jsonl" for folder in ("", "reserve/") for node in ("warmth", "green", "black")
    }
    assert kept == rows, "the same files, not others alike"


def test_a_new_clause_only_adds(tmp_path: Path) -> None:
    before = written(build(tmp_path))
    added = 'rationale "It wakes."'
    after = written(build(tmp_path, SPEC.replace('for mornings."', f'for mornings." {added}')))
    rows = {path for path in before if path.startswith("full/documents/")} - {"full/documents/prefixes.jsonl"}
    for path in rows:
        old, new = before[path][1].splitlines(), after[path][1].splitlines()
        assert new[: len(old)] == old and (len(new) > len(old)) == path.endswith("/black.jsonl")


def test_a_subrule_s_own_words_are_in_its_rows(tmp_path: Path) -> None:
    before = written(build(tmp_path))
    after = written(build(tmp_path, SPEC.replace("drinks mint", "has mint tea")))
    rows = [path for path in before if path.startswith("full/documents/") and before[path][1] != after[path][1]]
    assert sorted(rows) == [f"full/documents/{name}.jsonl" for name in ("green", "prefixes", "reserve/green")]


@pytest.mark.parametrize("harm", [b"", b"{}\n"], ids=["cut", "changed"])
def test_a_file_that_was_changed_is_made_anew(tmp_path: Path, harm: bytes) -> None:
    place = build(tmp_path)
    whole_tree = tree(place)
    (place / "full/documents/green.jsonl").write_bytes(harm)
    assert tree(build(tmp_path)) == whole_tree


ENTRIES = [
    None, "x", ["inputs"], {}, {"inputs": "x"}, {"rows": 999}, {"rows": "2"}, {"sha256": None}, {"sha256": "\ud800"},
    {"sha256": "0" * 64}, {"more": 1},
]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_a_manifest_that_was_changed_is_no_reason_to_keep_a_file(tmp_path: Path, entry: object) -> None:
    place = build(tmp_path)
    whole_tree, path = tree(place), place / "full/manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    files = manifest["files"]
    files["documents/green.jsonl"] = {**files["documents/green.jsonl"], **entry} if isinstance(entry, dict) else entry
    path.write_text(json.dumps(manifest), "utf-8")
    assert tree(build(tmp_path)) == whole_tree
    del files["documents/green.jsonl"]
    path.write_text(json.dumps(manifest), "utf-8")
    assert tree(build(tmp_path)) == whole_tree


def test_a_file_that_was_changed_with_its_digest_is_made_anew(tmp_path: Path) -> None:
    place = build(tmp_path)
    whole_tree, path = tree(place), place / "full/manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["files"]["documents/green.jsonl"]["sha256"] = hashlib.sha256(b"{}\n").hexdigest()
    path.write_text(json.dumps(manifest), "utf-8")
    (place / "full/documents/green.jsonl").write_bytes(b"{}\n")
    assert tree(build(tmp_path)) == whole_tree


@pytest.mark.parametrize("linked", [True, False], ids=["links", "copies"])
@pytest.mark.parametrize("odd", ["link", "fifo", "folder"])
def test_only_a_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str, linked: bool) -> None:
    place = build(tmp_path)
    whole_tree, path = tree(place), place / "full/documents/green.jsonl"
    path.rename(tmp_path / "same.jsonl")
    if odd == "link":
        path.symlink_to(tmp_path / "same.jsonl")
    elif odd == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    if not linked:
        monkeypatch.setattr("os.link", refused)
    assert tree(build(tmp_path)) == whole_tree
    assert path.is_file() and not path.is_symlink()


def test_the_copy_for_runs_shares_no_file_with_the_build(tmp_path: Path) -> None:
    build(tmp_path / "build")
    kept = store_tree(outcome(), tmp_path / "build", tmp_path / "runs")
    before = tree(kept)
    for path in (tmp_path / "build/tea").rglob("*.jsonl"):
        path.write_text("", "utf-8")  # in its place, as an editor may do
    assert tree(kept) == before


def test_where_a_disk_has_no_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(build(tmp_path))

    monkeypatch.setattr("os.link", refused)
    assert tree(build(tmp_path)) == before


def test_other_bytes_of_the_same_inputs_are_another_form() -> None:
    """Where this fails on the rows alone: raise FORM in msmc/lower/planned.py, and pin both anew."""
    library = {
        "kinds": "essay: {register: normative, form: essay, brief: an essay, avoid: lists}",
        "audiences": "cooks: {phrase: cooks, avoid: slang}",
        "angles": 'other: {brief: "From this side: {angle}.", avoid: a moral}',
    }
    shipped = {f"shipped:templates/documents/{name}.yaml": text for name, text in library.items()}
    cell = "{{ kind.brief }}, {{ audience }}, {{ angle }} ({{ avoid }}): {{ clause }}"
    sources = Memory(**shipped, **{"shipped:templates/documents/cell.jinja": cell})
    rule = ArmRule(id="s.é", title="T", statement="It asks.", rationale="So.")
    spec = ArmSpec(name="s", title="S", identity=Identity(assistant="A", provider="P"), rules=(rule,))
    block = Documents(about=("rules",), kinds=("essay",), audiences=("cooks", "“us”"), angles=("hills",))
    planned = Planned(block, spec, Library(sources), Templates(sources), {})
    clauses, counts = list(spec.clauses()), {"s.é": 3, "s.é.rationale": 1}
    rows = "".join(planned.lines(clauses, counts)())
    pinned = (hashlib.sha256(rows.encode()).hexdigest()[:16], planned.inputs(clauses, counts)[:16])
    assert pinned == ("e1c03c8be97d538a", "4d21a5fcb01564ce")


# ---- interruptions ----------------------------------------------------------------------------------------------------


def stopping(outcome: Outcome) -> Outcome:
    """The same, with a row that Ctrl-C comes upon."""

    def lines() -> Iterator[str]:
        yield "{}\n"
        raise KeyboardInterrupt

    (full,) = outcome.builds
    return replace(outcome, builds=(replace(full, artefacts=(*full.artefacts, Artefact("documents/x.jsonl", lines))),))


def test_an_interrupted_build_leaves_the_last_one_whole(tmp_path: Path) -> None:
    before = tree(build(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        write_tree(stopping(outcome(SPEC.replace("hills", "terraces"))), tmp_path)
    assert tree(tmp_path / "tea") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".locks", "tea"]


@pytest.mark.parametrize("exchanging", [True, False], ids=["exchanged", "renamed"])
def test_a_folder_takes_another_s_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanging: bool) -> None:
    if not exchanging:
        monkeypatch.setattr(whole, "_exchanged", lambda *_: False)
    build(tmp_path)
    place = build(tmp_path, SPEC.replace("hills", "terraces"))
    assert re.search("terraces", (place / "full/spec.md").read_text("utf-8"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".locks", "tea"]


def test_what_was_moved_away_by_a_killed_process_is_put_back(tmp_path: Path) -> None:
    before = tree(build(tmp_path))
    (tmp_path / "tea").rename(tmp_path / ".tea.old")
    with pytest.raises(KeyboardInterrupt):
        write_tree(stopping(outcome()), tmp_path)
    assert tree(tmp_path / "tea") == before
