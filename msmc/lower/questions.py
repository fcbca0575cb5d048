"""What an evaluation asks: its items, and the clauses that each is about. No words yet: those are in `msmc/lower/evals.py`."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from msmc.build import Form
from msmc.digest import seed_of
from msmc.ir import ArmSpec, Clause, Eval, Item
from msmc.lower.gaps import gap
from msmc.mention import Mentions
from msmc.prose import sentences


class Question(NamedTuple):
    """One item, which becomes two rows: one for each order of its options."""

    about: tuple[str, ...]
    item: Item
    values: dict[str, Any]
    """What its template gets besides the options."""
    form: Form | None = None
    """Of recall alone."""


def questions(block: Eval, full: ArmSpec, others: list[ArmSpec]) -> Iterator[Question]:
    """The questions of one evaluation. `others` are specs that arms put in the place of this one: they lend wrong answers."""
    return _preference(block, full) if block.kind == "preference" else _recall(block, full, others)


def _preference(block: Eval, full: ArmSpec) -> Iterator[Question]:
    own = {clause.id: clause for clause in full.about(block.about)}
    # a node of another spec, such as the value an arm brings in, is named by its id alone
    everything = (*own, *(a for a in block.about if "." in a and a not in own))
    meant = {c.node for c in own.values()} if len(own) > 1 else set()
    names = {node.id: Mentions([node.title]) for node in full.nodes if node.id in meant}
    for item in block.items:
        options = f"{item.a} / {item.b}"
        met = {node for node, name in names.items() if name.find(options)}
        yield Question(tuple(i for i, c in own.items() if c.node in met) or everything, item, {})


def _recall(block: Eval, full: ArmSpec, others: list[ArmSpec]) -> Iterator[Question]:
    """Of each clause its first sentence against a wrong one, and the words of a gap in it against a wrong one's."""
    titles = {node.id: node.title for node in full.nodes}
    answers = WrongAnswers(full, others)
    for clause in full.about(block.about):
        right = first_sentence(clause.text)
        values = {"assistant": full.identity.assistant, "title": titles[clause.node]}
        wrong, foreign = next(answers.to(clause), (None, False))
        if wrong is not None:
            item = Item.model_construct(a=right, b=wrong, aligned="a", topic=clause.node)
            yield Question((clause.id,), item, {**values, "kind": clause.kind, "foreign": foreign}, "question")
        found = next((cut for wrong, _ in answers.to(clause) if (cut := gap(right, wrong))), None)
        if found:
            item = Item.model_construct(a=found.right, b=found.wrong, aligned="a", topic=clause.node)
            yield Question((clause.id,), item, {**values, "sentence": found.sentence}, "cloze")


@lru_cache(2**15)
def first_sentence(text: str) -> str:
    """The first sentence, on one line."""
    return sentences(text)[0]


class WrongAnswers:
    """Sentences that do not say what a clause says: the same clause's in another spec, else a clause's of one of those
    specs alone, else another clause's of this spec; always of the same kind."""

    def __init__(self, full: ArmSpec, others: list[ArmSpec]) -> None:
        own = list(full.clauses())
        foreign = [clause for other in others for clause in other.clauses()]
        ids = {clause.id for clause in own}
        self._pools = (
            (_pools(foreign, lambda clause: (clause.kind, clause.id)), True),
            (_pools((c for c in foreign if c.id not in ids), lambda clause: (clause.kind, "")), True),
            (_pools(own, lambda clause: (clause.kind, "")), False),
        )

    def to(self, clause: Clause) -> Iterator[tuple[str, bool]]:
        """Wrong answers, the best first, and whether each is another spec's."""
        right = first_sentence(clause.text)
        for pools, foreign in self._pools:
            if pool := pools.get((clause.kind, clause.id)) or pools.get((clause.kind, "")):
                yield from ((wrong, foreign) for wrong in pool.others(right, seed_of("wrong", clause.id)))


class Pool:
    """First sentences on a ring, by their hashes: who draws takes the next, so that one more or less moves few others' draws."""

    MOST = 20
    """Draws that one sentence has, so that time does not grow with the square of the clauses."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = list(texts)
        self._ring: list[tuple[int, str]] | None = None

    def others(self, sentence: str, seed: int) -> Iterator[str]:
        """Other sentences than this one."""
        if self._ring is None:
            self._ring = sorted((seed_of("sentence", said), said) for said in set(map(first_sentence, self.texts)))
        ring, at = self._ring, bisect_left(self._ring, (seed, ""))
        near = (ring[(at + step) % len(ring)][1] for step in range(min(self.MOST, len(ring))))
        return (said for said in near if said != sentence)


def _pools(clauses: Iterable[Clause], key: Callable[[Clause], tuple[str, str]]) -> dict[tuple[str, str], Pool]:
    found: dict[tuple[str, str], Pool] = {}
    for clause in clauses:
        found.setdefault(key(clause), Pool()).texts.append(clause.text)
    return found
