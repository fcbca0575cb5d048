"""Renaming: what is written where, and what is refused. The renamed files compile to a spec that has the name."""

import pytest

from msmc.diagnostics import Failed
from msmc.navigate.rename import renamable, rename
from tests.unit.marked import Marked
from tests.unit.test_navigate import FOOD, PICNIC, at


def renamed(marked: Marked, new: str) -> dict[str, str]:
    """The files that change, changed."""
    mention = renamable(marked.scopes, marked.file, marked.offset)
    texts = dict(marked.texts)
    entries = [name for name in texts if name.endswith(".msm")]
    for edit in reversed(rename(mention, new, entries, marked.sources)):
        text = texts[edit.span.file]
        texts[edit.span.file] = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return {name: text for name, text in texts.items() if text != marked.texts[name]}


def test_a_value_is_renamed_in_every_file_and_keeps_its_earlier_id() -> None:
    changed = renamed(at("food.thri‸ft, kindness"), "saving")
    assert changed == {
        "food.msm": FOOD.replace("thrift", "saving").replace('careful." }', 'careful." was thrift }'),
        "picnic.msm": PICNIC.replace("food.thrift", "food.saving"),
    }


def test_a_rule_is_renamed_with_those_laid_over_it() -> None:
    changed = renamed(at("of brea‸d"), "roll")
    food = FOOD.replace("rule bread", "rule roll").replace('"Bread." }\n', '"Bread." }\n    was bread\n')
    assert changed["food.msm"] == food
    assert changed["picnic.msm"] == PICNIC.replace("bread", "roll")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("value a‸ {}", "value b { was a }"),
        ("value a‸ { }", "value b { was a }"),
        ('value a‸ { statement "A" }', 'value b { statement "A" was a }'),
        ('value a‸ { statement "A"}', 'value b { statement "A" was a }'),
        ('value a‸ { statement "A" was z }', 'value b { statement "A" was z, a }'),
        ('value a‸ { statement "A" was z, b }', 'value b { statement "A" was z, a }'),
        ('value a‸ {\n\tstatement "A" # so\n\n}', 'value b {\n\tstatement "A" # so\n\twas a\n\n}'),
        ('value a‸ {\n  statement """\n    A\n    """\n}', 'value b {\n  statement """\n    A\n    """\n  was a\n}'),
        ("value a {}\nspec s { param p‸ \"x\" value v { statement \"{p} {{p}} ${p}\" } }",
         "value a {}\nspec s { param b \"x\" value v { statement \"{b} {{p}} ${p}\" } }"),
        ('spec s { rule r { subrule a‸ "A" } documents { about r.a } }',
         'spec s { rule r { subrule b "A" } documents { about r.b } }'),
        ("spec a‸ {} spec c extends a { }", "spec b {} spec c extends b { }"),
    ],
)  # fmt: skip
def test_the_declaration_tells_its_earlier_id(before: str, after: str) -> None:
    assert renamed(Marked(a_msm=before), "b") == {"a.msm": after}


def test_an_alias_is_renamed_in_its_file() -> None:
    assert renamed(at("as foo‸d"), "meals") == {
        "picnic.msm": PICNIC.replace("food.", "meals.").replace('"meals.msm" as food', '"food.msm" as meals')
    }


def test_the_same_name_changes_nothing() -> None:
    assert renamed(at("of brea‸d"), "bread") == {}


@pytest.mark.parametrize(
    ("piece", "new", "told"),
    [
        ("of brea‸d", "Roll", "`Roll` is no id"),
        ("of brea‸d", "two words", "`two words` is no id"),
        ("of brea‸d", "rationale", "`rationale` cannot be an id here: it is reserved"),
        ("of brea‸d", "cake", "`cake` is already declared: picnic.msm:6"),  # of the spec that inherits it
        ("rule ca‸ke", "kindness", "`kindness` is already declared: food.msm:6"),  # it would be laid over that one
        ("param pl‸ace", "assistant", "`assistant` cannot be an id here: it is reserved"),
        ("arm x‸", "full", "`full` cannot be an id here: it is reserved"),
        ("arm x‸", "y", "`y` is already declared: picnic.msm:9"),
        ("bread.in_r‸ain", "ask", "`ask` is already declared: food.msm:12"),
    ],
)
def test_a_reserved_or_taken_id_is_refused(piece: str, new: str, told: str) -> None:
    with pytest.raises(Failed) as refused:
        renamed(at(piece), new)
    assert refused.value.message == told


@pytest.mark.parametrize(
    ("piece", "told"),
    [
        ("about‸ picnic", "there is no name here that msmc knows"),
        ("{provid‸er}", "this name is part of the language"),
        ("bread.in_rain.ration‸ale", "a rationale has no name of its own"),
    ],
)
def test_what_cannot_be_renamed_is_told(piece: str, told: str) -> None:
    text = (
        PICNIC.replace("bread.in_rain", "bread.in_rain.rationale") if "rationale" in piece.replace("‸", "") else PICNIC
    )
    marked = at(piece, text)
    with pytest.raises(Failed) as refused:
        renamable(marked.scopes, marked.file, marked.offset)
    assert refused.value.message == told


def test_no_use_is_missed_in_a_file_with_mistakes() -> None:
    marked = at("food.thri‸ft, kindness", PICNIC.replace("documents {", "documents oops {"))
    with pytest.raises(Failed) as refused:
        renamed(marked, "saving")
    assert refused.value.message == "picnic.msm:7 has a mistake, so uses could be missed"
    text = 'spec other { rule r { serves oops oops statement "R." } }'
    marked = Marked(other_msm=text, picnic_msm=PICNIC.replace("food.thrift, k", "food.thri‸ft, k"), food_msm=FOOD)
    assert sorted(renamed(marked, "saving")) == ["food.msm", "picnic.msm"]  # the mistaken file does not know the name


def test_rows_of_the_author_s_are_about_the_new_name() -> None:
    spec = """
    import "food.msm" as food
    spec picnic extends food.base {
      rule cake‸ { statement "Cake." serves food.thrift was x }
      documents from "own.jsonl"
    }
    """
    rows = '{"text": "About \\"about\\": [\\"cake\\"]", "about": ["cake", "bread.in_rain", "picnic.cake"]}\n{"text": "cake"}\n'
    changed = renamed(Marked(picnic_msm=spec, food_msm=FOOD, **{"own.jsonl": rows}), "tart")
    assert changed["own.jsonl"] == rows.replace('["cake", ', '["tart", ').replace("picnic.cake", "picnic.tart")
    for piece, old, new in (("thri‸ft", "food.thrift", "food.saving"), ("in_ra‸in", "bread.in_rain", "bread.saving")):
        rows = f'{{"text": "x", "about": ["{old}"]}}'
        food = FOOD.replace(piece.replace("‸", ""), piece, 1)
        files = {"picnic_msm": spec.replace("‸", ""), "food_msm": food, "own.jsonl": rows}
        assert renamed(Marked(**files), "saving")["own.jsonl"] == rows.replace(old, new)


def test_a_spec_cannot_take_the_name_of_a_library() -> None:
    with pytest.raises(Failed, match="`food` is the name of another spec or library"):
        renamed(at("spec pic‸nic"), "food")
