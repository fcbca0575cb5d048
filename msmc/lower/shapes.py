"""How planned chats come to their subject (`templates/demos/shapes.yaml`), in a seeded, balanced order."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lcm
from typing import Any

from msmc.digest import seed_of
from msmc.library import Library, read_yaml
from msmc.lower.render import Templates


@dataclass(frozen=True)
class Framing:
    """What determines a chat's questions besides their subject."""

    shape: dict[str, Any]
    framing: dict[str, str]
    """`brief`, `avoid`, and `then` where the user writes a second message."""
    who: str

    @property
    def two_rounds(self) -> bool:
        return "then" in self.framing


class Shapes:
    """The shapes of chats with their framings, and the people who ask."""

    def __init__(self, templates: Templates, library: Library) -> None:
        self._templates, self._library = templates, library

    @cached_property
    def _shapes(self) -> dict[str, dict[str, Any]]:
        return dict(read_yaml(self._templates.text("demos/shapes.yaml").encode()))

    @cached_property
    def _people(self) -> list[str]:
        return [self._library.audience(audience)["phrase"] for audience in self._library.audiences]

    def of(self, block: str, clause: str) -> Iterator[Framing]:
        """The endless sequence of a clause's chats. Any prefix has the shapes in equal shares, give or take one, so of each
        shape its framings, and so the people.

        As with cells, people go on by one from chat to chat and leave one out where the same three would meet again.
        """
        shapes = _shuffled(self._shapes, "shape", block, clause)
        framings = {s: _shuffled(self._shapes[s]["framings"], "framing", block, clause, s) for s in shapes}
        people = _shuffled(self._people, "who", block, clause)
        again = lcm(len(people), len(shapes) * lcm(*map(len, framings.values())))
        n = 0
        while True:
            shape = shapes[n % len(shapes)]
            framing = framings[shape][n // len(shapes) % len(framings[shape])]
            of_shape = self._shapes[shape]
            yield Framing(of_shape, of_shape["framings"][framing], people[(n + n // again) % len(people)])
            n += 1


def _shuffled(names: Sequence[str] | dict[str, Any], *seed: str) -> list[str]:
    found = sorted(names)  # the order in the file means nothing
    random.Random(seed_of(*seed)).shuffle(found)
    return found
