r"""Hand-written passages and their small grammar, read from `templates/documents/forms/` and `angles.yaml`.

In a passage `[a|b|c]` stands for one of its alternatives, `[a|]` for `a` or nothing, and they nest; `{name}` is filled;
`\[`, `\]` and `\|` are the characters themselves. A placeholder within quotation marks wants a text without any of its own.
What fills a placeholder is data: it is not read by this grammar.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msmc.backend.telling import capital
from msmc.diagnostics import did_you_mean, fail
from msmc.library import Library

COMMON = frozenset({"assistant", "provider", "topic", "Topic", "clause", "audience"})
"""What every passage may say: identity, the title as it stands in a sentence, the clause by kind and title, the readers."""
OF_SLOT: dict[str, frozenset[str]] = {
    "statement": frozenset({"statement", "says"}),
    "more": frozenset({"statement", "says"}),
    "because": frozenset({"reason", "argues"}),
    "further": frozenset({"reason", "argues"}),
    "so": frozenset({"reason", "argues"}),
    "value": frozenset({"value", "Value", "value_statement", "value_says", "value_reason", "value_argues"}),
    "detail": frozenset({"detail"}),
    "members": frozenset({"members"}),
    "angle": frozenset({"on_angle"}),
}
"""Slots whose every passage says one of these besides: a text of the closure, or what the library has on the row's angle."""
BESIDES: dict[str, frozenset[str]] = {
    "": frozenset({"angle"}),
    "closing": frozenset({"recap"}),
    "closing_reasoned": frozenset({"recap", "value", "Value"}),
}
"""What passages of these slots, and of the angles, may say."""
REASONED = ("title", "opening", "closing")
"""Slots with further passages, in `<slot>_reasoned`, for documents that give a reason."""
PLAIN = frozenset({"title", "opening", "aside", "closing"})
OPTIONAL = frozenset({"more", "value", "detail", "members", "aside"})
SLOTS = PLAIN | OF_SLOT.keys()
SPECIAL = re.compile(r"\\[\[\]|]|[\[\]|{}]|[^\\\[\]|{}]+|\\")
NAME = re.compile(r"(\w+)\}")
NAMES = frozenset({"assistant", "provider"})
BEGINS = re.compile(r"^[\"“]?$|(?:[.!?…][\"”]?\s+|\n|(?:^|\n)[\w-]+: )[\"“]?$")
"""What stands before the beginning of a sentence, or of a speaker's."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A placeholder; a name that ends in `"` wants a text without quotation marks."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[tuple["Part", ...], ...]


Part = str | Hole | Choice


@dataclass(frozen=True, slots=True)
class Passage:
    parts: tuple[Part, ...]
    needs: frozenset[str]
    """The placeholders that must be there, whichever alternatives are taken."""

    def write(self, words: Mapping[str, str], rng: random.Random) -> str:
        """One reading of the passage."""
        out: list[str] = []
        _write(self.parts, words, rng, out)
        return "".join(out).strip()


def _write(parts: tuple[Part, ...], words: Mapping[str, str], rng: random.Random, out: list[str]) -> None:
    for part in parts:
        if isinstance(part, str):
            if part[0] == " " and out and out[-1][-1:] == " ":  # an optional part was left out between them
                out[-1] = out[-1][:-1]
            out.append(part)
        elif isinstance(part, Hole):
            text = words[part.name]
            out.append(capital(text) if part.name.strip('"') in NAMES and BEGINS.search("".join(out[-2:])) else text)
        else:
            _write(part.options[int(rng.random() * len(part.options))], words, rng, out)


class BadPassage(ValueError):
    """What is wrong with a passage."""


def parse(text: str, known: frozenset[str]) -> Passage:
    """Reads a passage that may use the placeholders `known`. Raises BadPassage."""
    if not text.strip():
        raise BadPassage("the passage is empty")
    open_, top = [list[list[Part]]()], list[Part]()
    lists: list[list[Part]] = [top]
    needs: set[str] = set()
    text, at = re.sub(" {2,}", " ", text.strip()), 0
    while at < len(text):
        found = SPECIAL.match(text, at)
        assert found is not None
        token, at = found[0], found.end()
        if token == "[":
            open_.append([[]])
            lists.append(open_[-1][-1])
        elif token in "|]" and len(token) == 1:
            if len(open_) == 1:
                raise BadPassage(f"a `{token}` stands outside of brackets (write `\\{token}` for the character)")
            if token == "|":
                open_[-1].append([])
                lists[-1] = open_[-1][-1]
            else:
                options = tuple(tuple(option) for option in open_.pop())
                lists.pop()
                if len(options) < 2:
                    raise BadPassage("brackets with one alternative (write `[a|]` for a part that may be left out)")
                lists[-1].append(Choice(options))
        elif token == "{":
            hole = NAME.match(text, at)
            if hole is None:
                raise BadPassage("a brace without a placeholder")
            if hole[1] not in known:
                hint = did_you_mean(hole[1], known)
                raise BadPassage(f"no placeholder `{hole[1]}` here" + (f"; {hint}" if hint else ""))
            within = text.count('"', text.rfind("\n", 0, at) + 1, at) % 2
            name, at = hole[1] + '"' * within, hole.end()
            needs.add(name)
            lists[-1].append(Hole(name))
        elif token == "}":
            raise BadPassage("a brace without a placeholder")
        else:
            lists[-1].append(token[-1] if token[0] == "\\" else token)
    if len(open_) > 1:
        raise BadPassage("a bracket is not closed")
    return Passage(tuple(top), frozenset(needs))


@dataclass(frozen=True, slots=True)
class Form:
    """The orders its documents take, each a tuple of paragraphs of slots, and the passages of its slots."""

    orders: tuple[tuple[tuple[str, ...], ...], ...]
    slots: Mapping[str, tuple[Passage, ...]]


def form(library: Library, name: str) -> Form:
    """A form of the library, checked. Raises Failed `template-error`."""
    file = f"templates/documents/forms/{name}.yaml"
    data = library.form(name)
    slots = {slot: tuple(_passages(file, slot, texts)) for slot, texts in data["slots"].items()}
    orders = tuple(tuple(tuple(part.split()) for part in order.split("/")) for order in data["orders"])
    slots.setdefault("angle", (parse("{on_angle}", OF_SLOT["angle"]),))
    for order in orders:
        named = [slot for paragraph in order for slot in paragraph]
        if wrong := sorted(set(named) ^ SLOTS) or sorted({s for s in named if named.count(s) > 1}):
            raise fail("template-error", f"{file}: an order has each slot once, unlike `{wrong[0]}`", note=str(order))
    if lacking := sorted((SLOTS - {"detail", "members"}) - slots.keys()):
        raise fail("template-error", f"{file}: the slot `{lacking[0]}` has no passages")
    return Form(orders, slots)


def angle(library: Library, name: str) -> tuple[Passage, ...]:
    """What the library has on an angle, or on an angle in an author's own words. Raises Failed `template-error`."""
    return tuple(_passages("templates/documents/angles.yaml", "", library.angle(name)["passages"]))


def _passages(file: str, slot: str, texts: Any) -> Iterator[Passage]:
    base = slot.removesuffix("_reasoned")
    if slot and (base not in SLOTS or (base != slot and base not in REASONED)):
        raise fail("template-error", f"{file}: there is no slot `{slot}`", did_you_mean(slot, SLOTS))
    own = OF_SLOT.get(slot, frozenset())
    known = COMMON | own | BESIDES.get(slot, frozenset())
    for number, text in enumerate(texts, 1):
        where = f"{file}: passage {number}" + (f" of `{slot}`" if slot else "")
        if not isinstance(text, str):
            raise fail("template-error", f"{where} is not a text", note=str(text))
        try:
            passage = parse(text, known)
        except BadPassage as problem:
            raise fail("template-error", f"{where}: {problem}", note=text.strip()) from None
        if own and not {name.rstrip('"') for name in passage.needs} & own:
            missing = " or ".join(f"`{{{name}}}`" for name in sorted(own))
            raise fail("template-error", f"{where} says nothing of its clause", f"use {missing}", text.strip())
        yield passage
