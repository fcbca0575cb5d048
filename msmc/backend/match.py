"""Matching corpora by tokens: whole documents, in an order that keeps the clauses balanced."""

from collections.abc import Iterable
from typing import Any

from msmc.diagnostics import fail

TOLERANCE = 0.01
"""Two corpora are matched when their tokens agree within this share (DESIGN section 5)."""


def num_tokens(texts: Iterable[str], tokenizer: Any) -> int:
    """Tokens of documents as midtraining sees them: each ends with one more."""
    return sum(_length(text, tokenizer) for text in texts)


def _length(text: str, tokenizer: Any) -> int:
    return len(tokenizer(text, add_special_tokens=False).input_ids) + 1


def trimmed(rows: list[dict[str, Any]], tokens: int, tokenizer: Any) -> tuple[list[dict[str, Any]], int]:
    """As many rows as `tokens` hold, and their tokens: the first of each clause, then the second of each, and so on.

    At the end the row that comes nearest is taken. Raises Failed `too-few-rows` when all of them are not enough.

    too-few-rows: Rows that end before as many tokens are there as a control is to have.

    `neutral_documents` is trimmed to the tokens of `full`'s documents by whole rows, and needs enough of them.

    `msmc compile` plans half as many again, so that this is a mistake of msmc's: please report it.

    Bad:
        neutral documents of 80,000 tokens beside the spec's own of 100,000

    Good:
        neutral documents of 150,000 tokens, trimmed to 100,000
    """
    taken, total = list[dict[str, Any]](), 0
    left = [(row, _length(row["text"], tokenizer)) for row in _in_turns(rows)]
    while left and total + left[0][1] <= tokens:
        row, length = left.pop(0)
        taken, total = [*taken, row], total + length
    nearest = min(left, key=lambda pair: abs(tokens - total - pair[1]), default=None)
    if nearest and abs(tokens - total - nearest[1]) < tokens - total:
        taken, total = [*taken, nearest[0]], total + nearest[1]
    if nearest is None and total < (1 - TOLERANCE) * tokens:
        raise fail(
            "too-few-rows",
            f"the neutral documents have {total} tokens, the spec's own {tokens}",
            "this is a mistake of msmc's plan: please report it",
        )
    order = {id(row): number for number, row in enumerate(rows)}
    return sorted(taken, key=lambda row: order[id(row)]), total


def _in_turns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Row 1 of each clause, row 2 of each, …: any beginning of it holds the clauses in equal shares."""
    seen: dict[str, int] = {}
    turns = []
    for number, row in enumerate(rows):
        clause = row["cell"]["clause"]
        turns.append((seen.get(clause, 0), number, row))
        seen[clause] = seen.get(clause, 0) + 1
    return [row for _, _, row in sorted(turns, key=lambda turn: turn[:2])]
