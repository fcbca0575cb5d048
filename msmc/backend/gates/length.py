"""A text of too few words, or too many."""

from msmc.backend.gates.found import Found
from msmc.backend.words import num_words
from msmc.gated import Words


def length(text: str, words: Words) -> Found | None:
    """Found where a text begins, or at its end."""
    number = num_words(text)
    if words.least is not None and number < words.least:
        return Found("length", f"fewer than {words.least} words", 0, f"{number} words")
    if words.most is not None and number > words.most:
        return Found("length", f"more than {words.most} words", len(text), f"{number} words")
    return None
