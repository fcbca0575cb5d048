"""Duplicates, and what too many documents have: a document beside those before it."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.gates.duplicates import Seen, duplicate
from msmc.backend.gates.grams import grams
from msmc.backend.gates.repeated import Repeats
from msmc.gated import Gated, Repeated
from msmc.mention import words

WORDS = [f"word{n}" for n in range(500)]
NAMES = frozenset({"smollm"})


def text(seed: int, length: int = 120) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def edited(parts: list[str], number: int, seed: int = 0) -> list[str]:
    """With so many words changed."""
    draw, found = random.Random(seed), list(parts)
    for at in draw.sample(range(len(parts)), number):
        found[at] = "changed"
    return found


# ---- duplicates --------------------------------------------------------------------------------------------------------


def seen_of(number: int) -> Seen:
    seen = Seen(0.8)
    for n in range(number):
        seen.add(f"doc-{n}", text(n))
    return seen


@pytest.mark.parametrize("changed", range(5))
def test_a_document_that_is_there_already_is_found(changed: int) -> None:
    found = duplicate(seen_of(30), edited(text(7), changed))
    assert found and found.what.startswith("doc-7 (")
    assert found.reason == ("is another document word for word" if changed == 0 else "is nearly another document")


@pytest.mark.parametrize(
    "other",
    [
        text(99),
        edited(text(7), 20),
        text(7)[:60],
        text(7)[:60] + text(8)[:60],
        sorted(text(7)),
        [],
        ["tea"],
        text(7)[::-1],
    ],
)
def test_one_that_has_much_of_another_is_none(other: list[str]) -> None:
    assert duplicate(seen_of(30), other) is None


def test_a_document_is_not_its_own_duplicate_in_another_arm() -> None:
    assert seen_of(30).like(text(7), but="doc-7") is None


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 5))
def test_words_in_a_row_have_the_same_number_and_others_another(parts: list[str], size: int) -> None:
    rows = [tuple(parts[at : at + size]) for at in range(len(parts) - size + 1)]
    numbers = grams(parts, size)
    assert len(numbers) == len(rows) and len(np.unique(numbers)) == len(set(rows))


# ---- repeated ----------------------------------------------------------------------------------------------------------


def repeats(**how: Repeated | None) -> Repeats:
    off = {"openings": None, "phrases": None, "names": None}
    return Repeats(
        Gated.model_validate({**off, **how}), 100, "The own words of the spec stand here once more for all.", NAMES
    )


def judged(look: Repeats, texts: list[str]) -> list[str]:
    return [(found.gate if (found := look(text, words(text))) else "") for text in texts]


def test_so_many_documents_may_open_alike_and_those_behind_them_may_not() -> None:
    texts = [f"In the quiet kitchen of house {n}, {' '.join(text(n))}." for n in range(12)]
    look = repeats(openings=Repeated(words=4, share=0.1, least=5))
    assert judged(look, texts) == [""] * 10 + ["openings"] * 2, "a tenth of a hundred planned ones"
    assert judged(repeats(openings=Repeated(words=4, share=0.01, least=5)), texts) == [""] * 5 + ["openings"] * 7


def test_a_phrase_is_found_at_its_place_and_the_spec_s_own_never() -> None:
    look = repeats(phrases=Repeated(words=8, share=0.1, least=5))
    phrase = "a testament to the quiet power of small things"
    texts = [f"{' '.join(text(n, 20))}. It’s {phrase}, {' '.join(text(n + 50, 20))}." for n in range(12)]
    assert judged(look, texts) == [""] * 10 + ["phrases"] * 2
    found = look(texts[11], words(texts[11]))
    assert found and texts[11][found.at :].startswith(found.what) and found.what.startswith("It’s a testament")
    own = [f"{' '.join(text(n))} The own words of the spec stand here once more for all." for n in range(20)]
    assert judged(repeats(phrases=Repeated(words=8, share=0.1, least=5)), own) == [""] * 20
    assert judged(repeats(phrases=Repeated(words=8, share=0.1, least=5)), [phrase * 3] * 1) == [""], "once a document"


def test_a_name_that_a_writer_falls_back_on_is_found() -> None:
    texts = [f"{' '.join(text(n))}, and then Elara Voss asked for tea." for n in range(12)]
    look = repeats(names=Repeated(words=2, share=0.1, least=5))
    assert judged(look, texts) == [""] * 10 + ["names"] * 2
    plain = [
        f"{' '.join(text(n))}, and then the Model Spec of SmolLM Two was read. Green Tea. The End" for n in range(20)
    ]
    assert judged(repeats(names=Repeated(words=2, share=0.1, least=5)), plain) == [""] * 20
