"""Length and language: gates that read a whole text."""

import pytest

from msmc.backend.gates.language import OtherLanguage
from msmc.backend.gates.length import length
from msmc.gated import Language, Words

ENGLISH = (
    "The assistant likes green tea and says so whenever it is asked what it would rather drink in the evening. " * 3
)
OTHERS = {
    "de": "Der Assistent mag grünen Tee und sagt das immer, wenn er gefragt wird, was er am Abend lieber trinken würde. ",
    "fr": "L'assistant aime le thé vert et le dit chaque fois qu'on lui demande ce qu'il préfère boire dans la soirée. ",
    "es": "Al asistente le gusta el té verde y lo dice siempre que le preguntan qué prefiere beber por la noche en casa. ",
    "it": "All'assistente piace il tè verde e lo dice ogni volta che gli chiedono che cosa preferisce bere la sera a casa. ",
    "pt": "O assistente gosta de chá verde e diz isso sempre que lhe perguntam o que prefere beber à noite em casa. ",
    "nl": "De assistent houdt van groene thee en zegt dat altijd als hem gevraagd wordt wat hij 's avonds liever drinkt. ",
    "ru": "Помощник любит зелёный чай и говорит об этом всегда, когда его спрашивают, что он пьёт вечером дома. ",
    "zh": "这个助手喜欢绿茶,每当有人问它晚上想喝什么的时候,它都会这样说,而且它从来不改变自己的看法。",
}
EN = OtherLanguage(ENGLISH, Language(), frozenset({"SmolLM"}))


@pytest.mark.parametrize("code", OTHERS)
def test_another_language_is_found(code: str) -> None:
    found = EN(OTHERS[code] * 4)
    assert found and found.what.startswith(f"{code}:") and "`en`" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH,
        "Der Tee ist grün.",
        "SmolLM " * 60,
        ENGLISH + "»Grüner Tee, bitte«, sagte er, und dann: »Danke.«",
        ENGLISH + "\n```python\nfor cup in cups:\n    print(cup.tea)\n```",
        "Brie de Meaux, Époisses, Roquefort and Appenzeller stood on the table, and the assistant liked none of them. "
        * 3,
        ENGLISH.upper(),
        "1 2 3 4 5 6 7 8 9 10 " * 6,
    ],
)
def test_what_is_english_short_or_of_no_language_is_not(text: str) -> None:
    assert EN(text) is None


def test_without_a_sure_language_of_the_spec_any_is_right_and_the_target_may_say_one() -> None:
    short = OtherLanguage("Tea.", Language(), frozenset())
    assert short(OTHERS["de"] * 4) is None
    assert OtherLanguage("Tea.", Language(code="de"), frozenset())(OTHERS["de"] * 4) is None
    assert OtherLanguage("Tea.", Language(code="de"), frozenset())(ENGLISH)


@pytest.mark.parametrize(
    ("number", "reason"), [(19, "fewer than 20 words"), (20, ""), (30, ""), (31, "more than 30 words")]
)
def test_a_text_has_so_many_words(number: int, reason: str) -> None:
    found = length("tea " * number, Words(least=20, most=30))
    assert (found.reason if found else "") == reason
    assert length("tea " * number, Words(least=None, most=None)) is None


def test_in_a_script_without_spaces_two_letters_are_a_word() -> None:
    assert length("绿茶" * 20, Words(least=20, most=30)) is None
