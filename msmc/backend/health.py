"""Health of a corpus: what the gates kept, how much it repeats itself, how long its documents are, how evenly they spread.

It is worked out where a corpus is written, and kept as health.json in the stage's folder: a page is made in seconds, whatever it
is of. The order of the documents changes nothing in it. What repeats itself the more the longer a text is, is measured on a
sample of the same number of words in every corpus.
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import chain, islice
from typing import Any

from msmc.backend.gates.duplicates import Seen
from msmc.backend.tokens import Tokens
from msmc.backend.words import HAS_WIDE, WORD
from msmc.digest import digest
from msmc.ir import ArmSpec
from msmc.mention import words
from msmc.terms import terms

HEALTH = "health.json"
SAMPLE, WORDS = 1_000, 100_000
"""Documents that repetition, terms and likeness are measured on, at most, and words of repetition and terms."""
DRAWN = 20
"""Documents that are shown beside their cells."""
ALIKE, PAIRS = 0.4, 5
"""What two documents share of their phrases to be shown side by side, and pairs that are, of those that were kept and of those
that a gate took one of."""
CHARACTERS = 4_000
"""Of a document that is shown, at most."""
AN_OCTAVE = 8
"""Bins of lengths from one number of tokens to its double: the same in every corpus, whatever its longest document."""
AXES = ("kind", "audience", "angle")
BROUGHT = ("source", "domain")
"""What rows of the author's say of themselves."""
ROW = re.compile(r"\b[a-z]+-[0-9a-f]{16}\b")
QUOTED = re.compile(r'"[^"]*"|`[^`]*`')
Row = Mapping[str, Any]
Read = Callable[[], Iterator[Row]]
"""The rows of a file, read anew each time: a corpus is larger than what is held of it."""


def health(spec: ArmSpec, kept: Read, quarantined: Read, tokens: Tokens) -> dict[str, Any]:
    """What health.json holds. `kept` are the rows that are trained on."""
    rows = _sampled(kept)
    sample = _texts(rows)
    return {
        "documents": sum(1 for _ in kept()),
        "writers": Counter(str(row["source"]["writer"]) for row in kept()),
        "quarantined": Counter(kind_of(row["reason"]) for row in quarantined()),
        "clauses": _by_clause(kept, quarantined),
        "lengths": _lengths((tokens.count(row["text"]) for row in kept()), tokens),
        "repetition": _repetition(sample),
        "spread": _spread(kept, quarantined, sample, spec),
        "drawn": [shown(row) for row in nsmallest(DRAWN, kept(), key=lambda row: digest("drawn", row["id"]))],
        "alike": {"among": len(rows), "pairs": [*_taken(kept, quarantined), *_alike(rows)]},
    }


def kind_of(reason: str) -> str:
    """A reason without what it says of one row: its words, and other rows."""
    return QUOTED.sub("…", ROW.sub("another", reason))


def shown(row: Row) -> dict[str, Any]:
    """A document for a reader, with what it was planned for."""
    text = str(row["text"])
    cut = {"left_out": len(text) - CHARACTERS} if len(text) > CHARACTERS else {}
    return (
        {key: row[key] for key in ("id", "about", "cell", "source") if key in row} | {"text": text[:CHARACTERS]} | cut
    )


def _by_clause(kept: Read, quarantined: Read) -> dict[str, Any]:
    """What the author brought counts for each clause that it is about."""
    found: dict[str, dict[str, Any]] = {}
    for row in chain(kept(), quarantined()):
        for clause in [row["cell"]["clause"]] if "cell" in row else row["about"]:
            counts = found.setdefault(clause, {"kept": 0, "quarantined": Counter()})
            if "reason" in row:
                counts["quarantined"][kind_of(row["reason"])] += 1
            else:
                counts["kept"] += 1
    return found


# ---- lengths ------------------------------------------------------------------------------------------------------------------


