"""What a writer says around a document, to whoever asked for it: in its first and its last sentences.

What stands in quotation marks or behind a speaker's name is said within the document, and is none.
"""

import re
from collections.abc import Collection, Iterator

from msmc.backend.gates.found import Found

PIECE = (
    r"(?:(?:blog )?post|article|memo|essay|document|letter|email|story|report|review|column|thread|transcript|entry|draft|text"
    r"|piece|version|FAQ)"
)
"""What a writer is asked for."""
YES = r"(?:Sure(?: thing)?|Certainly|Of course|Absolutely|Okay|OK|Understood|Got it|Great|No problem)"
HERE = rf"(?:{YES}[!,.]* )?(?:Here(?:'s| is| are)|Below is|This is) (?:the|a|an|your|my) (?:[\w-]+ ){{0,6}}?{PIECE}\b"
ASKED = r"(?:you (?:requested|asked for|wanted)|as (?:you )?requested|based on (?:the|your) (?:prompt|request|instructions))"


def _any(*patterns: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile("|".join(patterns), flags)


OPENING = _any(
    rf"{YES}[!,.:—–-]+ *(?:[Hh]ere(?:'s| is| are)|[Bb]elow|I(?:'ll| will|'d| can| have)|[Ll]et me)\b.*",
    rf"{HERE}.*?\b(?:{ASKED}|that (?:meets|follows|satisfies) (?:the|your|all))\b.*",
    rf"{HERE}[^,.;]*:$",
    r"Here (?:it is|you go)[:!.].*",
)
A_MODEL = r"(?:AI|artificial intelligence|(?:large )?language model)"
CANNOT = r"(?:can't|cannot|won't|will not|am (?:not able|unable) to|must decline)"
MODEL = _any(
    rf"(?:I(?:'m| am) sorry, but )?[Aa]s an? {A_MODEL}(?: language)?(?: model| assistant)?,? I\b.*",
    rf"(?:I(?:'m| am) (?:(?:very|really|truly) )?sorry|I apologi[sz]e|Sorry|Unfortunately),? (?:but )?I {CANNOT}\b.*",
    rf"I {CANNOT} (?:fulfil?l|comply with|assist with|help with|write|create|generate|produce) (?:this|that|the|your|such)\b.*",
)
COUNT = _any(
    r"[\[(*_]*(?:approx(?:imate|\.)? )?(?:total )?word[ -]?count\b.*",
    r"[\[(*_]+(?:approx(?:imately|\.)? |about |~ ?)?\d[\d,]* words[\])*_]+\.?",
    rf"[\[(]end of (?:the )?{PIECE}[\])*_.]*$",
    rf"end of (?:the )?{PIECE}[*_]+$",
    r"end of (?:the )?(?:document|draft|text|version)\.?$",
    flags=re.IGNORECASE,
)
TASK = r"(?:requested|as (?:an )?AI|the prompt|your instructions|the guidelines provided|word limit|word count)"
CLOSING = _any(
    rf"(?:I )?[Hh]ope (?:this|that|the (?:above|{PIECE})) (?:helps|is helpful|meets|works for|fits|captures|is what you)\b.*",
    r"(?:Please )?[Ll]et me know if (?:you(?:'d| would) (?:like|prefer)|you (?:need|want)|there(?:'s| is| are) any|I should)\b.*",
    r"(?:Please )?[Ff]eel free to (?:adjust|modify|edit|customi[sz]e|adapt|tweak|request)\b.*",
    r"Would you like me to (?:adjust|change|revise|expand|shorten|write|add|make|edit|continue)\b.*",
    rf"(?:\*\*)?(?:Please )?[Nn]ote:?(?:\*\*)?:? .*?\b{TASK}\b.*",
    rf"(?:This|The above) {PIECE} (?:is|was|has been) (?:\w+ )?(?:to meet|as|according to|in accordance with|based on) "
    r"(?:the|your)? ?(?:prompt|request|instructions|requirements|requested)\b.*",
)
SPEAKER = re.compile(r"(?:\*\*)?[\w .'-]{1,30}(?:\*\*)?:(?:\*\*)? |[\"'“‘«>—–-]")
"""What begins a line that somebody says in the document."""
SENTENCE = re.compile(r"\S[^\n]*?(?:[.!?…:](?=[\s\"”)\]*])|$)[\"”)\]*]*", re.MULTILINE)
MARKS = "#*_> \t"
"""What may stand before a line's words."""
SIGNATURE = 4
"""Words of a last line that are a name."""
EDGE = 2
"""Sentences at either end of a text that may be around it."""


def meta_talk(text: str, own: str, allowed: Collection[str] = ()) -> Found | None:
    """The first sentence around the document; `own`: the spec's words, which may be such."""
    for at, sentence, looked_for in _edges(text.replace("’", "'")):
        for pattern in looked_for:
            match = pattern.match(sentence)
            if match and match[0] not in own and not any(said in match[0] for said in allowed):
                return Found("meta_talk", "talks about being written", at, match[0])
    return None


def _edges(text: str) -> Iterator[tuple[int, str, tuple[re.Pattern[str], ...]]]:
    """The sentences at both ends, each with its offset and what may not stand there."""
    lines = [(match.start(), match[0].rstrip()) for match in re.finditer(r"[^\n]*\S[^\n]*", text)]
    for at, line in lines[:EDGE]:
        yield from ((*found, (OPENING, MODEL, COUNT)) for found in _sentences(at, line)[:EDGE])
    last = lines[-1][1].strip(MARKS) if lines else ""
    # whoever signs a letter may hope that it helps
    signed = 0 < len(last.split()) <= SIGNATURE and last[-1] not in ".!?:])"
    for at, line in lines[-EDGE - 1 :]:
        looked_for = (COUNT, MODEL) if signed else (COUNT, MODEL, CLOSING)
        yield from ((*found, looked_for) for found in _sentences(at, line)[-EDGE:])


def _sentences(at: int, line: str) -> list[tuple[int, str]]:
    """Of one line, each with its offset, but for those that somebody says within the document."""
    said = line.lstrip(MARKS)
    if SPEAKER.match(said) and not any(pattern.match(said) for pattern in (OPENING, COUNT, CLOSING)):
        return []
    start = at + len(line) - len(said)
    return [(start + m.start(), m[0]) for m in SENTENCE.finditer(said) if _is_open(said[: m.start()])]


def _is_open(before: str) -> bool:
    """Whether no quotation is going on."""
    return before.count('"') % 2 == 0 and before.count("“") <= before.count("”")
