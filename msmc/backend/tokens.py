"""Tokens by the target's own tokenizer where it lies on this machine, else by a rate. Loads no model and no transformers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msmc.backend.weights import tokenizer_file
from msmc.prose import CHARACTERS_A_TOKEN
from msmc.target import Model

TEMPLATE = 5
"""Tokens that a chat template puts around a message: its opening, the role, its end and a line end."""


@dataclass(frozen=True)
class Tokens:
    """Counts tokens."""

    tokenizer: Any = None
    """A `tokenizers.Tokenizer`; None where the target's is not on this machine."""

    def count(self, text: str) -> float:
        if self.tokenizer is None:
            return len(text) / CHARACTERS_A_TOKEN
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def of_messages(self, contents: Iterable[str]) -> float:
        return sum(self.count(content) + TEMPLATE for content in contents)


def tokens_of(model: Model, cache: Path) -> Tokens:
    file = tokenizer_file(model, cache)
    if file is None:
        return Tokens()
    from tokenizers import Tokenizer  # the library under transformers' fast tokenizers, a tenth of a second to import

    try:
        return Tokens(Tokenizer.from_file(str(file)))
    except Exception:  # all that tokenizers raises; whoever trains with it says what is wrong with the file
        return Tokens()
