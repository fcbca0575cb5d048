"""Prices and what writing costs: dated, between low and worst, unknown where nobody knows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.ledger import Ledger, Reply
from msmc.backend.tokens import Tokens
from msmc.plan.estimate import Estimate
from msmc.plan.money import money
from msmc.plan.replies import ENOUGH, Past, of_served
from msmc.plan.writing import Writing
from msmc.writer import FREE, Price, Served, _table
from tests.unit.backend.test_ledger import request

SERVED = Served(kind="openai", model="m", max_tokens=500)
ASKED = "Write well. 130 to 300 words."


def test_a_price_counts_cached_input_apart() -> None:
    price = Price(input=2, cached=0.5, output=10, per=1000)
    assert price.cost(3000, 1000, 0, 500) == pytest.approx(2 * 2 + 0.5 + 5)
    assert Price(input=2, output=10, per=1000).cost(3000, 1000, 0, 500) == pytest.approx(3 * 2 + 5)
    stores = Price(input=2, cached=0.5, stored=2.5, output=10, per=1000)
    assert stores.cost(3000, 1000, 1500, 500) == pytest.approx(0.5 * 2 + 0.5 + 1.5 * 2.5 + 5)
    assert stores.most(3000, 500) == pytest.approx(3 * 2.5 + 5) and price.most(3000, 500) == pytest.approx(3 * 2 + 5)


def test_every_price_of_the_table_has_a_day_and_a_source() -> None:
    assert _table()
    for model, price in _table().items():
        assert price.date and price.source and price.source.startswith("https://"), model
        assert 0 < (price.cached or 0) <= price.input <= price.output, model
        assert f"as of {price.date}" in str(price) and price.source in str(price)


def test_the_table_is_for_openais_own_server_and_a_targets_price_goes_before_it() -> None:
    model = next(iter(_table()))
    assert Served(kind="openai", model=model).known_price == _table()[model]
    assert Served(kind="openai", model=model, base_url="http://127.0.0.1/v1").known_price is None
    assert Served(kind="openai", model=model, price=FREE).known_price == FREE
    assert Served(kind="openai", model="nobody-knows").known_price is None


def test_a_server_that_moves_or_costs_less_is_the_same_writer_another_sampling_is_not() -> None:
    for same in ({"base_url": "http://127.0.0.1/v1"}, {"price": FREE}, {"concurrency": 1}, {"key": "OTHER"}):
        assert SERVED.model_copy(update=same).sampling == SERVED.sampling
    for other in ({"model": "n"}, {"temperature": 0.5}, {"max_tokens": 5}):
        assert SERVED.model_copy(update=other).sampling != SERVED.sampling


@given(
    rows=st.integers(1, 1000),
    prompt=st.integers(10, 5000),
    cached=st.floats(0, 1),
    seen=st.floats(0, 1),
    reserve=st.integers(0, 99),
)
def test_low_expected_and_worst_stand_in_this_order(
    rows: int, prompt: int, cached: float, seen: float, reserve: int
) -> None:
    (asked,) = [of_served(SERVED, None, ["a word " * 100], ASKED, rows, Tokens())]
    every = Estimate(rows * prompt, rows)
    writing = Writing(
        "full", rows, every, cached, asked.total, asked.lengths, reserve=reserve,
        shortest=asked.shortest, longest=asked.longest, expected_cached=seen,
    )  # fmt: skip
    found = money([writing], Price(input=2, cached=1, output=10))
    assert found.low <= found.expected <= found.worst
    if reserve:
        assert found.worst > money([writing.times(1)], FREE).worst
    assert money([writing], FREE) == (0, 0, 0)


def test_before_there_is_a_past_replies_are_as_long_as_the_prompts_ask() -> None:
    found = of_served(SERVED, None, ["a word " * 100], ASKED, 10, Tokens())
    a_word = len("a word " * 100) / 4.2 / 200
    assert found.total.value == pytest.approx(10 * 215 * a_word) and found.shortest == pytest.approx(10 * 130 * a_word)
    assert found.total.error == pytest.approx(10 * 85 * a_word), "more rows do not make it surer"
    assert found.longest == 5000 and "as the prompts ask, 130 to 300 words" in found.how
    assert of_served(SERVED, None, ["a"], "Write.", 10, Tokens()).total == Estimate(5000)


def test_from_twenty_replies_on_they_are_as_long_as_those_were(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l")

    def keep(n: int) -> None:
        one = request(n, writer=SERVED.sampling)
        reply = Reply("word " * 50, "stop", 40, 30, 100 + n)
        list(ledger.replies([one], lambda asked: iter([[(next(asked), reply)]])))

    for n in range(ENOUGH - 1):
        keep(n)
    assert Past.read(tmp_path / "l", SERVED, Tokens()) is None
    keep(ENOUGH - 1)
    past = Past.read(tmp_path / "l", SERVED, Tokens())
    assert past is not None and past.cached == pytest.approx(0.75)
    assert Past.read(tmp_path / "l", SERVED.model_copy(update={"temperature": 0.1}), Tokens()) is None
    assert Past.read(tmp_path / "none", SERVED, Tokens()) is None and not (tmp_path / "none").exists()
    found = of_served(SERVED, past, ["unused"], ASKED, 1000, Tokens())
    assert found.total.value == pytest.approx(1000 * 109.5) and found.shortest == 1000 * 102
    assert 0 < found.total.share < 0.03
    assert found.prompt * (len("A rule.") / 4.2 + 5 + len("Write.") / 4.2 + 5) == pytest.approx(40)
    assert "as 20 replies of this writer in the ledger" in found.how
