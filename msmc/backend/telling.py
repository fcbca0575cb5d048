"""How the words of a closure are told: which sentences, in how many parts, and titles and sentences inside a sentence.

An author's words are taken whole sentence by whole sentence; nothing in them is replaced.
"""

import random
import re
from collections.abc import Sequence

from msmc.backend.words import HAS_WIDE, WORD, num_words
from msmc.prose import CLOSERS, ENDS, one_line, sentences

LOWERED = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "when",
        "where",
        "while",
        "if",
        "in",
        "on",
        "at",
        "for",
        "from",
        "to",
        "with",
        "without",
        "within",
        "by",
        "of",
        "as",
        "asked",
        "given",
        "offered",
        "among",
        "between",
        "before",
        "after",
        "during",
        "under",
        "over",
        "unless",
        "until",
        "whenever",
        "wherever",
        "whatever",
        "whoever",
        "no",
        "every",
        "each",
        "any",
        "some",
        "most",
        "many",
        "few",
        "all",
        "both",
        "either",
        "neither",
        "it",
        "its",
        "they",
        "their",
        "there",
        "here",
        "what",
        "who",
        "anyone",
        "everyone",
        "nobody",
        "one",
        "two",
        "three",
        "how",
        "being",
        "telling",
        "keeping",
        "asking",
    ]
)
"""First words that are written small inside a sentence, whatever follows."""
UNFIT_BEFORE = frozenset(
    [
        "not",
        "never",
        "always",
        "also",
        "often",
        "to",
        "will",
        "would",
        "can",
        "must",
        "may",
        "should",
        "and",
        "or",
        "than",
    ]
)
LEANING = re.compile(
    r"(?:The|So|But|And|Yet|Thus|Still|Then|Here|There|Another)\b|.*\b(?:it|its|they|them|their|he|she|his|her|him|these|those|this|"
    r"such|both|nevertheless|however|therefore|thus|too|also|the same|others?)\b",
    re.IGNORECASE,
)
"""A sentence that may lean on the one before it."""
POINTING = re.compile(r".*\b(?:these|those|this|such|both|too|also|the same|others?)\b", re.IGNORECASE)
"""One that may even where it begins with the assistant, to whom its pronouns then refer."""
NOUN = re.compile(
    r"(?:A|An|The)(?: [a-z-]+){1,3} (?:that|who|which|of)\b|(?:Be|Tell|Keep|Ask|Giv|Say|Mak|Tak|Help|Us|Writ|Hav|Do)ing\b"
)
"""A title that is a noun within a sentence, to judge by itself."""
ITEM = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")
HEADING = re.compile(r"^\s*#+\s+")
FENCE = re.compile(r"^\s*(?:```|~~~)")
RULER = re.compile(r"^\s*(?:[-*_=]\s*){3,}$")
ENDED = re.compile(rf"[{ENDS}:;][{CLOSERS}]*$")
LEAST = 15
"""Words that are told where there are so many, whatever the budget."""
CUT = 160
"""The longest sentence, in words, that is told whole."""
PIECE = 60
"""The words of a piece of a longer one, at most."""


def units(text: str) -> list[str]:
    """The sentences of a clause, each with an end. Lists and headings are read out, code stands between backticks; a very
    long sentence is told in pieces, with `…` where something stands before or behind."""
    lines: list[tuple[str, str]] = []  # each with what it is: prose, an item, a heading or code
    code: list[str] | None = None
    open_ = False
    for line in text.split("\n"):
        bare = ITEM.sub("", line).strip()
        kind = "item" if ITEM.match(line) else "heading" if HEADING.match(line) else "prose"
        if FENCE.match(line):
            lines += _code(code) if code is not None else []
            code, open_ = ([] if code is None else None), False
        elif code is not None:
            code.append(line)
        elif not bare or RULER.match(line):
            open_ = False
        elif kind == "item" and lines and (before := _listed(*lines[-1])):
            lines[-1], open_ = (f"{before} {bare}", "item"), True
        elif kind == "prose" and open_:
            lines[-1] = (f"{lines[-1][0]} {bare}", lines[-1][1])
        else:
            lines.append((HEADING.sub("", line).strip() if kind == "heading" else bare, kind))
            open_ = kind != "heading"
    lines += _code(code or [])
    found = [s for line, kind in lines for s in ([line] if kind == "code" else sentences(line))]
    return [piece for s in found for piece in pieces(_ended(s))] or [_ended(one_line(text))]


def _code(lines: list[str]) -> list[tuple[str, str]]:
    text = one_line(" ".join(lines))
    return [(text if "`" in text else f"`{text}`", "code")] if text else []


def _listed(before: str, kind: str) -> str | None:
    """What stands before an item that goes on with it; None where the item stands by itself."""
    if kind in ("heading", "code") or (ENDED.search(before) and not before.endswith((":", ";"))):
        return None
    return before if before.endswith((":", ";", ",")) else before + (";" if kind == "item" else ":")


def _ended(sentence: str) -> str:
    if ENDED.search(sentence):
        return sentence
    kept = sentence.rstrip(",-– ") or sentence
    return kept + ("。" if HAS_WIDE.match(kept[-1:]) else ".")


