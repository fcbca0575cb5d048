"""What a text still has of its making: placeholders, thoughts and their tags, content tags, marks of chat templates, broken
characters."""

import re
from collections.abc import Collection

from msmc.backend.gates.found import Found
from msmc.ir import ArmSpec

LEFTOVER = re.compile(
    # as the language writes a placeholder; `${HOME}`, `{Upper}` and `x_{i}` are other things
    r"(?-i:(?<![$\\_^])\{[a-z_][a-z0-9_]*\})|\[(?:insert|your|name|placeholder)\b"
    r"|</?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|content|document|draft|critique)>"
    # what chat templates are made of
    r"|<[|\uff5c][^<>\n]{1,60}[|\uff5c]>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>"
    r"|</?s>|<(?:start|end)_of_(?:turn|image)>|<(?:bos|eos|pad|unk|mask)>|</?tool_(?:call|response)>",
    re.IGNORECASE,
)
THOUGHT = re.compile(r"</?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)>", re.IGNORECASE)
BROKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
"""Control characters, and what stands where there was no character."""


def own_words(spec: ArmSpec) -> str:
    """Of the spec: what they have is no leftover."""
    return " ".join([*(text for _, text in spec.texts()), spec.identity.assistant, spec.identity.provider])


def residue(text: str, own: str, allowed: Collection[str] = ()) -> Found | None:
    """The first thing of its making that a text still has, or of an encoding that broke; `own`: the spec's words, which may look
    like it."""
    for match in LEFTOVER.finditer(text):
        if match[0] not in own and match[0] not in allowed:
            return Found("residue", _told(text, match), match.start(), match[0])
    for match in BROKEN.finditer(text):
        if match[0] not in own:
            reason = f"it is malformed: it has U+{ord(match[0]):04X}"
            return Found("residue", reason, match.start(), f"U+{ord(match[0]):04X}")
    return None


def leftover(text: str, own: str) -> str:
    """The reason of `residue`, or nothing."""
    found = residue(text, own)
    return found.reason if found else ""


def _told(text: str, match: re.Match[str]) -> str:
    """A thought that does not end was cut within it; one that does not begin was cut before."""
    tag = match[0].lower()
    if not THOUGHT.fullmatch(tag):
        return f"it has a leftover `{match[0]}`"
    if tag.startswith("</"):
        return f"it has a leftover `{match[0]}`, which nothing opens"
    closed = f"</{tag[1:]}" in text[match.end() :].lower()
    return f"it has a leftover `{match[0]}`" + ("" if closed else ": it was cut within a thought")
