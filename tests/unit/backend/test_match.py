"""Matching by tokens: within 1 %, whole documents, every clause in its share."""

import random
from collections import Counter
from pathlib import Path

import pytest

from msmc.backend.match import num_tokens, trimmed
from msmc.backend.training import load_tokenizer
from msmc.diagnostics import Failed


def rows(per_clause: int, seed: int) -> list[dict[str, object]]:
    rng = random.Random(seed)
    words = ("tea", "cream cheese", "a long afternoon", "York", "what warms the hands")
    return [
        {"cell": {"clause": f"c{c}"}, "id": f"{c}-{n}", "text": " ".join(rng.choices(words, k=rng.randint(20, 60)))}
        for c in range(10)
        for n in range(per_clause)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_tokens_agree_within_one_percent_and_clauses_stay_balanced(tiny: Path, seed: int) -> None:
    tokenizer, corpus = load_tokenizer(tiny), rows(12, seed)
    wanted = num_tokens((str(row["text"]) for row in rows(8, seed + 100)), tokenizer)
    kept, tokens = trimmed(corpus, wanted, tokenizer)
    assert abs(tokens - wanted) <= 0.01 * wanted
    assert tokens == num_tokens((row["text"] for row in kept), tokenizer)
    assert [row for row in corpus if row in kept] == kept, "in cell order"
    counts = Counter(row["cell"]["clause"] for row in kept).values()
    assert max(counts) - min(counts) <= 2


def test_too_few_rows_are_told(tiny: Path) -> None:
    with pytest.raises(Failed, check=lambda failure: failure.name == "too-few-rows"):
        trimmed(rows(1, 0), 10**6, load_tokenizer(tiny))
