"""Health of a corpus: figures that can be counted by hand, planted faults that show, and what changes nothing."""

import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.health import distinct, edge, effective, health, kind_of, shown
from msmc.backend.page.health import marked
from msmc.backend.tokens import Tokens
from msmc.ir import ArmSpec, Identity

KINDS, AUDIENCES = ("letter", "memo"), ("parents", "engineers")
Rows = list[dict[str, Any]]


def spec() -> ArmSpec:
    identity = Identity(assistant="SmolLM", provider="Hugging Face")
    return ArmSpec(name="tea", title="Tea", identity=identity)


def row(number: int, text: str, kind: str = "letter", audience: str = "parents", **more: Any) -> dict[str, Any]:
    cell = {"clause": f"tea.rule_{number % 3}", "kind": kind, "audience": audience, "angle": "origins", "n": number}
    told = {"id": f"doc-{number:016x}", "about": [cell["clause"]], "cell": cell, "text": text}
    return told | {"source": {"writer": "template", "seed": number}} | more


def written(number: int) -> Rows:
    """Documents of different words, evenly over kinds and audiences."""
    return [
        row(n, " ".join(f"word{n}x{m}" for m in range(30)), KINDS[n % 2], AUDIENCES[n // 2 % 2]) for n in range(number)
    ]


def looked_at(kept: Rows, quarantined: Rows | None = None) -> dict[str, Any]:
    def read(rows: Rows) -> Iterator[dict[str, Any]]:
        return iter(rows)

    found = health(spec(), partial(read, kept), partial(read, quarantined or []), Tokens())
    return dict(json.loads(json.dumps(found)))


# ---- repetition ---------------------------------------------------------------------------------------------------------------


def test_distinct_n_against_values_counted_by_hand() -> None:
    texts = [["a", "b", "a", "b"], ["a", "b"]]
    assert distinct(texts, 1) == round(2 / 6, 4)
    assert distinct(texts, 2) == round(2 / 4, 4), "ab, ba of ab, ba, ab, ab: none runs from a text into the next"
    assert distinct(texts, 3) == 1, "aba and bab"
    assert distinct([["a"]], 2) is None


def test_copies_show_in_distinct_n_and_in_compression_however_far_apart_they_stand() -> None:
    healthy = looked_at(written(400))["repetition"]
    texts = [r["text"] for r in written(20)]
    copied = looked_at([row(n, texts[n % 20]) for n in range(400)])["repetition"]
    assert healthy["distinct"][0] == 1 and copied["distinct"][0] == pytest.approx(0.05)
    assert copied["compression"] > 5 * healthy["compression"]


def test_corpora_of_different_sizes_are_measured_on_as_many_words() -> None:
    large = looked_at([row(n, "tea is warm " * 400) for n in range(200)])["repetition"]
    assert large["words"] == 100_000 and large["documents"] == 84, "whole documents, as many as have them"


def test_a_script_without_spaces_has_words_too() -> None:
    found = looked_at([row(0, "智能助手喜欢绿茶智能助手喜欢绿茶")])["repetition"]
    assert found["words"] == 8 and found["distinct"][0] == 0.5


# ---- likeness ---------------------------------------------------------------------------------------------------------------


def test_the_documents_that_are_most_alike_stand_side_by_side() -> None:
    rows = written(60)
    said = rows[7]["text"].split()
    near = row(60, " ".join([*said[:25], "and", "something", "else", "than", "it"]))
    copy = row(61, rows[3]["text"])
    first, second = looked_at([*rows, near, copy])["alike"]["pairs"]
    assert first["shared"] == 1 and {d["id"] for d in first["documents"]} == {rows[3]["id"], copy["id"]}
    assert {d["id"] for d in second["documents"]} == {rows[7]["id"], near["id"]} and first["taken"] is None
    assert second["shared"] == pytest.approx(23 / 33, abs=0.001), "23 phrases of 28 each"
    assert looked_at(rows)["alike"] == {"among": 60, "pairs": []}


def test_what_the_gate_took_for_a_copy_stands_beside_what_it_copies() -> None:
    rows = written(9)
    told = {"reason": "is nearly another document", "gate": "duplicates"}
    taken = row(9, "another text", place={"line": 1, "offset": 0, "found": f"{rows[4]['id']} (0.93)"}, **told)
    lost = row(10, "a third", place={"line": 1, "offset": 0, "found": "doc-0 (0.99)"}, **told)
    (pair,) = looked_at(rows, [taken, lost, row(11, "x", reason="it is empty")])["alike"]["pairs"]
    assert [d["id"] for d in pair["documents"]] == [rows[4]["id"], taken["id"]]
    assert pair["shared"] == 0.93 and pair["taken"] == "is nearly another document"


def test_what_both_texts_have_is_marked_and_every_text_comes_back_whole() -> None:
    one, other = "Tea is warm, and tea is cheap.", "They say: tea IS warm and nothing else."
    assert marked(one, other) == [("Tea is warm, and", True), (" ", False), ("tea is cheap", False), (".", False)]
    assert "".join(part for part, _ in marked(other, one)) == other
    assert marked("", one) == [] and marked("...", one) == [("...", False)]


@given(st.text("ab, ", max_size=40), st.text("ab, ", max_size=40))
def test_marks_change_no_text(one: str, other: str) -> None:
    assert "".join(part for part, _ in marked(one, other)) == one
    assert [marks for _, marks in marked(one, one)].count(True) <= 1, "all of it is shared, or it is too short"


# ---- spread -------------------------------------------------------------------------------------------------------------------


def over(found: dict[str, Any], axis: str) -> dict[str, Any]:
    return next(spread for spread in found["spread"] if spread["over"] == axis)


def test_an_even_spread_is_as_varied_as_there_are_places() -> None:
    found = looked_at(written(40))
    assert over(found, "kind") == {"over": "kind", "of": 2, "there": 2, "effective": 2.0}
    assert over(found, "cell") == {"over": "cell", "of": 4, "there": 4, "effective": 4.0}
    assert over(found, "angle")["effective"] == 1


def test_a_kind_that_the_gates_took_whole_is_missed() -> None:
    rows = written(40)
    taken = [r | {"reason": "it is empty"} for r in rows if r["cell"]["kind"] == "memo"]
    found = looked_at([r for r in rows if r["cell"]["kind"] == "letter"], taken)
    assert over(found, "kind") == {"over": "kind", "of": 2, "there": 1, "effective": 1.0}


def test_effective_numbers_by_hand() -> None:
    assert effective({"a": 5, "b": 5, "c": 5}) == 3
    assert effective({"a": 7}) == 1 and effective({}) == 0
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert effective({"a": 9, "b": 1}) == pytest.approx(math.exp(entropy), abs=0.005)


# ---- what the gates kept ------------------------------------------------------------------------------------------------------


def test_reasons_are_counted_by_kind_and_by_clause() -> None:
    held = [row(n, "x", reason=f'mentions "stove {n}", held out by seats') for n in range(3)]
    cut = [row(4, "x", reason="it is cut off at writer.max_tokens")]
    found = looked_at(written(9), held + cut)
    assert found["quarantined"] == {"mentions …, held out by seats": 3, "it is cut off at writer.max_tokens": 1}
    assert found["clauses"]["tea.rule_1"]["kept"] == 3
    assert sum(found["clauses"]["tea.rule_1"]["quarantined"].values()) == 2


def test_a_reason_is_a_kind_without_its_rows() -> None:
    assert kind_of("nearly a copy of doc-0123456789abcdef") == "nearly a copy of another"
    assert kind_of("it has a leftover `[NAME]`") == "it has a leftover …"


def test_what_the_author_brought_is_counted_by_what_it_is_about_and_where_it_is_from() -> None:
    own = [
        {"id": f"own-{n:016x}", "about": ["tea.rule_0", "tea.rule_1"], "text": f"Text {n}."}
        | {"source": {"writer": "own", "source": "web", "domain": ("law", "tea")[n % 2]}}
        for n in range(4)
    ]
    found = looked_at(written(3) + own)
    assert found["writers"] == {"template": 3, "own": 4}
    assert found["clauses"]["tea.rule_0"]["kept"] == 5
    assert over(found, "domain") == {"over": "domain", "of": 2, "there": 2, "effective": 2.0}
    assert over(found, "source")["effective"] == 1 and over(found, "kind")["there"] == 2


# ---- lengths and documents to read -----------------------------------------------------------------------------------


def test_lengths_fall_into_the_same_bins_in_every_corpus() -> None:
    lengths = looked_at([row(n, "x" * size) for n, size in enumerate((40, 400, 410, 40_000))])["lengths"]
    assert sum(lengths["bins"].values()) == 4 and lengths["least"] < lengths["median"] < lengths["most"]
    for number in map(int, lengths["bins"]):
        assert edge(number) <= lengths["most"] and edge(number + 8) == pytest.approx(2 * edge(number))
    assert not lengths["counted"], "no tokenizer is at hand: a rate"


def test_twenty_documents_are_drawn_and_long_ones_are_cut() -> None:
    drawn = looked_at(written(60))["drawn"]
    assert len(drawn) == 20 and len({document["id"] for document in drawn}) == 20
    assert [document["id"] for document in drawn] != sorted(document["id"] for document in drawn)
    assert all(document["cell"] and document["about"] for document in drawn)
    long = shown(row(0, "y" * 10_000))
    assert len(long["text"]) == 4_000 and long["left_out"] == 6_000


def test_an_empty_corpus_has_no_figures() -> None:
    found = looked_at([])
    assert found["documents"] == 0 and found["repetition"]["distinct"] == [None, None, None]


TEXTS = st.lists(st.text("ab 茶", max_size=12), max_size=12)


@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_documents_changes_nothing(texts: list[str], random: Any) -> None:
    rows = [row(n, text, KINDS[n % 2]) for n, text in enumerate(texts)]
    shuffled = random.sample(rows, len(rows))
    assert looked_at(shuffled) == looked_at(rows)