def _lengths(counts: Iterable[float], tokens: Tokens) -> dict[str, Any]:
    """In tokens; `bins` by number, see `edge`. `counted` where the target's tokenizer was at hand, else they are by a rate."""
    found = sorted(max(1, round(count)) for count in counts)
    if not found:
        return {"counted": True, "bins": {}}
    bins = Counter(math.floor(AN_OCTAVE * math.log2(count)) for count in found)
    return {
        "counted": tokens.tokenizer is not None,
        "total": sum(found),
        "least": found[0],
        "median": found[len(found) // 2],
        "most": found[-1],
        "bins": {str(number): bins[number] for number in sorted(bins)},
    }


def edge(number: int) -> float:
    """Where a bin begins, in tokens."""
    return float(2 ** (number / AN_OCTAVE))


# ---- repetition ---------------------------------------------------------------------------------------------------------------


def _sampled(kept: Read) -> list[Row]:
    """Documents by the digests of their texts, so that copies stand together."""
    return nsmallest(SAMPLE, kept(), key=lambda row: (digest(row["text"]), row["id"]))


def _texts(rows: list[Row]) -> list[str]:
    """The first of them, up to WORDS words."""
    found, left = list[str](), WORDS
    for row in rows:
        if left <= 0:
            break
        found.append(str(row["text"]))
        left -= len(words_of(found[-1]))
    return found


def words_of(text: str) -> Sequence[str]:
    """Case-folded; in a script without spaces every two letters are a word."""
    return WORD.findall(text.casefold()) if HAS_WIDE.search(text) else words(text)


def _repetition(texts: list[str]) -> dict[str, Any]:
    """Of a sample: `distinct`, of all runs of one, two and three words the share that are different ones; `compression`, how many
    bytes zlib makes one of. zlib looks back 32 KB: it sees copies because these stand together."""
    said = list(_cut([words_of(text) for text in texts], WORDS))
    whole = "\n\n".join(texts).encode()
    return {
        "documents": len(texts),
        "words": sum(map(len, said)),
        "distinct": [distinct(said, n) for n in (1, 2, 3)],
        "compression": round(len(whole) / len(zlib.compress(whole, 9)), 3) if whole else None,
    }


def _cut(texts: Iterable[Sequence[str]], most: int) -> Iterator[Sequence[str]]:
    for text in texts:
        yield text[:most]
        most -= len(text[:most])


def distinct(texts: Sequence[Sequence[str]], n: int) -> float | None:
    """Different n-grams of words, as a share of all; none runs over the end of a text. None where there are none."""
    found, number = set[tuple[str, ...]](), 0
    for text in texts:
        found.update(zip(*(islice(text, at, None) for at in range(n)), strict=False))
        number += max(0, len(text) - n + 1)
    return round(len(found) / number, 4) if number else None


# ---- likeness -----------------------------------------------------------------------------------------------------------------


def _alike(rows: list[Row]) -> list[dict[str, Any]]:
    """The documents of a sample that share most of their phrases, the worst first."""
    seen, by_id, found = Seen(ALIKE), dict[str, Row](), list[tuple[float, str, str]]()
    for row in rows:
        parts = words(row["text"])
        if near := seen.like(parts):
            one, other = sorted((near[0], str(row["id"])))
            found.append((-near[1], one, other))
        seen.add(row["id"], parts)
        by_id[row["id"]] = row
    return [_pair(-shared, by_id[one], by_id[other]) for shared, one, other in nsmallest(PAIRS, found)]


def _taken(kept: Read, quarantined: Read) -> list[dict[str, Any]]:
    """Documents that the gate took since they are nearly others, each with the other one, the worst first."""
    near = ((*_other(row), row) for row in quarantined() if row.get("gate") == "duplicates")
    worst = nsmallest(PAIRS, near, key=lambda told: (-told[1], told[2]["id"]))
    wanted = {other for other, _, _ in worst}
    there = {row["id"]: row for row in kept() if row["id"] in wanted}
    return [_pair(shared, there[other], row) for other, shared, row in worst if other in there]


def _other(row: Row) -> tuple[str, float]:
    """What the gate says of it: `ID (SHARE)`."""
    other, _, shared = str(row["place"]["found"]).partition(" ")
    return other, float(shared.strip("()"))


def _pair(shared: float, one: Row, other: Row) -> dict[str, Any]:
    return {"shared": round(shared, 3), "documents": [shown(one), shown(other)], "taken": other.get("reason")}


# ---- spread -------------------------------------------------------------------------------------------------------------------


def _spread(kept: Read, quarantined: Read, sample: list[str], spec: ArmSpec) -> list[dict[str, Any]]:
    """How evenly documents spread over the axes of their cells, over cells, over what the author's rows say of themselves, and
    over terms: in how many documents of the sample each of them stands."""
    there: dict[str, Counter[str]] = {axis: Counter() for axis in (*AXES, "cell", *BROUGHT)}
    for row in kept():
        for axis, counts in there.items():
            counts.update(filter(None, [_place(row, axis)]))
    every = {axis: {*counts} for axis, counts in there.items()}
    for row in quarantined():
        for axis, places in every.items():
            places.update(filter(None, [_place(row, axis)]))
    found = [
        {"over": axis, "of": len(every[axis]), "there": len(counts), "effective": effective(counts)}
        for axis, counts in there.items()
        if every[axis]
    ]
    names = frozenset([*words(spec.identity.assistant), *words(spec.identity.provider)])
    told = Counter(term for text in sample for term in {*terms(text, names)})
    return [*found, {"over": "term", "of": len(told), "there": len(told), "effective": effective(told)}]


def _place(row: Row, axis: str) -> str:
    """Where a row stands on an axis; nothing where it stands on none."""
    if axis in BROUGHT:
        said = row["source"].get(axis)
        return said if isinstance(said, str) else ""
    if "cell" not in row:
        return ""
    return str(row["cell"][axis]) if axis != "cell" else "\n".join(str(row["cell"][name]) for name in AXES)


def effective(counts: Mapping[str, int]) -> float:
    """How many equally frequent ones would be as varied: e to the entropy (Hill's number of order 1). All that are there where
    they are equally frequent, 1 where one of them is everything."""
    number = sum(counts.values())
    if not number:
        return 0.0
    entropy = math.log(number) - math.fsum(count * math.log(count) for count in counts.values() if count) / number
    return round(math.exp(entropy), 2)
