"""What writing a corpus took: of all models that had a part in it, and of the corpus that another one is made of."""

import json
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.meter import NO_CAPS, Meter, Usage
from msmc.backend.spent import Spending, read_spent
from msmc.backend.tokens import Tokens
from msmc.writer import Price

WRITER, CRITIC = Price(input=1, output=2, per=1), Price(input=10, output=20, per=1)


def told(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "timing.json").read_text("utf-8")))


def test_the_writers_and_the_critics_tokens_each_have_their_price(tmp_path: Path) -> None:
    writer = Meter(NO_CAPS, WRITER, Tokens())
    critic = writer.beside(CRITIC)
    writer.used = Usage(100, 0, 100, 10)  # of another corpus
    spending = Spending.begin(writer)
    writer.used += Usage(3, 1, 4, 2)
    critic.used += Usage(5, 0, 1, 1)
    spending.write(tmp_path, None)
    found = told(tmp_path)
    assert (found["replies"], found["prompt_tokens"], found["cached_tokens"], found["reply_tokens"]) == (3, 8, 1, 5)
    assert found["cost"] == (3 * 1 + 4 * 2) + (5 * 10 + 1 * 20) and found["currency"] == "USD"
    assert found["seconds"] >= 0


def test_a_corpus_that_is_made_of_another_one_cost_what_that_one_cost(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    meter = Meter(NO_CAPS, WRITER, Tokens())
    spending = Spending.begin(meter)
    meter.used += Usage(3, 0, 4, 2)
    spending.write(first, None)
    Spending.begin(meter).write(second, first)
    assert {**told(second), "seconds": 0} == {**told(first), "seconds": 0}


@pytest.mark.parametrize("asked", [True, False])
def test_where_no_price_is_known_or_nothing_was_asked_no_currency_stands(tmp_path: Path, asked: bool) -> None:
    meter = Meter(NO_CAPS, None if asked else WRITER, Tokens())
    spending = Spending.begin(meter)
    meter.used += Usage(3, 0, 4, 2) if asked else Usage()
    spending.write(tmp_path, None)
    assert told(tmp_path)["currency"] is None and told(tmp_path)["cost"] == 0


def test_what_is_gone_is_no_more_than_a_figure_that_is_lost(tmp_path: Path) -> None:
    assert read_spent(tmp_path) == {}
