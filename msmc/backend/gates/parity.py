"""Arms that are compared: do they name whom they are about as often, and use the same words, outside of what they differ in?

What two arms are declared to differ in is known from their specs: the terms that only one of them has. A sentence with two of
these tells the difference, and so does one that argues where only one arm gives reasons; such sentences are left out. So are
the words of every text that only one arm has, since a sentence may tell it with words that both have elsewhere. Compared are
documents of the same cells where there are enough, else all.

A difference counts as one that is above its threshold and more than chance: STEADY standard errors, by documents. How
far corpora are apart that differ in their seeds alone is what `benchmarks/parity_of_same.py` measures.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from msmc.backend.gates.duplicates import Seen
from msmc.backend.gates.reasons import ARGUES, SENTENCE
from msmc.backend.words import num_words
from msmc.diagnostics import Failed, fail
from msmc.gated import Gated
from msmc.ir import ArmSpec, Identity
from msmc.mention import words
from msmc.prose import WIDE
from msmc.terms import EMPTY, stem, terms

VERSION = 2
"""Part of the comparison's digest: raised when the same corpora would be compared otherwise."""
TELLS = 2
"""Terms of the declared difference in a sentence that tells it."""
STEADY = 5.0
"""Standard errors: of ten thousand words that are compared none is so far off by chance."""
PAIRED = 30
"""Documents of the same cells that are enough to compare those alone; fewer documents than that are not compared at all."""
TOLD = 5
"""Differences that a message names."""


class Corpus(NamedTuple):
    """An arm and its documents."""

    spec: ArmSpec
    rows: Sequence[Mapping[str, Any]]


class Apart(NamedTuple):
    """One figure in which two arms differ by more than they may."""

    arms: tuple[str, str]
    what: str
    """`assistant`, `provider`, or a word."""
    rates: tuple[float, float]
    """For each 100 words; of a word the share of documents that have it."""

    def __str__(self) -> str:
        (one, other), (first, second) = self.arms, self.rates
        if self.what in ("assistant", "provider"):
            return f"the {self.what} is named {first:.2f} times in 100 words of `{one}` and {second:.2f} of `{other}`"
        return f"{first:.0%} of the documents of `{one}` have `{self.what}`, and {second:.0%} of `{other}`"


class Compared(NamedTuple):
    """Two arms."""

    arms: tuple[str, str]
    documents: tuple[int, int]
    naming: dict[str, tuple[float, float]]
    """Rates of the assistant's and of the provider's name for each 100 words."""
    furthest: tuple[str, float, float]
    """The word whose shares of documents differ the most."""
    apart: tuple[Apart, ...]
    alike: tuple[tuple[str, str, float], ...]
    """Documents of different cells that are nearly the same: their ids, and how near they are."""

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {**self._asdict(), "apart": [one._asdict() for one in self.apart]}


def compare(corpora: Mapping[str, Corpus], gated: Gated) -> list[Compared]:
    """Each two arms, by name."""
    return [_compared((one, other), corpora[one], corpora[other], gated) for one, other in combinations(corpora, 2)]


def require_parity(found: Iterable[Compared]) -> None:
    """Raises Failed `parity-broken`."""
    broken = [apart for compared in found for apart in compared.apart]
    if broken:
        raise _broken(broken)


def _broken(apart: list[Apart]) -> Failed:
    """Arms that differ in more than they are declared to differ in.

    parity-broken: Documents of two arms that differ outside of what the arms are declared to differ in.

    Where one arm's documents name the assistant twice as often, or share a word that the other's do not have, a difference
    between the models may come from that alone. The arms' own difference (their terms, and reasons where only one has them) is
    left out of the comparison. It stops the run before anything is trained. The writer is at fault, or one arm's prompts:
    read some documents of both. `gates.parity` holds the thresholds, and null switches it off.

    Bad:
        half of the documents of `rules` begin with "Rulebook", and none of those of `full`

    Good:
        $ msmc ablate tea.msm reasons --set gates.parity.words=0.3
    """
    arms = sorted({name for one in apart for name in one.arms})
    told = "; ".join(map(str, apart[:TOLD])) + (f"; … and {len(apart) - TOLD} more" if len(apart) > TOLD else "")
    message = f"{len(apart)} figures differ between {' and '.join(f'`{name}`' for name in arms)} that should not"
    hint = "read documents of both arms: msmc gate runs; then mend the writer, or raise gates.parity"
    return fail("parity-broken", message, hint, told)


# ---- two arms -------------------------------------------------------------------------------------------------------------


class _Outside(NamedTuple):
    """Of one document what is outside of the declared difference."""

    words: int
    named: Mapping[str, int]
    terms: frozenset[str]


