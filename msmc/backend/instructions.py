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
        given = _about(check.get("with"), subject)
        name = f"{check['check']}-{place}-{subject.split(' ', 1)[1].replace(' ', '_')}"
        found.append(Instruction(name, check["check"], given, check["asks"].format(subject=subject)))
    return found


def _about(given: Any, subject: str) -> Any:
    if isinstance(given, list):
        return [_about(one, subject) for one in given]
    return given.format(subject=subject) if isinstance(given, str) else given


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


def _is_numbered(said: str, number: int) -> bool:
    """From 1 on, in order and with nothing between, but perhaps an introduction."""
    _, *lines = re.split(r"^\s*1[.)] +", said, maxsplit=1, flags=re.MULTILINE)
    marks = [re.match(r"\s*(\d+)[.)] +\S", line) for line in ("1. " + "".join(lines)).split("\n") if line.strip()]
    return bool(lines) and [int(mark[1]) if mark else None for mark in marks] == list(range(1, number + 1))


def _words(said: str) -> list[str]:
    return re.findall(r"[\w'’-]+", said.casefold())


CHECKS: dict[str, Callable[[str, Any], object]] = {
    "at_most_words": lambda said, number: len(_words(said)) <= number,
    "in_lower_case": lambda said, _: said == said.lower() != said.upper(),
    "avoids": lambda said, word: word not in _words(said),
    "contains": lambda said, words: set(words) <= set(_words(said)),
    "is_numbered": _is_numbered,
    "is_json": _json,
    "begins_with": lambda said, words: said.lstrip('"').casefold().startswith(words.casefold()),
    "ends_with": lambda said, words: said.rstrip('"').casefold().endswith(words.casefold()),
    "is_quoted": lambda said, _: len(said) > 2 and said[0] in '"“' and said[-1] in '"”',
    "is_in_brackets": lambda said, _: re.fullmatch(r"\[[^\[\]\n]+\]", said),
    "is_one_of": lambda said, answers: said.rstrip(".!").casefold() in answers,
    "has_sentences": lambda said, number: len(re.findall(r"[.!?]+[\"”)]*(?=\s|$)", said)) == number,
    "has_digit": lambda said, _: re.search(r"\d", said),
}
