"""Words in a row as numbers, many at a time: the same in every process."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Grams = NDArray[np.uint64]
FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no bit of a word is lost; its bits are as good as random."""


@lru_cache(2**18)
def _number(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest())


def grams(parts: Sequence[str], size: int) -> Grams:
    """Of each `size` words in a row one number, in their order; of fewer words none."""
    if len(parts) < size:
        return np.empty(0, np.uint64)
    numbers = np.fromiter(map(_number, parts), np.uint64, len(parts))
    length = len(parts) - size + 1
    found = np.zeros(length, np.uint64)
    for at in range(size):
        found = found * FACTOR + numbers[at : at + length]
    return found ^ (found >> np.uint64(29))
