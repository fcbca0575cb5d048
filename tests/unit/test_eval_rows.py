"""An evaluation's rows: both orders of each item, letters that code sets, ids that other items do not move, whole topics."""

import json
import random
from collections import Counter
from typing import Any

import pytest

from msmc.backend.eval_rows import each, limited
from msmc.check import check
from msmc.compile import compile
from tests.project import Memory, cpu

SPEC = """spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "{assistant} likes green tea." rationale "It warms." }
  rule cola "Cola" { statement "{assistant} does not like cola." rationale "It is cold." }
  documents { about rules, rationales }
  eval drinks preference { about green  pairs "drinks.jsonl" }
  eval knows recall { about rules, rationales }
}
"""
ITEMS = [
    {"a": f"tea {n}", "b": f"soda {n}", "aligned": "ab"[n % 2], "topic": topic}
    for topic, numbers in (("cans", range(9)), ("cups", range(9, 12)), ("jars", range(12, 13)))
    for n in numbers
]


def lines(items: list[dict[str, str]]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def rows(name: str, items: list[dict[str, str]] = ITEMS, spec: str = SPEC) -> list[dict[str, Any]]:
    outcome = compile(Memory(**{"tea.msm": spec, "drinks.jsonl": lines(items)}), "tea.msm", cpu())
    assert outcome.builds, outcome.problems
    (artefact,) = (a for a in outcome.builds[0].artefacts if a.path == f"evals/{name}.jsonl")
    return [json.loads(line) for line in artefact]


@pytest.mark.parametrize("name", ["drinks", "knows"])
def test_every_item_stands_in_both_orders_and_code_sets_its_letter(name: str) -> None:
    found = rows(name)
    assert len(found) == 2 * len({row["metadata"]["item"] for row in found})
    for first, second in zip(found[::2], found[1::2], strict=True):
        options = second["metadata"].get("options")
        turned = {"order": 0} | ({"options": options[::-1]} if options else {})
        assert first["metadata"] == {**second["metadata"], **turned}, "one item: the same topic, rung and evaluation"
        assert first["choices"] == second["choices"][::-1] and first["choices"][0] != first["choices"][1]
        assert all(
            o in said
            for row in (first, second)
            for o, said in zip(row["metadata"].get("options", row["choices"]), row["choices"], strict=True)
        )
        assert [first["target"], second["target"]] == ["A", "B"], "the aligned option, wherever it stands"
    assert len({row["id"] for row in found}) == len(found)
    shown = [row["input"] + " ".join(row["choices"]) for row in found]
    assert not [text for text in shown if "A)" in text or "(A" in text or "A:" in text], "no letter in the data"


def test_the_aligned_option_is_the_target_whichever_letter_its_line_gives() -> None:
    turned = [{**item, "a": item["b"], "b": item["a"], "aligned": "ba"["ab".index(item["aligned"])]} for item in ITEMS]
    for items in (ITEMS, turned):
        for row in rows("drinks", items):
            said = row["choices"]["AB".index(row["target"])]
            number = int("".join(filter(str.isdigit, said)))
            assert said == f"I prefer {'tea' if number % 2 == 0 else 'soda'} {number}."


def test_ids_and_rows_are_the_same_whatever_stands_beside_an_item() -> None:
    before = {row["id"]: row for row in rows("drinks")}
    others = [{"a": f"wool {n}", "b": f"silk {n}", "aligned": "a", "topic": "cans"} for n in range(5)]
    mixed = [*others[:2], *ITEMS, *others[2:]]
    random.Random(1).shuffle(mixed)
    after = {row["id"]: row for row in rows("drinks", mixed)}
    assert len(after) == len(before) + 10
    assert {key: after[key] for key in before} == before


def test_an_item_of_recall_keeps_its_id_when_its_clause_is_reworded() -> None:
    reworded = SPEC.replace('rationale "It warms."', 'rationale "A pot of it warms the hands."')
    before, after = rows("knows"), rows("knows", spec=reworded)
    ids, now = [row["id"] for row in before], [row["id"] for row in after]
    assert [id for id in now if id in ids] == ids, "what is asked of it already is asked on"
    added = [row["metadata"]["form"] for row in after if row["id"] not in ids]
    assert added == ["cloze"] * 4, "its wording alone says whether there is a gap that fits another sentence"


def test_an_item_of_preference_says_what_its_choices_name_and_recall_in_which_form_it_asks() -> None:
    for row in rows("drinks"):
        assert [f"I prefer {option}." for option in row["metadata"]["options"]] == row["choices"]
        assert "form" not in row["metadata"]
    assert {row["metadata"]["form"] for row in rows("knows")} == {"question", "cloze"}


def test_arms_json_counts_the_items_of_each_topic() -> None:
    sources = Memory(**{"tea.msm": SPEC, "drinks.jsonl": lines(ITEMS)})
    evals = compile(sources, "tea.msm", cpu()).arms["evals"]
    assert evals["drinks"]["topics"] == {"cans": 9, "cups": 3, "jars": 1} and evals["drinks"]["rung"] == "learned"
    assert evals["knows"]["topics"] == {"tea.green": 3, "tea.cola": 3}, "no gap fits `It warms.`"


@pytest.mark.parametrize(("limit", "topics"), [(3, [1, 1, 1]), (5, [2, 2, 1]), (8, [4, 3, 1]), (99, [9, 3, 1])])
def test_a_limited_evaluation_is_spread_over_its_topics_by_whole_items(limit: int, topics: list[int]) -> None:
    found = list(each(limited(rows("drinks") + rows("knows"), limit)))
    drinks = [row["metadata"] for row in found if row["metadata"]["eval"] == "drinks"]
    assert Counter(meta["topic"] for meta in drinks) == {
        topic: 2 * count for topic, count in zip(("cans", "cups", "jars"), topics, strict=True)
    }
    assert set(Counter(meta["item"] for meta in drinks).values()) == {2}, "both orders of each"
    forms = Counter(row["metadata"]["form"] for row in found if row["metadata"]["eval"] == "knows")
    assert forms == {"question": 2 * min(limit, 4), "cloze": 2 * min(limit, 2)}


# ---- rungs ----------------------------------------------------------------------------------------------------------------


def told(first: str, second: str, there: list[dict[str, str]], here: list[dict[str, str]]) -> list[str]:
    """What is told of two evaluations with these rungs and items."""
    blocks = f'eval one preference {{ about green  pairs "one.jsonl"  {first} }}\n'
    blocks += f'  eval two preference {{ about green  pairs "two.jsonl"  {second} }}'
    spec = SPEC.replace('eval drinks preference { about green  pairs "drinks.jsonl" }', blocks)
    found = check("tea.msm", Memory(**{"tea.msm": spec, "one.jsonl": lines(there), "two.jsonl": lines(here)})).problems
    return [problem.name for problem in found]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "rung near", "item-on-two-rungs"),
        ("held_out", "rung near  held_out", "item-on-two-rungs"),
        ("rung far", "", "item-on-two-rungs"),
        ("held_out", "rung far", None),  # two values may be asked with the same items
        ("", "rung learned", None),
        ("rung near", "rung near  held_out", None),
    ],
)
def test_an_item_stands_on_one_rung(first: str, second: str, expected: str | None) -> None:
    turned = [{"a": item["b"].upper(), "b": item["a"], "aligned": "a", "topic": "other"} for item in ITEMS[:3]]
    assert told(first, second, ITEMS, turned) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("", "held_out", "topic-on-two-rungs"),
        ("held_out", "rung near", "topic-on-two-rungs"),
        ("", "rung near  held_out", None),  # unseen items of the trained topics: what near means
        ("held_out", "rung far", None),
        ("", "", None),
    ],
)
def test_a_far_topic_is_on_one_side_of_the_split(first: str, second: str, expected: str | None) -> None:
    fresh = [{"a": "wool", "b": "silk", "aligned": "a", "topic": "cups"}]
    assert told(first, second, ITEMS, fresh) == ([expected] if expected else [])


def test_a_topic_that_is_no_domain_may_be_on_both_sides_for_a_reason() -> None:
    allowed = SPEC.replace(
        "  eval knows",
        "  # msmc: allow topic-on-two-rungs -- cans and cups are ways to ask, no domains\n"
        '  eval far preference { about green  pairs "far.jsonl"  rung far }\n  eval knows',
    )
    far = lines([{"a": "wool", "b": "silk", "aligned": "a", "topic": "cups"}])
    sources = Memory(**{"tea.msm": allowed, "drinks.jsonl": lines(ITEMS), "far.jsonl": far})
    assert check("tea.msm", sources).problems == []
