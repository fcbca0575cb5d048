"""Sentences of prose in any script."""

import pytest

from msmc.backend.words import num_words
from msmc.prose import sentences


@pytest.mark.parametrize(
    "parts",
    [
        ["ada waits.", "then she goes.", "does she?", "yes."],
        ["Η Άντα περιμένει.", "Μετά φεύγει."],
        ["Ада ждёт.", "потом уходит!", "А. С. Пушкин ждёт."],
        ["عادة تنتظر.", "هل تذهب؟", "نعم."],
        ["עדה מחכה.", "אחר כך היא הולכת."],
        ["Mr. Smith asks Dr. Wu, e.g. about tea vs. Coffee.", "James L. Kraft waits."],
        ["Ada brings tea, milk etc. and waits.", "Then she goes."],
        ["It is 5 p.m. in Rome.", "See no. 5 there.", "3 cups follow."],
        ["Ada answers 'Buy it.'", "**Never lie.**", "`x` is told.", "(So it is.)"],
        ['"It keeps!" he said.', "Wait… what?", "Yes."],
        ["She says no.", "she waits."],
    ],
)
def test_sentences_of_many_scripts(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts


def test_sentences_without_spaces_between() -> None:
    assert sentences("お茶です。水ですか？はい！「ええ。」と言う。") == [
        "お茶です。",
        "水ですか？",
        "はい！",
        "「ええ。」と言う。",
    ]
    assert sentences("") == []


def test_words_of_scripts_without_spaces_are_counted_by_letters() -> None:
    assert num_words("Ada waits “here”.") == 3
    assert num_words("お茶です。") == 3
