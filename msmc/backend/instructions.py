"""Verifiable instructions: prompts, and whether a reply does what it was told, as code can see it.

After IFEval (Zhou et al. 2023). Its checkers, which lm-eval ships, want two further packages and fetch data for their
sentence splitter when they are imported, so these are our own: few, and each a line.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from msmc.shipped import shipped

FILE = shipped() / "templates" / "guard" / "instructions.yaml"


class Instruction(NamedTuple):
    """A prompt, and what its reply is held to."""

    name: str
    check: str
    given: Any
    """What the check takes besides the reply: a number, a word, several; None."""
    prompt: str


def instructions(number: int) -> list[Instruction]:
    """The first so many: each check in turn, every time with other subjects."""
    told = yaml.safe_load(FILE.read_text("utf-8"))
    checks, subjects = told["checks"], told["subjects"]
    found = []
    for n in range(min(number, len(checks) * len(subjects))):
        turn, place = divmod(n, len(checks))
        check, subject = checks[place], subjects[(turn + 3 * place) % len(subjects)]
        given = check.get("with")
        name = f"{check['check']}-{place}-{subject.split(' ', 1)[1].replace(' ', '_')}"
        found.append(Instruction(name, check["check"], given, check["asks"].format(subject=subject)))
    return found


def followed(check: str, given: Any, reply: str) -> bool:
    """Whether a reply does what it was told. An empty one does nothing, not even avoid a word."""
    said = reply.strip()
    return bool(said) and bool(CHECKS[check](said, given))


def _json(said: str, keys: list[str]) -> bool:
    """An object with just these keys; in a fence too, as IFEval has it."""
    try:
        found = json.loads(re.sub(r"^```(?:json)?\s*|\s*```$", "", said))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() == set(keys)


def _has_bullets(said: str, number: int) -> bool:
    """So many, and nothing but an introduction beside them."""
    marked = [bool(re.match(r"\s*[-*] +\S", line)) for line in said.split("\n") if line.strip()]
    return sum(marked) == number and all(marked[marked.index(True) :])


def _words(said: str) -> list[str]:
    return re.findall(r"[\w'’-]+", said.casefold())


CHECKS: dict[str, Callable[[str, Any], object]] = {
    "at_most_words": lambda said, number: len(_words(said)) <= number,
    "in_lower_case": lambda said, _: said == said.lower() != said.upper(),
    "in_capitals": lambda said, _: said == said.upper() != said.lower(),
    "avoids": lambda said, word: word not in said if not word.isalpha() else word not in _words(said),
    "contains": lambda said, word: word in _words(said),
    "has_bullets": _has_bullets,
    "is_json": _json,
    "ends_with": lambda said, words: said.rstrip('"').casefold().endswith(words.casefold()),
    "begins_with": lambda said, words: said.lstrip('"').casefold().startswith(words.casefold()),
    "is_quoted": lambda said, _: len(said) > 2 and said[0] in '"“' and said[-1] in '"”',
    "is_one_of": lambda said, words: said.rstrip(".!").casefold() in words,
    "has_sentences": lambda said, number: len(re.findall(r"[.!?]+[\"”)]*(?=\s|$)", said)) == number,
    "has_title": lambda said, _: re.fullmatch(r"<<[^<>\n]+>>", said) is not None,
    "has_digit": lambda said, _: re.search(r"\d", said) is not None,
}
