"""Documents that are there already, word for word or nearly so.

Candidates come from MinHash (datasketch) over three words in a row; each is then compared in full.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from datasketch import MinHash, MinHashLSH

from msmc.backend.gates.found import Found
from msmc.backend.gates.grams import Grams, grams

SIZE = 3
"""Words of a phrase."""
PERMUTATIONS = 128
SLACK = 0.15
"""Candidates are looked for at so much less than what is near: MinHash errs by 0.09 at most in 95 of 100 cases."""


class Seen:
    """The documents of a corpus so far."""

    def __init__(self, near: float) -> None:
        self._near = near
        self._exact = dict[bytes, int]()
        self._phrases, self.ids = list[Grams](), list[str]()
        self._index = MinHashLSH(threshold=max(0.1, near - SLACK), num_perm=PERMUTATIONS)
        self._like = MinHash(num_perm=PERMUTATIONS, hashfunc=_itself)

    def like(self, parts: Sequence[str], but: str | None = None) -> tuple[str, float] | None:
        """The earlier document that these words are most like, if it is near, and how near (1.0: word for word). `but`: an id
        that does not count."""
        if (same := self._exact.get(_exactly(parts))) is not None and self.ids[same] != but:
            return self.ids[same], 1.0
        own = np.unique(grams(list(parts), SIZE))
        near = [
            (shared, -number)
            for number in sorted(self._index.query(self._sketch(own)))
            if self.ids[number] != but and (shared := _shared(own, self._phrases[number])) >= self._near
        ]
        if not near:
            return None
        shared, number = max(near)
        return self.ids[-number], shared

    def add(self, id: str, parts: Sequence[str]) -> None:
        own = np.unique(grams(list(parts), SIZE))
        number = len(self.ids)
        self.ids.append(id)
        self._phrases.append(own)
        self._exact.setdefault(_exactly(parts), number)
        self._index.insert(number, self._sketch(own), check_duplication=False)

    def _sketch(self, phrases: Grams) -> MinHash:
        sketch = self._like.copy()  # its permutations are drawn once
        if len(phrases):
            sketch.update_batch((phrases & np.uint64(0xFFFFFFFF)).tolist())
        return sketch


def duplicate(seen: Seen, parts: Sequence[str], but: str | None = None) -> Found | None:
    """What of the documents so far these words are again."""
    found = seen.like(parts, but)
    if found is None:
        return None
    other, near = found
    reason = "is another document word for word" if near == 1.0 else "is nearly another document"
    return Found("duplicates", reason, 0, f"{other} ({near:.2f})")


def _itself(number: int) -> int:
    """A phrase is a number already."""
    return number


def _shared(one: Grams, other: Grams) -> float:
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / max(1, len(one) + len(other) - both)


def _exactly(parts: Sequence[str]) -> bytes:
    return hashlib.blake2b(" ".join(parts).encode(errors="surrogatepass"), digest_size=16).digest()