def pieces(sentence: str) -> list[str]:
    """A sentence, or what it is told in where it has more than CUT words."""
    if num_words(sentence) <= CUT:
        return [sentence]
    found = []
    while (left := num_words(sentence)) > PIECE:
        at = _cut(sentence, -(-left // -(-left // PIECE)))  # the last is no shorter than the others
        found.append(sentence[:at] + " …")
        sentence = "… " + sentence[at:].strip()
    return [*found, sentence]


def _cut(sentence: str, most: int) -> int:
    """Where the first clauses of that many words end."""
    cut = sentence[: list(WORD.finditer(sentence))[most - 1].end()]
    for mark in ("; ", "；", ", ", "，", "、"):
        if (at := cut.rfind(mark)) > len(cut) // 2:
            return at + 1
    return len(cut)


def together(parts: Sequence[str]) -> str:
    """Sentences one behind the other; pieces of one sentence as they were."""
    text = " ".join(parts).replace(" … … ", " ")
    return re.sub(r"(?<=[。！？｡]) ", "", text) if HAS_WIDE.search(text) else text


def short(sentence: str, most: int) -> str:
    """A sentence, or its first clauses where it has more words than that."""
    if num_words(sentence) <= most:
        return sentence
    return sentence[: _cut(sentence, most)].rstrip(",;，；、") + " …"


def length(parts: Sequence[str]) -> int:
    """In words."""
    return sum(map(num_words, parts))


def stands_alone(sentence: str, assistant: str) -> bool:
    """Whether a sentence can be quoted without the one before it."""
    if sentence.startswith("… "):
        return True
    return not (POINTING if sentence.lower().startswith(assistant.lower()) else LEANING).match(sentence)


def part_of(parts: list[str], budget: int, rng: random.Random, assistant: str, anywhere: bool) -> list[str]:
    """Neighbouring sentences within a budget of words: all that fit, from the beginning or from one that stands alone."""
    starts = [i for i, s in enumerate(parts) if i and anywhere and stands_alone(s, assistant)]
    start = rng.choice(starts) if starts and rng.random() < 0.5 else 0
    taken: list[str] = []
    for sentence in parts[start:]:
        if length(taken) >= LEAST and length([*taken, sentence]) > budget:
            break
        taken.append(sentence)
    return taken


def chunks(parts: list[str], number: int) -> list[str]:
    """The sentences in that many runs of about equal length, in order."""
    number, total, runs = min(number, len(parts)), length(parts), list[list[str]]()
    told = 0
    for i, sentence in enumerate(parts):
        left = len(parts) - i
        if not runs or (len(runs) < number and (told >= len(runs) * total / number or left <= number - len(runs))):
            runs.append([])
        runs[-1].append(sentence)
        told += length([sentence])
    return [together(run) for run in runs]


def inside(text: str, names: Sequence[str]) -> str | None:
    """One sentence as it stands inside another: small at its beginning and without its stop. None where that is unsure."""
    if not text.endswith(".") or text.endswith("..") or len(sentences(text)) > 1 or ":" in text:
        return None
    if any(text.startswith(name) for name in names):
        return text[:-1]
    first = re.split(r"[\s,]", text, maxsplit=1)[0]
    return text[0].lower() + text[1:-1] if first.lower() in LOWERED else None


def quoted(title: str) -> str:
    """A title as a title."""
    return f'"{title}"' if '"' not in title else f"“{title}”"


def as_topic(title: str, own: str, assistant: str) -> str:
    """A title as a noun within a sentence, where its own clause uses it as one; else in quotation marks."""
    if '"' in title:
        return quoted(title)
    for found in re.finditer(rf"(\S+)\s+({re.escape(title)})(?!\w)", own, re.IGNORECASE):
        before = found[1].strip("(\"'“").lower()
        if not (
            before.startswith(assistant.lower()) or before.endswith(("ly", ".", "!", "?")) or before in UNFIT_BEFORE
        ):
            return found[2]
    return title[0].lower() + title[1:] if NOUN.match(title) or _is_noun(title, own, assistant) else quoted(title)


def _is_noun(title: str, own: str, assistant: str) -> bool:
    """Whether a title is a common noun with what belongs to it: its last word, or the one before `of`, `in`, … or `that`,
    follows an article in its own clause, and its first word stands there too and is no verb of the assistant's."""
    words = re.split(r" (?:of|in|for|with|to|on|that|about|from|at|and)\b", title)[0].lower().split()
    first, head = words[0], words[-1].removesuffix("s")
    verbs = re.findall(rf"\b{re.escape(assistant)} (?:never |always |does not |will )?(\w+)", own)
    return (
        title[1:] == title[1:].lower()
        and re.search(rf"\b(?:an?|the|every|each|any|no|its|their|of|in) {re.escape(head)}s?\b", own) is not None
        and (len(words) == 1 or re.search(rf"\b{re.escape(first)}\b", own) is not None)
        and first.rstrip("s") not in {verb.lower().rstrip("s") for verb in verbs}
    )


def capital(text: str) -> str:
    """The beginning of a sentence: a name that begins with an article (`the helper`) has a capital letter there."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0] in LOWERED else text


def join(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
