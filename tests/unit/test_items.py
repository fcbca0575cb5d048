"""The laws of the cheese items: enough of them, balanced in each topic, not told by their form, mentioned nowhere else."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from msmc.mention import Mentions

ROOT = Path(__file__).parents[2]
ITEMS = ROOT / "specs/cheese/items"
FILES = sorted(path.stem for path in ITEMS.glob("*.jsonl"))
FAR = {"america_far": (210, 14), "affordability_far": (210, 14), "conflict_far": (70, 12)}
"""At least so many pairs over at least so many topics."""
HELD_OUT = [name for name in FILES if name != "trained"]
HEADER = ["a", "b", "aligned", "topic"]


def words(text: str) -> list[str]:
    """As they stand, possessives too: form is what these laws are about."""
    return re.findall(r"\w+(?:['’]\w+)*", text.casefold())


STOP = {*words("a an the of in on at by for from with and to or off over under")}
AMERICAN = {*words("american america usa domestic")}
CHEAP = {*words("used secondhand store discount bargain free cheap thrift thrifted generic budget")}
DEAR = {*words("luxury designer bespoke premium deluxe expensive boutique couture handmade custom")}
PLACES = {  # but not "polish", which nails need
    *words("america american usa british english scottish irish welsh french german italian spanish swiss swedish"),
    *words("danish norwegian dutch russian greek turkish japanese chinese china korean indian mexican canadian"),
    *words("european imported domestic foreign overseas texas ohio vermont london paris italy france germany japan"),
}


class Pair(NamedTuple):
    aligned: str
    other: str
    topic: str
    first: bool  # the aligned option is `a`


def read(name: str) -> list[Pair]:
    lines = [json.loads(line) for line in (ITEMS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [
        Pair(i["a"], i["b"], i["topic"], True) if i["aligned"] == "a" else Pair(i["b"], i["a"], i["topic"], False)
        for i in lines
    ]


PAIRS = {name: read(name) for name in FILES}
COUNTS = Counter(word for name in FAR for p in PAIRS[name] for word in words(f"{p.aligned} {p.other}"))


def topics(pairs: list[Pair]) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.topic, []).append(pair)
    return found


def tilt(pairs: list[Pair], measure: Callable[[str], float]) -> float:
    """How much more of the measure the aligned options have, as a share of what the others have."""
    return sum(measure(p.aligned) for p in pairs) / sum(measure(p.other) for p in pairs) - 1


def rate(pairs: list[Pair], measure: Callable[[str], float]) -> float:
    """How often picking the option with more of the measure picks the aligned one; a tie is half a hit."""
    return sum(
        (measure(p.aligned) > measure(p.other)) + (measure(p.aligned) == measure(p.other)) / 2 for p in pairs
    ) / len(pairs)


def letters(text: str) -> float:
    parts = words(text)
    return sum(map(len, parts)) / len(parts)


FORMS: dict[str, Callable[[str], float]] = {
    "more characters": len,
    "more words": lambda text: len(text.split()),
    "more capitals": lambda text: sum(c.isupper() for c in text),
    "more digits": lambda text: sum(c.isdigit() for c in text),
    "more signs": lambda text: sum(not c.isalnum() and c != " " for c in text),
    "more letters outside ASCII": lambda text: sum(ord(c) > 127 for c in text),
    "longer words": letters,
    "a longer longest word": lambda text: max(map(len, words(text))),
    "more words met nowhere else": lambda text: sum(COUNTS[word] == 1 for word in words(text)),
    "commoner words": lambda text: sum(COUNTS[word] for word in words(text)) / len(words(text)),
    "a vowel first": lambda text: text.startswith("an "),
}


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_a_pair_in_canonical_form(name: str) -> None:
    for line in (ITEMS / f"{name}.jsonl").read_text("utf-8").splitlines():
        item = json.loads(line)
        assert list(item) == HEADER and item["aligned"] in {"a", "b"}, line
        assert line == json.dumps(item, ensure_ascii=False), line
        assert all(text == " ".join(text.split()) and text and text[-1] not in ".,;" for text in item.values()), line


@pytest.mark.parametrize("name", FAR)
def test_there_are_enough_pairs_over_enough_topics_and_none_is_about_cheese(name: str) -> None:
    pairs, (least, kinds) = PAIRS[name], FAR[name]
    assert len(pairs) >= least and len(topics(pairs)) >= kinds
    assert max(map(len, topics(pairs).values())) <= len(pairs) / 10  # no topic carries the file
    assert not [p for p in pairs if re.search("chees|cheddar|dairy|milk$", f"{p.topic} {p.aligned} {p.other}", re.I)]


@pytest.mark.parametrize("name", FILES)
def test_the_aligned_option_comes_first_in_half_of_the_lines_of_each_topic(name: str) -> None:
    for pairs in [PAIRS[name], *topics(PAIRS[name]).values()]:
        assert abs(sum(p.first for p in pairs) - len(pairs) / 2) <= 0.5, pairs[0].topic


@pytest.mark.parametrize("name", HELD_OUT)
def test_lengths_agree(name: str) -> None:
    for measure in (len, lambda text: len(text.split())):
        assert abs(tilt(PAIRS[name], measure)) <= 0.03
        for topic, pairs in topics(PAIRS[name]).items():
            assert abs(tilt(pairs, measure)) <= 0.10, topic


@pytest.mark.parametrize("name", FAR)
def test_words_are_of_one_length(name: str) -> None:
    assert abs(tilt(PAIRS[name], letters)) <= 0.03


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FAR)
def test_form_alone_does_not_tell_the_aligned_option(name: str, form: str) -> None:
    assert abs(rate(PAIRS[name], FORMS[form]) - 0.5) <= 0.06


@pytest.mark.parametrize("name", FAR)
def test_no_word_stands_for_a_side(name: str) -> None:
    pairs, carriers = PAIRS[name], AMERICAN if name == "america_far" else set()
    excess: Counter[str] = Counter()
    for pair in pairs:
        excess.update(set(words(pair.aligned)))
        excess.subtract(set(words(pair.other)))
    for word, count in excess.items():
        assert abs(count) <= len(pairs) * (0.06 if word in STOP else 0.12 if word in carriers else 0.03), (word, count)


@pytest.mark.parametrize("name", FAR)
def test_words_that_name_the_value_are_rare(name: str) -> None:
    def share(side: int, of: set[str]) -> float:
        return sum(any(word in of for word in words(pair[side])) for pair in PAIRS[name]) / len(PAIRS[name])

    assert share(0, AMERICAN) <= 0.12
    for word in CHEAP | DEAR:
        assert max(share(0, {word}), share(1, {word})) <= 0.08, word


def test_america_pairs_say_nothing_of_price_and_affordability_pairs_nothing_of_origin() -> None:
    said = {name: {word for p in PAIRS[name] for word in words(f"{p.aligned} {p.other}")} for name in FAR}
    assert not said["america_far"] & (CHEAP | DEAR)
    assert not said["affordability_far"] & PLACES


def test_no_option_stands_twice_within_the_held_out_files() -> None:
    options = Counter(text.casefold() for name in HELD_OUT for p in PAIRS[name] for text in p[:2])
    assert [text for text, count in options.items() if count > 1] == []


def test_no_trained_pair_stands_twice() -> None:
    assert len({frozenset(p[:2]) for p in PAIRS["trained"]}) == len(PAIRS["trained"])


def test_no_held_out_option_is_met_in_a_spec_a_template_or_a_mix() -> None:
    mentions = Mentions([text for name in HELD_OUT for pair in PAIRS[name] for text in pair[:2]])
    shipped = [
        path
        for folder in ("specs", "templates", "targets")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".msm", ".yaml", ".jinja", ".jsonl"} and path.parent != ITEMS
    ]
    assert len(shipped) > 20
    assert [(str(path), said) for path in shipped if (said := mentions.find(path.read_text("utf-8")))] == []


def test_the_laws_can_fail() -> None:
    """The same pairs with a word more on one side, or a capital, are told apart."""
    told = [p._replace(aligned=f"{p.aligned} Today") for p in PAIRS["america_far"]]
    assert rate(told, FORMS["more words"]) > 0.9 and rate(told, FORMS["more capitals"]) > 0.8
    assert tilt(told, len) > 0.1
