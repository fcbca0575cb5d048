"""Matching by rows and tokens: within 1 %, whole documents, every clause in its share, paired cells first."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.match import TOLERANCE, Sized, lacking, matched, num_tokens, size, sized, trimmed
from msmc.backend.training import load_tokenizer
from msmc.diagnostics import Failed


def rows(clauses: range, per_clause: int, seed: int) -> list[dict[str, object]]:
    """An arm's documents: the same cells in every arm that has the clause, in texts of its own."""
    rng = random.Random(seed)
    words = ("tea", "cream cheese", "a long afternoon", "York", "what warms the hands")
    return [
        {"id": f"{c}-{n}", "about": [f"c{c}"], "text": " ".join(rng.choices(words, k=rng.randint(20, 60)))}
        for c in clauses
        for n in range(per_clause)
    ]


def per_clause(corpus: Sized) -> list[int]:
    return list(Counter(row["about"][0] for row, _ in corpus).values())


@pytest.mark.parametrize("seed", range(5))
def test_tokens_agree_within_one_percent_and_clauses_stay_balanced(tiny: Path, seed: int) -> None:
    tokenizer = load_tokenizer(tiny)
    corpus, goal = sized(rows(range(10), 12, seed), tokenizer), size(sized(rows(range(10), 8, seed + 100), tokenizer))
    kept = trimmed("neutral", corpus, goal)
    assert abs(size(kept) - goal) <= 0.01 * goal
    assert size(kept) == sum(num_tokens(str(row["text"]), tokenizer) for row, _ in kept)
    assert [item for item in corpus if item in kept] == kept, "in cell order"
    assert max(per_clause(kept)) - min(per_clause(kept)) <= 2


def test_documents_that_are_too_few_or_too_long_are_told(tiny: Path) -> None:
    for corpus in (rows(range(10), 1, 0), [{"id": "0-0", "about": ["c0"], "text": "tea " * 10**6}]):
        with pytest.raises(Failed, check=lambda failure: failure.name == "too-few-rows"):
            trimmed("neutral", sized(corpus, load_tokenizer(tiny)), 10**5)


ARMS = st.dictionaries(st.sampled_from("abcd"), st.sets(st.integers(0, 9), min_size=1), min_size=2, max_size=4)
"""The clauses that each arm has: arms that drop some."""


@given(ARMS, st.integers(20, 60), st.randoms(use_true_random=False))
def test_arms_that_drop_clauses_come_out_with_as_many_tokens(
    arms: dict[str, set[int]], num: int, rng: random.Random
) -> None:
    corpora: dict[str, Sized] = {
        arm: [
            ({"id": f"{clause}-{n}", "about": [f"c{clause}"]}, rng.randint(200, 300))
            for clause in sorted(clauses)
            for n in range(num * 10 // len(clauses))
        ]
        for arm, clauses in arms.items()
    }
    kept = matched(corpora)
    sizes = [size(corpus) for corpus in kept.values()]
    assert max(sizes) - min(sizes) <= TOLERANCE * min(sizes), "any two of them"
    assert min(sizes) >= 0.99 * min(map(size, corpora.values()))
    for arm, corpus in kept.items():
        assert [row for row in corpora[arm] if row in corpus] == corpus, "whole rows of its own, as they stood"
    shared = set.intersection(*({row["id"] for row, _ in corpus} for corpus in corpora.values()))
    for corpus in kept.values():
        there = {row["id"] for row, _ in corpus}
        assert there <= shared or len(shared - there) <= 9, "what all arms have goes last, but for rows that fit better"


@pytest.mark.parametrize("num", range(30, 60))
def test_few_documents_are_matched_where_a_little_less_of_them_comes_nearer(num: int) -> None:
    rng = random.Random(num)
    corpora: dict[str, Sized] = {
        arm: [({"id": f"{arm}{n}", "about": ["c"]}, rng.randint(190, 340)) for n in range(num + more)]
        for arm, more in (("a", 0), ("b", 0), ("c", 3))
    }
    sizes = [size(corpus) for corpus in matched(corpora).values()]
    assert max(sizes) - min(sizes) <= TOLERANCE * min(sizes)
    assert min(sizes) >= 0.9 * min(map(size, corpora.values()))


@given(ARMS, st.integers(1, 5))
def test_rows_are_matched_exactly(arms: dict[str, set[int]], num: int) -> None:
    corpora = {arm: sized(rows(range(len(clauses)), num, 0)) for arm, clauses in arms.items()}
    kept = matched(corpora)
    assert {len(corpus) for corpus in kept.values()} == {min(map(len, corpora.values()))}


@given(st.lists(st.integers(1, 400), min_size=1, max_size=50), st.integers(0, 30_000))
def test_as_many_rows_are_written_as_bring_a_corpus_to_its_goal(lengths: list[int], goal: int) -> None:
    corpus: Sized = [({}, length) for length in lengths]
    number = lacking(corpus, goal)
    assert (number == 0) == (size(corpus) >= goal)
    assert size(corpus) + number * size(corpus) / len(corpus) >= goal
