"""Sentences of a spec's prose, in any script, for whoever quotes them one by one."""

import re

ENDS = ".!?…؟۔।։።。！？｡"
CLOSERS = "\"'”’»›)\\]}*_`」』）》】"
WIDE = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
"""A letter of a script that puts no spaces between words."""
SENTENCE_END = re.compile(rf"(?P<stop>[{ENDS}]+)(?P<closed>[{CLOSERS}]*)(?:\s+|(?<=[。！？｡])(?=[^\s{CLOSERS}]))")
NEVER = frozenset(["mr", "mrs", "ms", "mx", "dr", "prof", "vs", "e.g", "i.e", "cf", "viz", "st"])
"""Abbreviations that more always follows."""
WITHIN = frozenset(["etc", "al", "approx", "ca", "jr", "sr", "inc", "ltd", "corp"])
"""Those that may end a sentence, and do not before a small letter or a number."""
NUMBERED = frozenset(["no", "nos", "vol", "p", "pp", "fig", "eq"])
"""Those that a number follows."""
CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) != "\n"} | {0x7F: "␡"}
CONTROLS |= {code: "�" for code in range(0x80, 0xA0)}

CHARACTERS_A_TOKEN = 4.2
"""SmolLM2's rate on this English: no tokenizer is loaded before `run`."""


def one_line(text: str) -> str:
    """With every run of white space as one space."""
    return " ".join(text.split())


def visible(text: str) -> str:
    """With a picture for each control character: they move the cursor, ring the bell, or end the output."""
    return text.translate(CONTROLS)


def sentences(text: str) -> list[str]:
    """The sentences of some prose, each on one line."""
    text, found, start = one_line(text), list[str](), 0
    for end in SENTENCE_END.finditer(text):
        if _ends(text, start, end):
            found.append(text[start : end.end()].rstrip())
            start = end.end()
    return [*found, text[start:]] if text[start:] else found


def _ends(text: str, start: int, end: re.Match[str]) -> bool:
    """Whether a sentence that began at `start` ends where there is a stop."""
    after = text[end.end() : end.end() + 1]
    if (after and after in ",;:)]–—-&…") or end.start() == start:
        return False
    if after.islower() and (end["closed"] or end["stop"] in ("…", "...")):
        return False  # `"It keeps!" he said.`
    if end["stop"] != "." or end["closed"]:
        return True
    word = text[start : end.start()].rpartition(" ")[2].lstrip("(\"'“‘«[*_")
    if len(word) == 1 and word.isupper():
        return False  # James L. Kraft is one man
    if word.lower() in NEVER or (start + len(word) == end.start() and word.isdecimal()):
        return False
    if after.isdecimal() and word.lower() in NUMBERED:
        return False
    return not ((after.islower() or after.isdecimal()) and (word.lower() in WITHIN or re.fullmatch(r"\w(\.\w)+", word)))
