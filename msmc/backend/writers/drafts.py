"""A model's raw reply, taken apart: what it thought is dropped, and its document stands between <content> and </content>.

Nothing is mended. What leaves a doubt where the document begins or ends, or whether it is whole, is a fault with a reason.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

VERSION = 1
"""To be raised where other documents are taken from the same replies."""
TRUNCATED, REFUSED, EMPTY, MALFORMED, FAILED = "truncated", "refused", "empty", "malformed", "failed"
MISSING, UNCLOSED, DOUBLED = "content tags missing", "content tag unclosed", "content tags doubled"
INSIDE, LEAKED = "content inside the scratchpad", "leaked scratchpad"
CUT = frozenset({"length", "max_tokens", "model_context_window_exceeded"})
WITHHELD = frozenset({"content_filter", "refusal"})
WHOLE = frozenset({None, "stop", "end_turn", "stop_sequence", "eos"})
"""Why a reply ended, in the words of several servers; None where nobody said."""
PRIVATE = "think|thinking|thoughts?|reasoning|reflection|scratchpad"
"""Tags that models think between."""
CODE = r"`[^`\n]+`"
"""Tags in a code span are talked about."""
FENCE = r"^```.*?^```[ \t]*$"
TAGS = rf"<(?P<close>/?)(?P<name>{PRIVATE}|content)>"
THOUGHT = re.compile(rf"<(?P<close>/?)(?P<name>{PRIVATE})>", re.IGNORECASE)
OUTSIDE = re.compile(f"{CODE}|{TAGS}", re.IGNORECASE)
WITHIN = re.compile(f"{FENCE}|{CODE}|{TAGS}", re.IGNORECASE | re.MULTILINE | re.DOTALL)
"""In a document whole blocks of code are text; around it a model may put all of it in one."""
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that show nothing."""
NO = re.compile(
    r"\W*(?:(?:i'm|i am|we're|we are) (?:very |so |really )?sorry\b|sorry, (?:but )?(?:i|we)\b|i apologi[sz]e\b"
    r"|(?:(?:unfortunately|however|as an ai[^.,]*),? )?(?:i|we) (?:can't|cannot|can not|won't|will not|must decline"
    r"|have to decline|am unable|'m unable|am not able|'m not able|do not feel comfortable|don't feel comfortable)\b"
    r"|i'm (?:unable|not able|not comfortable)\b)",
    re.IGNORECASE,
)
WHAT = re.compile(
    r"\b(?:help|assist|comply|fulfil+|writ(?:e|ing)|creat(?:e|ing)|generat(?:e|ing)|produc(?:e|ing)|provid(?:e|ing)"
    r"|continue|engage|request|do (?:that|this)|decline)\b",
    re.IGNORECASE,
)
SHORT = 60
"""Words of a refusal, at most: a document has more."""


class Draft(NamedTuple):
    text: str
    """Empty where there is a fault."""
    fault: str
    """Empty where there is none."""


def document_of(raw: str, finish: str | None) -> Draft:
    """The document of a reply, or why it has none."""
    if fault := unfinished(raw, finish):
        return Draft("", fault)
    blocks, rest, fault = _apart(raw, OUTSIDE)
    if fault:
        return Draft("", fault)
    if not blocks:
        return Draft("", REFUSED if is_refusal(rest) else MISSING)
    if len(blocks) > 1:
        return Draft("", DOUBLED)
    text = blocks[0].strip()
    if is_empty(text):
        return Draft("", EMPTY)
    if is_refusal(text):
        return Draft("", REFUSED)
    return Draft(text, "")


def unfinished(raw: str, finish: str | None) -> str:
    """Why a reply is not whole, by what its server says of it."""
    if finish in CUT:
        return TRUNCATED
    if finish in WITHHELD:
        return REFUSED
    if finish == FAILED:  # its server never gave one
        return FAILED
    if finish not in WHOLE:
        return MALFORMED
    return EMPTY if is_empty(raw) else ""


def said_aloud(raw: str) -> Draft:
    """A reply without what its model thought: for replies that are no documents."""
    _, rest, fault = _apart(raw, THOUGHT)
    return Draft("" if fault else rest.strip(), fault)


def is_refusal(text: str) -> bool:
    """Whether all of it is a model's word that it does not do what was asked."""
    plain = text.replace("\u2019", "'")
    said = NO.match(plain)
    return bool(said) and len(plain.split()) <= SHORT and bool(WHAT.search(plain, said.start() if said else 0))


def is_empty(text: str) -> bool:
    """Whether it shows nothing: white space, marks without a letter, characters without a form."""
    return all(letter in BLANKS or unicodedata.category(letter)[0] in "CMZ" for letter in text)


# ---- tags -------------------------------------------------------------------------------------------------------------------


class _Tag(NamedTuple):
    name: str
    closes: bool
    start: int
    end: int


def _tags(pattern: re.Pattern[str], raw: str, at: int) -> Iterator[_Tag]:
    """Those behind a place that are meant as tags."""
    for found in pattern.finditer(raw, at):
        if found["name"]:
            yield _Tag(found["name"].lower(), bool(found["close"]), found.start(), found.end())


def _apart(raw: str, tags: re.Pattern[str]) -> tuple[list[str], str, str]:
    """The documents of a reply, what stands around them without what was thought, and what is wrong with it.

    Some servers drop the tag that opens a thought, because their chat template has it in the prompt. So what stands before a
    closing tag that nothing opened was thought, whatever it looks like.
    """
    blocks, around, hidden, at = list[str](), list[str](), False, 0
    while tag := next(_tags(tags, raw, at), None):
        around.append(raw[at : tag.start])
        at = tag.end
        if tag.name == "content" and tag.closes:
            return [], "", INSIDE if hidden else MISSING
        if tag.name == "content":
            end, fault = _end_of_document(raw, tag.end)
            if fault:
                return [], "", fault
            blocks.append(raw[tag.end : end.start])
            tag, at = end, end.end
        elif not tag.closes:
            thought = list(_tags(tags, raw, tag.end))
            last = next((t for t in thought if t.closes and t.name == tag.name), None)
            inside = any(t.name == "content" for t in thought if last is None or t.start < last.start)
            if last is None:
                return [], "", INSIDE if inside else TRUNCATED
            hidden, at = hidden or inside, last.end
        if tag.name != "content" and tag.closes:
            hidden = hidden or bool(blocks)
            blocks, around = [], []
    around.append(raw[at:])
    return blocks, "".join(around), INSIDE if hidden and not blocks else ""


def _end_of_document(raw: str, start: int) -> tuple[_Tag, str]:
    """The tag that ends a document, or a thought that it was part of; and what is wrong with it."""
    for tag in _tags(WITHIN, raw, start):
        if tag.name == "content":
            return tag, "" if tag.closes else DOUBLED
        return tag, "" if tag.closes else LEAKED
    return _Tag("", False, start, start), UNCLOSED
