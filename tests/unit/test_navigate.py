"""Definitions, references, hover and the outline: functions over syntax trees."""

import pytest

from msmc.navigate.hover import hover
from msmc.navigate.names import definition, file_at, mention_at, references
from msmc.navigate.outline import Entry, matching, outline
from tests.unit.marked import Marked

FOOD = """\
value thrift "Thrift" { statement "{assistant} is careful." }

spec base "Basics" {
  assistant "Tea" by "Pot"
  param place "the park"
  value kindness { statement "Kind in {place}." }
  rule bread "Bread" {
    serves kindness
    statement general "Some bread."
    statement specific "One loaf for {place}."
    subrule in_rain { statement "A tin." rationale "Dry." }
    example ask { user "?" assistant "Bread." }
  }
}
"""
PICNIC = """\
import "food.msm" as food

spec picnic "Picnics" extends food.base {
  param place "the beach"
  rule bread { rationale "Because of {place}, says {provider}." }
  rule cake { serves food.thrift, kindness statement "Cake." }
  documents { about picnic.bread, bread.in_rain, cake, food.base.bread.rationale, values }
  eval near_items preference { about food.thrift pairs "items.jsonl" }
  ablation a { arm x { drop rationale of bread } arm y { use food.base } primary near_items }
}
"""


def at(piece: str, text: str = PICNIC, file: str = "picnic_msm") -> Marked:
    """The cursor in a piece of a file, where it has `‸`."""
    plain = piece.replace("‸", "")
    assert text.count(plain) == 1, piece
    return Marked(**{"picnic_msm": PICNIC, "food_msm": FOOD} | {file: text.replace(plain, piece)})


@pytest.mark.parametrize(
    ("piece", "place"),
    [
        ("serves food.th‸rift", 'food.msm:1: value [thrift] "Thrift" { statement "{assistant} is careful." }'),
        ("serves fo‸od.thrift", 'picnic.msm:1: import "food.msm" as [food]'),
        ("thrift, kind‸ness", 'food.msm:6: value [kindness] { statement "Kind in {place}." }'),
        ("food.ba‸se {", 'food.msm:3: spec [base] "Basics" {'),
        ("use food.bas‸e", 'food.msm:3: spec [base] "Basics" {'),
        ("about picnic.br‸ead", 'picnic.msm:5: rule [bread] { rationale "Because of {place}, says {provider}." }'),
        ("about pic‸nic.", 'picnic.msm:3: spec [picnic] "Picnics" extends food.base {'),
        ("bread.in_‸rain", 'food.msm:11: subrule [in_rain] { statement "A tin." rationale "Dry." }'),
        ("of brea‸d", 'picnic.msm:5: rule [bread] { rationale "Because of {place}, says {provider}." }'),
        ("primary near‸_items", 'picnic.msm:8: eval [near_items] preference { about food.thrift pairs "items.jsonl" }'),
        ("of {pl‸ace}", 'picnic.msm:4: param [place] "the beach"'),
        ("says {prov‸ider}", 'food.msm:4: assistant "Tea" by ["Pot"]'),
    ],
)
def test_a_use_leads_to_its_declaration(piece: str, place: str) -> None:
    marked = at(piece)
    mention = mention_at(marked.scopes, marked.file, marked.offset)
    assert mention is not None and marked.shown(definition(mention)) == place


def test_a_declaration_leads_to_the_inherited_one_that_it_is_laid_over() -> None:
    marked = at("rule bre‸ad {")
    mention = mention_at(marked.scopes, marked.file, marked.offset)
    assert mention is not None and marked.shown(definition(mention)) == 'food.msm:7: rule [bread] "Bread" {'


@pytest.mark.parametrize("piece", ["about‸ picnic", "# comm‸ent", '"Ca‸ke."', "bread, va‸lues"])
def test_what_is_no_name_means_nothing(piece: str) -> None:
    text = PICNIC.replace(", values", ", bread, values") + "# comment\n"
    marked = at(piece, text)
    assert mention_at(marked.scopes, marked.file, marked.offset) is None


def test_a_name_has_references_in_every_file_and_none_to_its_namesake() -> None:
    marked = at("bre‸ad.in_rain")
    mention = mention_at(marked.scopes, marked.file, marked.offset)
    assert mention is not None
    found = references(mention.target.symbol, ["picnic.msm", "food.msm"], marked.sources)
    assert [marked.shown(m.span).partition(": ")[0] + (" declared" if m.declares else "") for m in found] == [
        "picnic.msm:5 declared",
        "picnic.msm:7",
        "picnic.msm:7",
        "picnic.msm:7",
        "picnic.msm:9",
        "food.msm:7 declared",
    ]


def test_a_rationale_is_found_by_its_path() -> None:
    marked = at("food.base.bread.ration‸ale")
    assert mention_at(marked.scopes, marked.file, marked.offset) is None  # `bread` of food.base has none
    marked = at("bread.in_rain.ration‸ale", PICNIC.replace("bread.in_rain", "bread.in_rain.rationale"))
    mention = mention_at(marked.scopes, marked.file, marked.offset)
    assert mention is not None
    assert marked.shown(definition(mention)) == 'food.msm:11: subrule in_rain { statement "A tin." [rationale] "Dry." }'


