"""Laws of doses: nested, balanced, as large as they say; what is there once is `full`'s own."""

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from msmc.build import Message, StaticDemo
from msmc.lower.sweeps import counts, dosed

DOSES = st.fractions(Fraction(1, 50), 5).map(float)
CLAUSES = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=9, unique=True)
SAID = (Message(role="user", content="?"), Message(role="assistant", content="!"))


def rows(abouts: list[str]) -> list[StaticDemo]:
    return [StaticDemo(id=f"demo-{n}", about=(about,), messages=SAID) for n, about in enumerate(abouts)]


@given(CLAUSES, st.integers(1, 20), DOSES, DOSES)
def test_planned_doses_are_nested_balanced_and_exact(clauses: list[str], each: int, one: float, other: float) -> None:
    less, more = (counts(clauses, each, dose) for dose in sorted((one, other)))
    assert all(less[clause] <= more[clause] for clause in clauses), "the first cells of a clause: a prefix of a prefix"
    assert max(less.values()) - min(less.values()) <= 1
    assert sum(less.values()) == round(min(one, other) * each * len(clauses))
    assert counts(clauses, each, 1) == dict.fromkeys(clauses, each)
    assert counts([*reversed(clauses)], each, one) == counts(clauses, each, one), (
        "the order in the source means nothing"
    )


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), DOSES, DOSES)
def test_doses_of_rows_that_exist_are_nested_and_ids_unique(abouts: list[str], one: float, other: float) -> None:
    less, more = ([row.id for row in dosed(rows(abouts), dose)] for dose in sorted((one, other)))
    assert set(less) <= set(more) and len(set(more)) == len(more)
    assert len(less) == round(min(one, other) * len(abouts))
    assert dosed(rows(abouts), 1) == rows(abouts)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(1, 4))
def test_whole_doses_are_whole_passes(abouts: list[str], passes: int) -> None:
    found = dosed(rows(abouts), passes)
    assert [row.about for row in found] == [row.about for row in rows(abouts)] * passes
    assert not {row.id for row in found[: len(abouts)]} - {row.id for row in rows(abouts)}


@given(st.integers(1, 6), st.integers(1, 5), DOSES.filter(lambda dose: dose < 1))
def test_a_share_takes_of_each_rule_as_many(rules: int, examples: int, dose: float) -> None:
    abouts = [str(rule) for rule in range(rules) for _ in range(examples)]
    taken = Counter(row.about[0] for row in dosed(rows(abouts), dose))
    assert max(taken.values(), default=0) - min((taken[about] for about in abouts), default=0) <= 1
