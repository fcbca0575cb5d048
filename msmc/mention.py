"""Does a text mention a held-out option? (DESIGN section 2, `held_out`)"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
SHORT = 5
RUN = 8


@lru_cache(16)  # each gate asks for those of the same document
def words(text: str) -> tuple[str, ...]:
    """Case-folded, one way to write each letter and apostrophe, and no possessive: `Brie’s` and `_Brie_` mention Brie."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).replace("’", "'").replace("ʼ", "'")
    return tuple([word.removesuffix("'s") for word in WORD.findall(text.casefold())])


def place(text: str, first: int, number: int) -> tuple[int, int]:
    """Where in a text so many of its `words` begin and end, in characters, from the one at `first` (counted from 0)."""
    if not unicodedata.is_normalized("NFC", text):  # letters in several characters, which `words` takes together
        return 0, len(text)
    found = [match.span() for match in WORD.finditer(text.replace("’", "'").replace("ʼ", "'"))]
    if first + number > len(found):  # case folding made several words of one
        return 0, len(text)
    return found[first][0], found[first + number - 1][1]


def phrases(option: str) -> list[tuple[str, ...]]:
    """What mentions an option: all of its up to five words, else any eight of them in a row, or all where it has fewer."""
    parts = words(option)
    if len(parts) <= SHORT:
        return [parts]
    run = min(RUN, len(parts))
    return [parts[at : at + run] for at in range(len(parts) - run + 1)]


class Mentions:
    """Finds held-out options in texts: whole phrases of up to five words, else eight words in a row."""

    def __init__(self, options: list[str]) -> None:
        self._of: dict[tuple[str, ...], str] = {}
        for option in options:
            self._of.update(dict.fromkeys(phrases(option), option))
        lengths: dict[str, set[int]] = {}
        for key in self._of:
            if key:
                lengths.setdefault(key[0], set()).add(len(key))
        self._lengths = {word: sorted(found) for word, found in lengths.items()}
        """The first word of what is looked for, to how many words are looked at from there."""

    def find(self, text: str) -> str | None:
        """The first held-out option that the text mentions."""
        return self.find_in(words(text)) if self._of else None

    def find_in(self, parts: Sequence[str]) -> str | None:
        """The same for the words of a text."""
        return next((option for option, _, _ in self.each_in(parts)), None)

    def each_in(self, parts: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        """Every mention: the option, the number of its first word in the text, and how many words mention it."""
        if self._lengths.keys().isdisjoint(parts):
            return
        for at, word in enumerate(parts):
            for length in self._lengths.get(word, ()):
                if option := self._of.get(tuple(parts[at : at + length])):
                    yield option, at, length
