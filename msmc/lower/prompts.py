"""What a writer is asked for with each cell. Short, and behind the prefix: that is all that rows do not share.

The prompts of a block of cells are made column by column: a part of the template that shows the readers alone is rendered once
for each kind of readers, and not once for each row.
"""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import Any

from msmc.build import canonical, digest
from msmc.library import Library
from msmc.lower.parts import Part
from msmc.lower.render import Templates
from msmc.source import Span

TEMPLATE = "documents/cell.jinja"
AXES = ("kind", "audience", "angle")

Names = list[tuple[str, ...]]
"""The kinds of some cells, their audiences, and their angles."""
Column = Callable[[Names, str], Iterable[str]]
"""The texts of one part of a template, for cells of the clause that a prompt calls so."""


class Shared(dict[str, str]):
    """Texts by a name, each made when it is first asked for."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make

    def __missing__(self, name: str) -> str:
        self[name] = made = self._make(name)
        return made


class Prompts:
    """The prompts of a template and a library, as they stand within JSON."""

    def __init__(self, library: Library, templates: Templates) -> None:
        self._templates = templates
        self._entries = (library.kind, library.audience, library.angle)
        self._avoid = [Shared(partial(_listed, entry)) for entry in self._entries]
        self._avoid_escaped = [Shared(partial(_escaped, listed)) for listed in self._avoid]
        self._columns: list[Column] | None = None

    def block(self, names: Names, clause: str, about: Span | None) -> list[str]:
        """Raises Failed, with the place that this is `about`, where the template has a mistake."""
        with self._templates.telling(TEMPLATE, about):
            if self._columns is None:
                parts = self._templates.parts(TEMPLATE, frozenset({"avoid"}))
                self._columns = [self._column(part, render) for part, render in parts]
            columns = [column(names, clause) for column in self._columns]
            return list(map("".join, zip(*columns, strict=True)))

    def basis(self, axes: Iterable[Iterable[str]]) -> str:
        """A digest of all that prompts are made of, for cells of these kinds, audiences and angles."""
        told = [{name: self._given(i, name) for name in axis} for i, axis in enumerate(axes)]
        avoided = [{name: shared[name] for name in axis} for shared, axis in zip(self._avoid, axes, strict=True)]
        return digest(self._templates.text(TEMPLATE), told, avoided)

    def _given(self, axis: int, name: str) -> Any:
        """What the template gets for a name."""
        entry = self._entries[axis](name)
        return (entry, entry.get("phrase"), entry.get("brief", "").replace("{angle}", name))[axis]

    def _column(self, part: Part, render: Callable[[dict[str, Any]], str]) -> Column:
        if part.shows == "avoid":
            return lambda names, _: _joined(self._avoid_escaped, names)
        if part.needs <= {"clause"}:
            return lambda names, clause: repeat(escaped(render({"clause": clause})), len(names[0]))
        for i, axis in enumerate(AXES):
            if part.needs <= {axis}:
                return self._of_axis(i, render)
        return lambda names, clause: [escaped(render(values)) for values in self._values(names, clause)]

    def _of_axis(self, axis: int, render: Callable[[dict[str, Any]], str]) -> Column:
        shared = Shared(lambda name: escaped(render({AXES[axis]: self._given(axis, name)})))
        return lambda names, _: map(shared.__getitem__, names[axis])

    def _values(self, names: Names, clause: str) -> Iterable[dict[str, Any]]:
        for *cell, avoid in zip(*names, _joined(self._avoid, names), strict=True):
            given = {axis: self._given(i, cell[i]) for i, axis in enumerate(AXES)}
            yield {**given, "avoid": avoid, "clause": clause}


def _listed(entry: Callable[[str], dict[str, Any]], name: str) -> str:
    """What is to be avoided, as it stands behind others in a list; nothing where there is none."""
    avoid = entry(name)["avoid"]
    return f"; {avoid}" if avoid else ""


def _escaped(texts: Shared, name: str) -> str:
    return escaped(texts[name])


def _joined(avoid: list[Shared], names: Names) -> list[str]:
    """What the kind, the readers and the angle want avoided, as a list without its first semicolon."""
    wanted = (map(shared.__getitem__, axis) for shared, axis in zip(avoid, names, strict=True))
    return [f"{kind}{audience}{angle}"[2:] for kind, audience, angle in zip(*wanted, strict=True)]


def escaped(text: str) -> str:
    """As it stands within a JSON string: of two texts that are joined, the two joined."""
    return canonical(text)[1:-1]
