"""What could stand where a word cannot, as one next step."""

import re
from typing import NamedTuple

from msmc.diagnostics import did_you_mean

WORDS = {
    "NAME": "a name",
    "STRING": '"text"',
    "BLOCK": '"""text"""',
    "INT": "a number",
    "NUMBER": "a number",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "$END": "the end of the file",
}


class Found(NamedTuple):
    """What stands where something else must: its range in the text, what could stand there, and the keywords of that."""

    start: int
    end: int
    accepted: set[str]
    keywords: set[str]


_HOMES = {
    "a value, a rule or a subrule": "statement rationale",
    "a value or a rule": "was",
    "a rule": "serves priority subrule example",
    "documents, demos or an eval": "about",
    "documents": "kinds audiences angles",
    "demos": "justify thinking",
    "an eval": "rung held_out",
    "a preference eval": "pairs",
    "a judged eval": "questions",
    "an agentic eval": "scenarios goals samples",
    "an ablation": "arm control vary sweep order match primary seeds",
    "an arm": "use replace shuffle keep drop",
    "an example": "user system",
    "a spec or an arm": "assistant specificity style",
    "a spec": "version param documents demos eval ablation",
    "a file or a spec, in no block": "value rule",
    "a file, outside of its specs": "import spec",
}
HOMES = {word: home for home, words in _HOMES.items() for word in words.split()}
"""Where the items stand that begin with a word."""


TITLED = ("spec", "value", "rule", "ablation", "arm")
UNTITLED_SUBRULE = re.compile(r'\bsubrule\s+(?P<name>[a-z]\w*)\s+"[^"\n]*"\s*$')


def _of_neighbours(before: str, said: str, accepted: set[str]) -> str:
    """What the words before a mistake say of it."""
    if said.startswith('"') and accepted == {"NAME"}:
        word = before.split()[-1]
        behind = ' "Title"' if word in TITLED else ' "…"' if word in ("subrule", "param") else ""
        return f"an id stands first: {word} some_name{behind}"
    if said[0] in '"{' and (subrule := UNTITLED_SUBRULE.search(before)):
        return f'a subrule has no title: subrule {subrule["name"]} "…"'
    if before.endswith('"') and said[0] not in '"{}':
        return 'a quotation mark within a text is written \\"; or let the text stand between """ and """'
    if lacks_comma(before, said, accepted):
        return f"commas stand between the items of a list: {before.split()[-1]}, {said}"
    return ""


def lacks_comma(before: str, word: str, accepted: set[str]) -> bool:
    """Does a word stand in one line with a list, as its next item would?"""
    is_name = re.fullmatch(r"[a-z]\w*", word) and word not in HOMES
    return bool("COMMA" in accepted and is_name and re.search(r"[a-z0-9_][ \t]+$", before))


def expectation(text: str, found: Found) -> str:
    said, words = text[found.start : found.end], found.keywords
    if nearby := _of_neighbours(text[: found.start], said, found.accepted):
        return nearby
    near = did_you_mean(said, words) if said.isidentifier() else ""
    if near.startswith("did you mean"):
        return near
    if {"STRING", "BLOCK"} & found.accepted and "LBRACE" not in found.accepted and said[:1].isalnum():
        return 'put the text in quotes: "…"'
    if found.accepted == {"$END"}:
        return "the declaration ended above: is there a `}` too many?"
    if said == "}" and "$END" in found.accepted:
        return "nothing is open here: is there a `}` too many above?"
    if {"spec", "import"} <= words:
        return 'a spec begins with: spec name "Title" { … }' + ("; lines with # are comments" if "#" in text else "")
    if home := HOMES.get(said):
        return f"it stands in {home}"
    return expected(found)


def expected(found: Found) -> str:
    words = found.keywords
    names = {WORDS[t] for t in found.accepted if t in WORDS and not (t == "NAME" and words)}
    told = sorted(names | {f"`{w}`" for w in words})
    return f"expected {', '.join(told[:-1])} or {told[-1]}" if len(told) > 1 else f"expected {''.join(told)}"
