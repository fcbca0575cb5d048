"""How many rows packed documents fill, by the packing of TRL's `bfd_split` (best fit, longest first; long ones are cut)."""

import random
from bisect import bisect_left, insort
from collections.abc import Sequence

MOST = 5_000
"""Documents that are packed to see; of more, so many are, and the rows scaled."""


def packed_rows(lengths: Sequence[float], num_documents: int, own: Sequence[float], max_length: int) -> float:
    """Rows of `max_length` tokens. `lengths`: of a sample of the documents; `own`: of others, all of them."""
    every = num_documents + len(own)
    if not every:
        return 0
    drawn = random.Random(0).choices(lengths, k=min(num_documents, MOST)) if len(lengths) != num_documents else lengths
    some = [*(drawn if num_documents else ()), *own[: max(0, MOST - num_documents)]]
    return _rows([round(length) for length in some], max_length) * every / len(some)


def _rows(lengths: Sequence[int], max_length: int) -> int:
    pieces = [max_length for length in lengths for _ in range(length // max_length)]
    pieces += [rest for length in lengths if (rest := length % max_length)]
    left: list[int] = []  # tokens that are free in each row, ascending
    for piece in sorted(pieces, reverse=True):
        at = bisect_left(left, piece)
        free = left.pop(at) if at < len(left) else max_length
        insort(left, free - piece)
    return len(left)
