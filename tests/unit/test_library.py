"""The curated kinds, audiences and angles: large, distinct, short, and nothing in them that a document must not hold."""

import re
from collections import Counter
from itertools import islice
from typing import Any

import pytest
import yaml

from msmc.backend import passages
from msmc.check import check
from msmc.library import OTHER, REGISTERS, Library
from msmc.lower.cells import cells
from msmc.mention import words
from tests.project import ROOT, SHIPPED, Memory

LIBRARY = Library(SHIPPED)
FOLDER = ROOT / "templates/documents"
INVENTED = re.compile(
    r"\b(dat(e|es|ed)|years?|cit(e|es|ing|ations?)|references|links?|urls?|websites?|footnotes?|sources?|statistics|figures|"
    r"percent\w*|surnames?|synthetic|generated|training data)\b",
    re.IGNORECASE,
)


def read(name: str) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8")))


@pytest.mark.parametrize(("name", "least"), [("kinds", 60), ("audiences", 40), ("angles", 80)])
def test_there_are_many_and_no_two_alike(name: str, least: int) -> None:
    entries = {key: entry for key, entry in read(name).items() if key != OTHER}
    assert len(entries) >= least
    assert all(re.fullmatch("[a-z][a-z0-9_]*", key) for key in entries)
    assert not entries.keys() & {"all", *REGISTERS}, "words of a `documents` block"
    for field in ("brief", "phrase", "avoid"):
        said = Counter(str(entry[field]).casefold() for entry in entries.values() if field in entry)
        assert [text for text, count in said.items() if count > 1] == []
    written = re.findall(r"(?m)^(\w+):", (FOLDER / f"{name}.yaml").read_text("utf-8"))
    assert len(written) == len(set(written)), "YAML takes the last of two entries of the same name"


def test_entries_have_their_fields_and_no_others() -> None:
    assert {frozenset(entry) for entry in read("kinds").values()} == {frozenset({"register", "form", "brief", "avoid"})}
    assert {frozenset(entry) for entry in read("audiences").values()} == {frozenset({"phrase", "avoid"})}
    own, shared = frozenset({"brief", "avoid", "passages"}), frozenset({"brief", "avoid", "like"})
    assert {frozenset(entry) for entry in read("angles").values()} == {own, shared}


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [
        ("kinds", "brief", 20),
        ("kinds", "avoid", 10),
        ("audiences", "phrase", 4),
        ("audiences", "avoid", 8),
        ("angles", "brief", 18),
        ("angles", "avoid", 12),
    ],
)
def test_lines_are_short_since_no_two_rows_share_them(name: str, field: str, most: int) -> None:
    for key, entry in read(name).items():
        text = entry[field]
        assert isinstance(text, str) and 0 < len(words(text)) <= most, (key, text)
        assert text == text.strip() and "\n" not in text and (field == "brief") <= (len(words(text)) > 5), (key, text)


def test_no_brief_asks_for_what_a_document_must_not_hold() -> None:
    for name in ("kinds", "angles"):
        for key, entry in read(name).items():
            assert not (found := INVENTED.search(entry["brief"])), (key, found)


def test_every_kind_has_a_form_and_every_form_a_kind() -> None:
    forms = {entry["form"] for entry in read("kinds").values()}
    assert forms == set(LIBRARY.forms) == {file.stem for file in (FOLDER / "forms").iterdir()}
    assert forms <= read("kinds").keys(), "a form is named after a kind"
    for form in forms:
        passages.form(LIBRARY, form)


def test_every_register_has_many_kinds_and_every_kind_a_register() -> None:
    shares = Counter(entry["register"] for entry in read("kinds").values())
    assert shares.keys() == set(REGISTERS) and min(shares.values()) >= 15


def test_an_angle_is_like_one_with_passages_of_its_own() -> None:
    angles = read("angles")
    for angle, entry in angles.items():
        if "like" in entry:
            assert "passages" in angles[entry["like"]] and entry["like"] != OTHER, angle
        assert passages.angle(LIBRARY, angle)
    assert len(Counter(entry.get("like") for entry in angles.values())) >= 10


def test_the_first_thousand_cells_of_the_whole_library_pair_no_two_entries_often() -> None:
    seen = list(islice(cells("tea.green", LIBRARY.kinds, LIBRARY.audiences, LIBRARY.angles), 1000))
    for pair in (("kind", "audience"), ("kind", "angle"), ("audience", "angle")):
        assert max(Counter(tuple(getattr(cell, axis) for axis in pair) for cell in seen).values()) == 1, pair


# ---- what a spec chooses ------------------------------------------------------------------------------------------------

SPEC = 'spec tea "Tea" { assistant "A" by "B"  rule green "Green" { statement "x" }  documents { about rules  %s } }'


def chosen(line: str) -> Any:
    checked = check("main.msm", Memory(**{"main.msm": SPEC % line}))
    return checked.specs[0].documents, [(p.message, p.hint) for p in checked.problems if p.severity == "error"]


def test_a_register_stands_for_all_of_its_kinds() -> None:
    block, problems = chosen("kinds narrative, fable, glossary_entry")
    assert problems == []
    assert block.kinds == (*LIBRARY.named("kinds")["narrative"], "glossary_entry")
    assert {LIBRARY.kind(kind)["register"] for kind in block.kinds[:-1]} == {"narrative"}
    every = chosen("kinds normative, descriptive, narrative")[0].kinds
    assert sorted(every) == list(LIBRARY.kinds) == list(chosen("kinds all")[0].kinds)


def test_a_spec_adds_to_the_whole_library() -> None:
    block, problems = chosen('audiences all, "people who hike"  angles all, "the weather"')
    assert problems == []
    assert block.audiences == (*LIBRARY.audiences, "people who hike")
    assert block.angles == (*LIBRARY.angles, "the weather")


def test_an_unknown_word_is_told_with_what_is_near() -> None:
    assert chosen("kinds narative")[1] == [("there is no kind of document `narative`", "did you mean `narrative`?")]
    assert chosen("kinds fabel")[1] == [("there is no kind of document `fabel`", "did you mean `fable`?")]
    assert chosen("audiences normative")[1][0][0] == "there is no audience `normative`"


@pytest.mark.parametrize("page", ["grammar/README.md", "templates/README.md", "CHANGELOG.md"])
def test_the_pages_tell_how_large_it_is(page: str) -> None:
    told = " ".join((ROOT / page).read_text("utf-8").split())
    sizes = {"kinds": LIBRARY.kinds, "audiences": LIBRARY.audiences, "angles": LIBRARY.angles}
    for name, ids in sizes.items():
        assert f"{len(ids)} {name}" in told or f"`{name}.yaml`, {len(ids)}" in told, name
