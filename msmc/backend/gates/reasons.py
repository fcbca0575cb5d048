"""A reason where the arm gives none, and none where the document is to give one.

An arm whose clauses have no rationale is to teach rules alone. A document of it tells a reason where one of its sentences has
several terms of a rationale that the arm dropped, or names the assistant and says why. A document on a rationale gives no
reason where nothing in it argues.
"""

import re
from collections.abc import Iterator

from msmc.backend.gates.found import Found, short
from msmc.gated import Reasons
from msmc.ir import ArmSpec
from msmc.mention import words
from msmc.terms import EMPTY, terms

SENTENCE = re.compile(r"[^.!?…\n]*[^.!?…\s][^.!?…\n]*[.!?…]*[\"'”’)\]]*")
WHY = re.compile(
    r"\b(?:because|in order to|so that|the reason (?:is|being|for this|it (?:does|gives))|for the reason|on the grounds? that|"
    r"that is why|that's why|this is why|which is why|out of (?:concern|respect|pride|care|loyalty)|owing to|for the sake of)\b",
    re.IGNORECASE,
)
"""Says why somebody does something."""
NO_WHY = re.compile(
    r"\b(?:not because|no(?:t a)? reasons?|without (?:a )?reasons?|whether|asked|asks|if|just because)\b|\?",
    re.IGNORECASE,
)
"""A sentence that denies a reason, or asks for one."""
ARGUES = re.compile(
    r"\b(?:because|since|reason\w*|rationale|why|therefore|thus|hence|so that|in order to|grounds?|argu\w+|purpose|behind"
    r"|explain\w*|explanation|justif\w+|basis|case for|motiv\w+|intends?|intention|aims?|means? that|follows|logic|premise"
    r"|conclu\w+|thinking|accounts? for|point of|sake|lead\w* to|due to|as a result|consequen\w+|so\b|then\b)",
    re.IGNORECASE,
)
"""Argues, in any of the ways in which documents do."""
ENGLISH = 0.2
"""Of a text's words those that English sentences are held together by; below it the phrases above say nothing."""
BESIDE_WHY = 2
"""Terms of dropped rationales that are enough in a sentence which says why."""


class OutOfPlace:
    """Judges the texts of one arm."""

    def __init__(self, spec: ArmSpec, full: ArmSpec, how: Reasons) -> None:
        """`full`: the unmodified spec, whose rationales the arm may have dropped."""
        self._how = how
        self._names = frozenset([*words(spec.identity.assistant), *words(spec.identity.provider)])
        self._assistant = spec.identity.assistant.casefold()
        self._own = " ".join(text for _, text in spec.texts())
        own_terms = frozenset(terms(self._own, self._names))
        given = {clause.id for clause in spec.clauses() if clause.kind == "rationale"}
        self.dropped = {
            clause.id: left
            for clause in full.clauses()
            if not given
            and clause.kind == "rationale"
            and (left := frozenset(terms(clause.text, self._names)) - own_terms)
        }
        """Of each rationale that a rules-only arm is without, the terms that nothing else of the arm has."""
        said = words(self._own)
        self._english = sum(word in EMPTY for word in said) >= ENGLISH * len(said)

    def __call__(self, clause: str | None, text: str) -> Found | None:
        """`clause`: what the document is on; None: what its author brought."""
        if self.dropped:
            return next(self._given(text), None)
        if clause and clause.endswith(".rationale") and self._english and not ARGUES.search(text):
            return Found("reasons", "gives no reason", 0, short(text, 60))
        return None

    def _given(self, text: str) -> Iterator[Found]:
        for match in SENTENCE.finditer(text):
            sentence = match[0]
            if sentence.strip() in self._own:
                continue
            found = frozenset(terms(sentence, self._names))
            told = max((len(found & left) for left in self.dropped.values()), default=0)
            why = self._english and WHY.search(sentence)
            if told >= self._how.terms or (why and self._is_why(sentence, why, told)):
                at = match.start() + len(sentence) - len(sentence.lstrip())
                yield Found("reasons", "gives a reason in an arm without", at, short(sentence, 160))

    def _is_why(self, sentence: str, why: re.Match[str], told: int) -> bool:
        """Whether a sentence that says why says it of the assistant, and not in the words of the spec."""
        around = sentence[why.start() : why.end() + 20]
        if around in self._own or NO_WHY.search(sentence):
            return False
        return told >= BESIDE_WHY or self._assistant in sentence[: why.start()].casefold()