def test_a_circle_of_extends_ends() -> None:
    marked = Marked(a_msm="spec a extends b { rule x { serves n‸o } } spec b extends a { rule y {} }")
    assert mention_at(marked.scopes, marked.file, marked.offset) is None


def test_files_in_quotes_are_found() -> None:
    for piece, path in (('import "fo‸od.msm"', "food.msm"), ('pairs "it‸ems.jsonl"', "items.jsonl")):
        marked = at(piece)
        found = file_at(marked.files, marked.file, marked.offset)
        assert found is not None and found[1] == path
    marked = at("spec pi‸cnic")
    assert file_at(marked.files, marked.file, marked.offset) is None
    marked = at('import "../../et‸c.msm"', PICNIC.replace("food.msm", "../../etc.msm"))
    assert file_at(marked.files, marked.file, marked.offset) is None  # outside the project


# ---- hover -------------------------------------------------------------------------------------------------------------


def told(marked: Marked) -> str:
    found = hover(marked.scopes, marked.file, marked.offset)
    assert found is not None
    return found[1]


def test_a_rule_is_told_as_this_spec_has_it() -> None:
    assert told(at("about picnic.bre‸ad")) == "\n\n".join(
        [
            "**rule** `picnic.bread` · Bread",
            "*statement general*",
            "Some bread.",
            "*statement specific*",
            "One loaf for {place}.",
            "*rationale*",
            "Because of {place}, says {provider}.",
            "Serves `kindness`",
        ]
    )


def test_a_value_says_who_serves_it() -> None:
    text = told(at("food.thri‸ft, kindness"))
    assert (
        text == "**value** `food.thrift` · Thrift\n\n*statement*\n\n{assistant} is careful.\n\nServed by `picnic.cake`"
    )
    assert told(at("thrift, kind‸ness")).endswith("Served by `bread`, `cake`")


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        ("of {pl‸ace}", "**param** `picnic.place`\n\nthe beach"),
        ("{provid‸er}", "**provider** `{provider}`\n\nPot\n\n*A target or an arm may name another.*"),
        ("extends fo‸od", "**import** `food.msm`"),
        ("food.ba‸se {", "**spec** `base`\n\nBasics"),
        ("arm x‸ {", "**arm** `picnic.a.x`\n\n````msm\narm x { drop rationale of bread }\n````"),
    ],
)
def test_other_names_are_told_by_what_they_stand_for(piece: str, text: str) -> None:
    assert told(at(piece)) == text


def test_a_long_block_is_told_by_its_beginning_and_without_its_indent() -> None:
    block = "  demos d chat {\n    about rules\n" + "    # more\n" * 20 + "  }\n"
    text = told(Marked(a_msm="spec a {\n" + block.replace("demos d", "demos d‸") + "}\n"))
    lines = text.split("\n")
    assert lines[2:5] == ["````msm", "demos d chat {", "  about rules"] and lines[-2:] == ["…", "````"]
    assert len(lines) == 17


# ---- the outline -------------------------------------------------------------------------------------------------------


def drawn(entries: tuple[Entry, ...], depth: int = 0) -> list[str]:
    lines = []
    for entry in entries:
        lines.append("  " * depth + f"{entry.kind} {entry.name}" + (f": {entry.detail}" if entry.detail else ""))
        lines += drawn(entry.children, depth + 1)
    return lines


def test_the_outline_is_a_tree_of_what_is_declared() -> None:
    marked = at("spec pic‸nic")
    assert drawn(outline(marked.files.trees["food.msm"])) == [
        "value thrift: Thrift",
        "spec base: Basics",
        "  param place: the park",
        "  value kindness: Kind in {place}.",
        "  rule bread: Bread",
        "    subrule in_rain",
        "      rationale rationale: Dry.",
        "    example ask",
    ]
    assert drawn(outline(marked.files.trees["picnic.msm"])) == [
        "import food: food.msm",
        "spec picnic: Picnics",
        "  param place: the beach",
        "  rule bread",
        "    rationale rationale: Because of {place}, says {provider}.",
        "  rule cake: Cake.",
        "  documents documents",
        "  eval near_items",
        "  ablation a",
        "    arm x",
        "    arm y",
    ]


def test_every_entry_lies_in_the_one_that_holds_it() -> None:
    def inside(entry: Entry) -> None:
        assert entry.span.start <= entry.name_span.start and entry.name_span.end <= entry.span.end
        for child in entry.children:
            assert entry.span.start <= child.span.start and child.span.end <= entry.span.end
            inside(child)

    for tree in at("spec pic‸nic").files.trees.values():
        for entry in outline(tree):
            inside(entry)


def test_symbols_are_searched_by_name_and_text() -> None:
    tree = at("spec pic‸nic").files.trees["food.msm"]
    assert [(e.name, above) for e, above in matching(tree, "Br")] == [("bread", "base")]
    assert [(e.name, above) for e, above in matching(tree, "rain")] == [("in_rain", "base.bread")]
    assert [e.name for e, _ in matching(tree, "basics")] == ["base"]
