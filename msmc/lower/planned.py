"""Planned documents: a million rows, so each is put together from texts that many rows share, as JSON already.

To the byte they are the canonical JSON of a `DocumentRow`, whose prompt is what `documents/cell.jinja` renders.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from itertools import islice
from types import MappingProxyType

from msmc.build import DocumentRow, canonical, digest
from msmc.ir import ArmSpec, Clause, Documents
from msmc.library import Library
from msmc.lower.cells import BLOCK, Coordinates, cells
from msmc.lower.content import name_of
from msmc.lower.context import Spans
from msmc.lower.prompts import AXES, Prompts, Shared
from msmc.lower.render import Templates

FORM = 1
"""Of the rows: to be raised where other bytes are made of the same inputs, or a build keeps files of the form before."""
NONE: Mapping[str, int] = MappingProxyType({})


class Planned:
    """The rows of one arm. `counts` says how many a clause has, and `skip` how many of its cells are left out before them."""

    def __init__(self, block: Documents, spec: ArmSpec, library: Library, templates: Templates, spans: Spans) -> None:
        self._axes = (
            block.kinds or library.kinds,
            block.audiences or library.audiences,
            block.angles or library.angles,
        )
        self._prompts = Prompts(library, templates)
        self._basis = cache(lambda: self._prompts.basis(self._axes))
        self._named = cache(lambda clause: name_of(spec, clause))
        self._spans = spans
        self._quoted = [Shared(canonical) for _ in AXES]

    def lines(
        self, clauses: list[Clause], counts: Mapping[str, int], skip: Mapping[str, int] = NONE
    ) -> Callable[[], Iterator[str]]:
        """The rows of one value or rule in cell order, made anew at each call."""

        def make() -> Iterator[str]:
            for clause in clauses:
                first = skip.get(clause.id, 0)
                found = islice(cells(clause.id, *self._axes), first, first + counts[clause.id])
                while block := list(islice(found, BLOCK)):
                    yield from self._block(clause, block)

        return make

    def inputs(self, clauses: list[Clause], counts: Mapping[str, int], skip: Mapping[str, int] = NONE) -> str:
        """A digest of all that the same call of `lines` makes its rows of."""
        told = [(c.id, c.node, self._named(c), skip.get(c.id, 0), counts[c.id]) for c in clauses]
        return digest(FORM, self._basis(), told)

    def sample(self, clauses: list[Clause], counts: Mapping[str, int]) -> Callable[[int], Iterator[DocumentRow]]:
        """Rows of clauses that stand evenly apart, as many of each as it takes."""

        def draw(size: int) -> Iterator[DocumentRow]:
            there = [clause for clause in clauses if counts[clause.id]]
            chosen = there[:: max(1, len(there) // size)]
            most = -(-size // max(1, len(chosen)))
            lines = self.lines(chosen, {c.id: min(counts[c.id], most) for c in chosen})
            return map(DocumentRow.model_validate_json, lines())

        return draw

    def _block(self, clause: Clause, block: list[Coordinates]) -> list[str]:
        *names, numbers = zip(*block, strict=True)
        prompts = self._prompts.block(names, self._named(clause), self._spans.get(clause.id))
        quoted = (map(shared.__getitem__, axis) for shared, axis in zip(self._quoted, names, strict=True))
        about = (clause.id,) if clause.id == clause.node else (clause.id, clause.node)
        start, of_clause = f'{{"about":{canonical(about)},"cell":{{"angle":', canonical(clause.id)
        prefix = f'","prefix":{canonical(clause.node)},"prompt":"'
        lines = []
        for kind, audience, angle, n, prompt in zip(*quoted, numbers, prompts, strict=True):
            # `digest` of the cell, and `seed_of` it
            identity = sha256(f'["document",{of_clause},{kind},{audience},{angle},{n}]'.encode()).hexdigest()
            lines.append(
                f'{start}{angle},"audience":{audience},"clause":{of_clause},"kind":{kind},"n":{n}}},"id":"doc-'
                f'{identity[:16]}{prefix}{prompt}","seed":{int(identity[:8], 16) >> 1}}}\n'
            )
        return lines
