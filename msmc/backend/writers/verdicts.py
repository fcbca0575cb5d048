"""What a critic says of a document, read strictly: what leaves a doubt is unparsed, and an unparsed verdict keeps nothing."""

import json
import re
from typing import Any, Literal, NamedTuple, get_args

from msmc.backend.writers.drafts import said_aloud, unfinished
from msmc.digest import canonical

Said = Literal["keep", "rewrite", "drop"]
VERDICTS: tuple[str, ...] = get_args(Said)
KEYS = {"verdict", "reason", "problems"}
SCHEMA = canonical(
    {
        "type": "object",
        "properties": {
            "verdict": {"type": "string", "enum": VERDICTS},
            "reason": {"type": "string"},
            "problems": {"type": "array", "items": {"type": "string"}},
        },
        "required": sorted(KEYS),
        "additionalProperties": False,
    }
)
"""For servers that hold a reply to one; what they send is read as strictly."""
FENCED = re.compile(r"^[ \t]*```(?:json)?[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)


class Verdict(NamedTuple):
    verdict: Said
    reason: str
    problems: tuple[str, ...]
    """What a rewrite mends, or why the document is dropped; of one that is kept there are none."""


class Unparsed(NamedTuple):
    why: str


def read_verdict(raw: str, finish: str | None) -> Verdict | Unparsed:
    """A critic's reply is one JSON object {verdict, reason, problems}, alone or in one fence with words around it. Nothing is
    mended: half an object, an echo of the format, two verdicts or one that its problems speak against say nothing."""
    if fault := unfinished(raw, finish):
        return Unparsed(f"the critic's reply is {fault}")
    said, fault = said_aloud(raw)
    if fault:
        return Unparsed(f"the critic's reply is {fault}")
    fenced = FENCED.search(said)
    around = said[: fenced.start()] + said[fenced.end() :] if fenced else ""
    if "{" in around or "```" in around:
        return Unparsed("it has several verdicts")
    alone = fenced[1] if fenced else said
    try:
        found = json.loads(alone, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return Unparsed(error.args[0] if isinstance(error, _Twice) else "it is not one whole JSON object")
    return _checked(found)


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key stand twice, and Python takes the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice("it has a key twice")
    return found


def _checked(found: Any) -> Verdict | Unparsed:
    if not isinstance(found, dict) or found.keys() != KEYS:
        return Unparsed("it has not the keys verdict, reason and problems alone")
    verdict, reason, problems = found["verdict"], found["reason"], found["problems"]
    if verdict not in VERDICTS:
        return Unparsed("its verdict is none of keep, rewrite and drop")
    if not (isinstance(reason, str) and _says(reason)):
        return Unparsed("it gives no reason")
    if not (isinstance(problems, list) and all(isinstance(p, str) and _says(p) for p in problems)):
        return Unparsed("its problems are no list of texts")
    if bool(problems) == (verdict == "keep"):
        return Unparsed("its verdict and its problems contradict each other")
    return Verdict(verdict, reason.strip(), tuple(p.strip() for p in problems))


def _says(text: str) -> bool:
    """Whether it has words, and is no echo of the format (`…`, `<one sentence>`)."""
    plain = text.strip()
    return bool(re.search(r"\w", plain)) and not (plain[0] == "<" and plain[-1] == ">")
