"""A document in another language than the spec's."""

from functools import cache
from typing import Any

from msmc.backend.gates.found import Found, short
from msmc.backend.words import num_words
from msmc.gated import Language

LOOKED_AT = 800
"""Characters of a text that are judged: more of them make nobody surer."""


class OtherLanguage:
    """Judges the texts of one arm."""

    def __init__(self, own: str, how: Language, names: frozenset[str]) -> None:
        """`own`: the spec's own text; `names`: of the assistant and its provider, which are of no language."""
        self._how, self._names = how, names
        self._expected = how.code or self._sure(own)

    def __call__(self, text: str) -> Found | None:
        """None where nobody is sure, of the text or of the spec."""
        if self._expected is None:
            return None
        said = self._sure(text)
        if said is None or said == self._expected:
            return None
        return Found("language", f"is in another language than `{self._expected}`", 0, f"{said}: {short(text, 60)}")

    def _sure(self, text: str) -> str | None:
        """The language of a text, by its ISO 639 code; None where it is too short, or could be another one."""
        for name in self._names:
            text = text.replace(name, " ")
        if num_words(text) < self._how.least:
            return None
        code, probability = _identifier().classify(text[:LOOKED_AT])
        return str(code) if probability >= self._how.sure else None


@cache
def _identifier() -> Any:
    """Its model is part of the package, and takes a third of a second to read."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
