"""Documents that are there already, word for word or nearly so.

Candidates come from MinHash (datasketch) over three words in a row; each is then compared in full.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from datasketch import MinHash, MinHashLSH

from msmc.backend.gates.found import Found
from msmc.backend.gates.grams import Grams, grams

SIZE = 3
"""Words of a phrase."""
PERMUTATIONS = 128
SLACK = 0.15
"""Candidates are looked for at so much less than what is near: MinHash errs by 0.09 at most in 95 of 100 cases."""


class _Looked(NamedTuple):
    """What is made of a document's words, for looking it up and for adding it."""

    exactly: bytes
    phrases: Grams
    sketch: MinHash


class Seen:
    """The documents of a corpus so far."""

    def __init__(self, near: float) -> None:
        self._near = near
        self._exact = dict[bytes, int]()
        self._phrases, self.ids = list[Grams](), list[str]()
        self._index = MinHashLSH(threshold=max(0.1, near - SLACK), num_perm=PERMUTATIONS)
        self._like = MinHash(num_perm=PERMUTATIONS, hashfunc=_itself)
        self._last: _Looked | None = None

    def like(self, parts: Sequence[str], but: str | None = None) -> tuple[str, float] | None:
        """The earlier document that these words are most like, if it is near, and how near (1.0: word for word). `but`: an id
        that does not count."""
        own = self._of(parts)
        if (same := self._exact.get(own.exactly)) is not None and self.ids[same] != but:
            return self.ids[same], 1.0
        near = [
            (shared, -number)
            for number in sorted(self._index.query(own.sketch))
            if self.ids[number] != but and (shared := _shared(own.phrases, self._phrases[number])) >= self._near
        ]
        if not near:
            return None
        shared, number = max(near)
        return self.ids[-number], shared

    def add(self, id: str, parts: Sequence[str]) -> None:
        own, number = self._of(parts), len(self.ids)
        self.ids.append(id)
        self._phrases.append(own.phrases)
        self._exact.setdefault(own.exactly, number)
        self._index.insert(number, own.sketch, check_duplication=False)

    def _of(self, parts: Sequence[str]) -> _Looked:
        """Made once for a document that is looked up and then added."""
        exactly = _exactly(parts)
        if self._last is None or self._last.exactly != exactly:
            phrases = np.unique(grams(list(parts), SIZE))
            self._last = _Looked(exactly, phrases, self._sketch(phrases))
        return self._last

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
