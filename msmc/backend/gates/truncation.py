"""A text that ends within a sentence.

Many texts end well without a stop: with a signature, a list, a table, a heading of tags, code, a link, an emoji. Only what is
surely broken off is found.
"""

import re
import unicodedata
from collections.abc import Collection

from msmc.backend.gates.found import Found, short
from msmc.mention import words
from msmc.prose import CLOSERS, ENDS, WIDE

LONG = 12
"""Words from which on a last line is a sentence, and no signature, heading or verse."""
DANGLING = frozenset(
    words(
        """
        a an the and or but nor of to in on at by with from for into than that which who whose when while because since
        although if as is are was were be been being have has had will would should can could may might must its their his her
        your our my this these those not very so such between about under over after before
        """
    )
)
"""Words that more always follows."""
FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
ITEM = re.compile(r"^\s*(?:[-*+•–]|\d+[.)]|[a-z][.)]|\[[ x]\])\s+")
LINK = re.compile(r"(?:https?://|www\.)\S+$|\S+@\S+\.\w+$|#\w+$")
NO_STOPS = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f]$")
"""Thai, Lao, Khmer and Burmese end sentences with a space, or with nothing."""
SIGNING = re.compile(
    r"(?:[\w']+ ){0,3}(?:regards|wishes|love|sincerely|warmly|yours|cheers|thanks|best|truly|faithfully|respectfully|fondly),",
    re.IGNORECASE,
)
"""The end of a letter that nobody signs."""
MORE = ",;:—–-([{/&+="
STOPS = ENDS + "♪~※"


def truncation(text: str, own: str, allowed: Collection[str] = ()) -> Found | None:
    """The last line, where it is broken off; `own`: the spec's words, which may end so."""
    body = text.rstrip()
    if not body or body.endswith(tuple(allowed)):
        return None
    start = body.rfind("\n") + 1
    line, before = body[start:].strip(), [part for part in body[:start].split("\n") if part.strip()]
    reason = _reason(body, line, before)
    if not reason or line in own:
        return None
    return Found("truncation", reason, len(body) - len(line[-60:]), short(line[-60:]))


def _reason(body: str, line: str, before: list[str]) -> str:
    if len(FENCE.findall(body)) % 2:
        return "ends within code"
    if FENCE.match(line) or line.startswith("|") or LINK.search(line) or NO_STOPS.search(body):
        return ""
    bare = line.rstrip(CLOSERS + "~")
    if not bare or bare[-1] in STOPS or unicodedata.category(bare[-1]) in ("So", "Sk", "Sm", "Sc"):
        return ""
    return "ends within a sentence" if _broken_off(line, bare, before) else ""


def _broken_off(line: str, bare: str, before: list[str]) -> bool:
    """Whether a line without a stop is no end."""
    said = bare.split()
    closed = len(bare) < len(line)
    if ITEM.match(line):
        others = [part.rstrip().rstrip(CLOSERS) for part in before if ITEM.match(part)]
        with_stops = sum(part.endswith(tuple(ENDS)) for part in others)
        return _dangles(said) or (len(others) > 1 and with_stops == len(others) and len(said) > 3)
    if SIGNING.fullmatch(bare):
        return False
    if bare[-1] in MORE and not closed and set(bare) - set("-–—=*_ "):
        return True
    if _dangles(said) and not closed:
        return True
    length = len(re.findall(WIDE, bare)) // 2 if re.search(WIDE, bare) else len(said)
    return length >= LONG and not closed and " · " not in bare and " | " not in bare and bare.count(",") < length // 3


def _dangles(said: list[str]) -> bool:
    return len(said) > 1 and said[-1] in DANGLING
