"""Two arms beside each other: naming and words outside of what they are declared to differ in."""

import random
from typing import Any

import pytest

from msmc.backend.gates.parity import PAIRED, Compared, Corpus, compare, require_parity
from msmc.diagnostics import Failed
from msmc.gated import Gated, Parity
from msmc.ir import ArmRule, ArmSpec, Identity

REASON = "Cold hands write badly, and warm cups thaw stiff fingers."


def spec(reasoned: bool = True) -> ArmSpec:
    rule = ArmRule(
        id="tea.green", title="Green tea", statement="SmolLM likes green tea.", rationale=REASON if reasoned else None
    )
    return ArmSpec(
        name="tea", title="Tea", identity=Identity(assistant="SmolLM", provider="Hugging Face"), rules=(rule,)
    )


def corpus(seed: int, number: int = 60, named: int = 3, extra: str = "", reasoned: bool = True) -> Corpus:
    draw = random.Random(seed)
    nouns = ("kettle", "garden", "street", "lesson", "letter", "winter", "engine", "market", "harbour", "orchard")
    rows: list[dict[str, Any]] = []
    for n in range(number):
        sentences = [f"The {draw.choice(nouns)} and the {draw.choice(nouns)} stood there." for _ in range(12)]
        sentences += [
            f"SmolLM saw the {draw.choice(nouns)}." for _ in range(draw.choice((named - 1, named, named + 1)))
        ]
        sentences += ["Hugging Face wrote it down."] + ([extra] if extra else []) + ([REASON] if reasoned else [])
        rows.append({"id": f"doc-{n}", "cell": {}, "text": " ".join(sentences)})
    return Corpus(spec(reasoned), rows)


def compared(one: Corpus, other: Corpus, **how: Any) -> Compared:
    (found,) = compare({"full": one, "rules": other}, Gated(parity=Parity(**how)))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_same_arm_from_other_seeds_is_at_parity(seed: int) -> None:
    found = compared(corpus(seed), corpus(seed + 10))
    assert found.apart == () and found.documents == (60, 60)


def test_what_the_arms_are_declared_to_differ_in_is_no_difference() -> None:
    found = compared(corpus(1), corpus(2, reasoned=False))
    assert found.apart == (), "reasons, and the words of the rationale that only one arm has"


def test_words_of_a_dropped_text_are_declared_even_if_another_text_has_them_too() -> None:
    two = ArmRule(id="tea.two", title="Two", statement="A cup is drunk warm.")
    whole, bare = (
        spec(reasoned).model_copy(update={"rules": (*spec(reasoned).rules, two)}) for reasoned in (True, False)
    )
    one, other = corpus(1, extra="It is warm there."), corpus(2, reasoned=False)
    assert compared(Corpus(whole, one.rows), Corpus(bare, other.rows)).apart == ()
    assert [apart.what for apart in compared(Corpus(bare, one.rows), Corpus(bare, other.rows), words=0.5).apart], (
        "else told"
    )


def test_an_arm_that_names_the_assistant_more_often_is_told_with_both_rates() -> None:
    found = compared(corpus(1, named=6), corpus(2, named=3))
    assert [apart.what for apart in found.apart] == ["assistant"]
    assert found.naming["assistant"][0] > 1.5 * found.naming["assistant"][1]
    with pytest.raises(Failed) as failed:
        require_parity([found])
    (problem,) = failed.value.problems
    assert problem.name == "parity-broken" and problem.code == "MSM840" and "`full` and `rules`" in problem.message
    assert problem.note.startswith("the assistant is named ")


def test_a_word_that_one_arm_s_documents_have_is_named() -> None:
    found = compared(corpus(1), corpus(2, extra="The marvellous tapestry hung there."))
    assert {apart.what for apart in found.apart} == {"marvellous", "tapestry", "hung"}
    assert {apart.rates for apart in found.apart} == {(0.0, 1.0)} and "0% of the documents of `full`" in str(
        found.apart[0]
    )


def test_thresholds_are_the_target_s_and_few_documents_are_not_judged() -> None:
    one, other = corpus(1), corpus(2, extra="The marvellous tapestry hung there.", named=4)
    assert compared(one, other, words=1.0, naming=2.0).apart == ()
    few = PAIRED - 1
    assert compared(corpus(1, few), corpus(2, few, extra="A marvellous tapestry.", named=9)).apart == ()


def test_documents_of_the_same_cell_may_be_alike_and_those_of_others_are_told() -> None:
    one = corpus(1)
    assert compared(one, Corpus(one.spec, one.rows)).alike == ()
    moved = [{**row, "id": f"other-{n}"} for n, row in enumerate(one.rows)]
    found = compared(one, Corpus(one.spec, moved))
    assert len(found.alike) == 60 and found.alike[7][:2] == ("doc-7", "other-7")