class _Difference:
    """What two arms are declared to differ in."""

    def __init__(self, one: ArmSpec, other: ArmSpec) -> None:
        identities = (one.identity, other.identity)
        self.names = frozenset(
            word for who in identities for name in (who.assistant, who.provider) for word in words(name)
        )
        first, second = (
            frozenset(terms(" ".join(text for _, text in spec.texts()), self.names)) for spec in (one, other)
        )
        self.terms = first ^ second
        texts = [{text for _, text in spec.texts()} for spec in (one, other)]
        self.declared = frozenset(terms(" ".join(sorted(texts[0] ^ texts[1])), self.names))
        """Of the texts that only one of them has, whether or not another text has them too."""
        reasoned = [any(clause.kind == "rationale" for clause in spec.clauses()) for spec in (one, other)]
        self.argued = reasoned[0] != reasoned[1]

    def outside(self, text: str, identity: Identity) -> _Outside:
        num, found, named = 0, set[str](), Counter[str]()
        for match in SENTENCE.finditer(text):
            said = terms(match[0], self.names)
            if sum(term in self.terms for term in said) >= TELLS or (self.argued and ARGUES.search(match[0])):
                continue
            num += num_words(match[0])
            named["assistant"] += match[0].count(identity.assistant)
            named["provider"] += match[0].count(identity.provider)
            found.update(said if re.search(WIDE, match[0]) else self._words(match[0]))
        return _Outside(num, named, frozenset(found) - self.declared)

    def _words(self, sentence: str) -> Iterator[str]:
        """Those that say something, as they stand there."""
        return (w for w in words(sentence) if w not in EMPTY and w not in self.names and stem(w) not in self.declared)


def _compared(arms: tuple[str, str], one: Corpus, other: Corpus, gated: Gated) -> Compared:
    difference, how = _Difference(one.spec, other.spec), gated.parity
    sides = [
        [difference.outside(row["text"], corpus.spec.identity) for row in _rows(corpus, beside)]
        for corpus, beside in ((one, other), (other, one))
    ]
    numbers = (len(sides[0]), len(sides[1]))
    held = how if how and min(numbers) >= PAIRED else None
    naming, apart = dict[str, tuple[float, float]](), list[Apart]()
    for what in ("assistant", "provider"):
        each = [[100 * document.named[what] / max(1, document.words) for document in side] for side in sides]
        rates = (_mean(each[0]), _mean(each[1]))
        naming[what] = rates
        if held and max(rates) > (1 + held.naming) * min(rates) and _steady(rates, [_variance(side) for side in each]):
            apart.append(Apart(arms, what, rates))
    furthest = ("", 0.0, 0.0)
    for word, shares in _shares(sides):
        off = abs(shares[0] - shares[1])
        if off > abs(furthest[1] - furthest[2]):
            furthest = (word, *shares)
        errors = [share * (1 - share) / max(1, number) for share, number in zip(shares, numbers, strict=True)]
        if held and off > held.words and _steady(shares, errors):
            apart.append(Apart(arms, word, shares))
    apart.sort(key=lambda found: (found.what not in naming, -abs(found.rates[0] - found.rates[1]), found.what))
    return Compared(arms, numbers, naming, furthest, tuple(apart), tuple(_alike(one, other, gated)))


def _rows(corpus: Corpus, beside: Corpus) -> list[Mapping[str, Any]]:
    """The written documents; those of cells that the other arm has too, where they are enough."""
    rows, theirs = [row for row in corpus.rows if "cell" in row], {row["id"] for row in beside.rows}
    paired = [row for row in rows if row["id"] in theirs]
    return paired if len(paired) >= PAIRED else rows


def _shares(sides: list[list[_Outside]]) -> Iterator[tuple[str, tuple[float, float]]]:
    """Of each word the shares of documents that have it, words in their order."""
    counts = [Counter(term for document in side for term in document.terms) for side in sides]
    for word in sorted(counts[0].keys() | counts[1].keys()):
        yield word, (counts[0][word] / max(1, len(sides[0])), counts[1][word] / max(1, len(sides[1])))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


def _variance(values: Sequence[float]) -> float:
    """Of their mean."""
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values) / max(1, len(values) * (len(values) - 1))


def _steady(rates: Sequence[float], variances: Sequence[float]) -> bool:
    """Whether a difference is more than chance."""
    return abs(rates[0] - rates[1]) > STEADY * math.sqrt(sum(variances))


def _alike(one: Corpus, other: Corpus, gated: Gated) -> Iterator[tuple[str, str, float]]:
    """Documents of the second arm that are nearly one of another cell of the first. Those of one cell may be alike."""
    if gated.duplicates is None:
        return
    seen = Seen(gated.duplicates.near)
    for row in one.rows:
        seen.add(row["id"], words(row["text"]))
    theirs = {row["id"] for row in one.rows}
    for row in other.rows:
        if row["id"] not in theirs and (found := seen.like(words(row["text"]))):
            yield (found[0], row["id"], round(found[1], 3))
