"""Matching corpora by rows or tokens: whole documents, in an order that keeps the clauses balanced (DESIGN section 5)."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from functools import cache
from typing import Any

from msmc.diagnostics import Failed, fail
from msmc.digest import seed_of

TOLERANCE = 0.01
"""Two corpora are matched when their tokens agree within this share (DESIGN section 5)."""

MOST_GIVEN_UP = 10
"""Hundredths of the smallest corpus that it may lose too, so that all come out alike."""

DROPPED = 8
"""Up to so many rows of the end are left out again where another row comes nearer in their place."""

TRIMMING = (TOLERANCE, DROPPED, MOST_GIVEN_UP)
"""What besides the corpora determines which rows are left of them."""

Sized = list[tuple[dict[str, Any], int]]
"""Rows of a corpus, each with its tokens, or with 1 where rows are counted."""


def num_tokens(text: str, tokenizer: Any) -> int:
    """Of a document as midtraining sees it: it ends with one more."""
    return len(tokenizer(text, add_special_tokens=False).input_ids) + 1


def sized(rows: Iterable[dict[str, Any]], tokenizer: Any = None) -> Sized:
    """By tokens; without a tokenizer each row counts 1."""
    return [(row, num_tokens(row["text"], tokenizer) if tokenizer else 1) for row in rows]


def size(corpus: Sized) -> int:
    return sum(length for _, length in corpus)


def lacking(corpus: Sized, goal: int) -> int:
    """How many further rows bring a corpus to its goal, if they are as long as those that are there."""
    return max(0, math.ceil((goal - size(corpus)) * len(corpus) / max(1, size(corpus))))


def matched(corpora: Mapping[str, Sized]) -> dict[str, Sized]:
    """Each trimmed to the size of the smallest, or where whole documents do not come near it to a little less, so that any two
    agree. Rows that all of them have are kept first. Raises Failed `too-few-rows`."""
    shared = set[str].intersection(*({row["id"] for row, _ in corpus} for corpus in corpora.values()))
    smallest = min(map(size, corpora.values()))
    for given_up in range(MOST_GIVEN_UP + 1):
        goal = round(smallest * (1 - given_up / 100))
        found = {name: _nearest(corpus, goal, shared) for name, corpus in corpora.items()}
        sizes = {name: size(corpus) for name, corpus in found.items()}
        if max(sizes.values()) - min(sizes.values()) <= TOLERANCE * min(sizes.values()):
            return found
    whole = {name: size(corpus) for name, corpus in corpora.items()}
    raise too_few(max(whole, key=whole.__getitem__), max(whole.values()), smallest)


def trimmed(name: str, corpus: Sized, goal: int) -> Sized:
    """As many rows as come nearest to a goal. Raises Failed where they miss it."""
    found = _nearest(corpus, goal, frozenset())
    if abs(size(found) - goal) > TOLERANCE * goal:
        raise too_few(name, size(found), goal)
    return found


def too_few(name: str, tokens: int, goal: int) -> Failed:
    """Whole documents that cannot come near enough to others.

    too-few-rows: Documents that cannot be matched with those of another arm, or of a control.

    Corpora are matched by whole documents, and agree within 1 % of their tokens. A few long documents cannot: one of them is
    more than that. `neutral_documents` has half as many again as are needed, so that these never end before.

    Bad:
        $ msmc ablate tea.msm reasons --set documents.per_clause=1

    Good:
        $ msmc ablate tea.msm reasons --set documents.per_clause=40
    """
    message = f"the documents of `{name}` come to {tokens} tokens, and to match they should have {goal}"
    return fail("too-few-rows", message, "raise documents.per_clause: whole documents then come nearer")


def _nearest(corpus: Sized, goal: int, first: Set[str]) -> Sized:
    """In the order of the corpus: the first of each clause, then the second of each, and so on; before them, in the same way,
    those whose ids are in `first`."""
    order = _in_turns(corpus, first)
    total, num_taken = 0, 0
    while num_taken < len(order) and total + corpus[order[num_taken]][1] <= goal:
        total += corpus[order[num_taken]][1]
        num_taken += 1
    endings = [_ending(corpus, order, num_taken - dropped, goal) for dropped in range(min(DROPPED, num_taken) + 1)]
    taken, _ = min(endings, key=lambda ending: abs(ending[1] - goal))
    return [corpus[number] for number in sorted(taken)]


def _ending(corpus: Sized, order: list[int], num_taken: int, goal: int) -> tuple[list[int], int]:
    """The first rows of an order, and of the others the one that brings them nearest to the goal, if any does."""
    taken, total = order[:num_taken], sum(corpus[number][1] for number in order[:num_taken])
    nearest = min(order[num_taken:], key=lambda number: abs(goal - total - corpus[number][1]), default=None)
    if nearest is None or abs(goal - total - corpus[nearest][1]) >= goal - total:
        return taken, total
    return [*taken, nearest], total + corpus[nearest][1]


def _in_turns(corpus: Sized, first: Set[str]) -> list[int]:
    """Places in the corpus: row 1 of each clause, row 2 of each, …, so that any beginning holds the clauses in equal shares;
    before all others the rows in `first`."""
    seen, turns = Counter[tuple[bool, str]](), list[tuple[bool, int, int, int]]()
    for number, (row, _) in enumerate(corpus):
        later, clause = row["id"] not in first, row["about"][0]
        turns.append((later, seen[later, clause], _seed(clause), number))
        seen[later, clause] += 1
    return [turn[-1] for turn in sorted(turns)]


@cache
def _seed(clause: str) -> int:
    return seed_of("turn", clause)
