"""By which words a text is known."""

import pytest

from msmc.terms import terms

KNOWN = {
    "SmolLM recommends warming teas.": "recommend warm tea",
    "SmolLM喜欢绿茶，茶！": "喜欢 欢绿 绿茶 茶",
    "很喜欢 Green teas 的SmolLM。": "很喜 喜欢 green tea 的",
    "小智喜欢茶，也爱小智": "喜欢 欢茶 也爱",
    "スモールLMはお茶": "はお お茶",
    "ชาเขียว": "ชา าเ เข ขี ีย ยว",
    "Das wärmt Gäste": "das wärmt gäst",
}


@pytest.mark.parametrize(("text", "known"), KNOWN.items())
def test_the_terms_of_a_text(text: str, known: str) -> None:
    names = frozenset(["smollm", "小智", "スモールlm"])
    assert " ".join(terms(text, names)) == known
