"""Planned documents: rows and the prefixes they share."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from types import MappingProxyType

from msmc.build import Cell, DocumentRow, Message, OwnDocument, Prefix, digest
from msmc.digest import seed_of
from msmc.ir import ArmSpec, Clause, Documents, OwnRows
from msmc.library import Library
from msmc.lower.cells import cells
from msmc.lower.content import name_of
from msmc.lower.context import Shown, Spans
from msmc.lower.render import Templates

Prompt = Callable[[Clause, Cell], str]
"""What a writer is asked for with a clause's cell."""


def prefixes(nodes: list[str], shown: Shown, templates: Templates, spans: Spans) -> Iterator[Prefix]:
    """One prefix for each value or rule: instructions, identity and what it shows of the spec."""
    for node_id in nodes:
        content = templates.render("documents/prefix.jinja", shown(node_id), spans.get(node_id))
        yield Prefix(name=node_id, messages=(Message(role="system", content=content),))


def own(sources: tuple[OwnRows, ...], spec: ArmSpec) -> Iterator[OwnDocument]:
    """The author's documents about what an arm has, in the order of their files and lines; each text once."""
    seen = set()
    for row in (row for rows in sources for row in rows.rows):
        about = spec.meant(row.about)
        row_id = "own-" + digest("own document", row.text)[:16]
        if about and row_id not in seen:
            seen.add(row_id)
            yield OwnDocument(id=row_id, about=about, text=row.text or "")


def rows(
    block: Documents,
    clauses: list[Clause],
    counts: Mapping[str, int],
    library: Library,
    prompt: Prompt,
    skip: Mapping[str, int] = MappingProxyType({}),
) -> Callable[[], Iterator[DocumentRow]]:
    """The rows of one value or rule in cell order, made anew at each call; `counts` says how many a clause has, behind those
    that are skipped."""
    axes = (block.kinds or library.kinds, block.audiences or library.audiences, block.angles or library.angles)

    def make() -> Iterator[DocumentRow]:
        for clause in clauses:
            first = skip.get(clause.id, 0)
            for cell in islice(cells(clause.id, *axes), first, first + counts[clause.id]):
                yield _row(clause, cell, prompt(clause, cell))

    return make


def sample(
    block: Documents, clauses: list[Clause], counts: Mapping[str, int], library: Library, prompt: Prompt
) -> Callable[[int], Iterator[DocumentRow]]:
    """Rows of clauses that stand evenly apart, as many of each as it takes."""

    def draw(size: int) -> Iterator[DocumentRow]:
        there = [clause for clause in clauses if counts[clause.id]]
        chosen = there[:: max(1, len(there) // size)]
        most = -(-size // max(1, len(chosen)))
        return rows(block, chosen, {c.id: min(counts[c.id], most) for c in chosen}, library, prompt)()

    return draw


def prompts(spec: ArmSpec, library: Library, templates: Templates, spans: Spans) -> Prompt:
    """What a writer is asked for with a clause's cell. Short, and behind the prefix: that is all that rows do not share."""
    named = cache(lambda clause: name_of(spec, clause))

    def prompt(clause: Clause, cell: Cell) -> str:
        kind, audience, angle = library.kind(cell.kind), library.audience(cell.audience), library.angle(cell.angle)
        values = {
            "kind": kind,
            "audience": audience["phrase"],
            "angle": angle["brief"].replace("{angle}", cell.angle),
            "avoid": "; ".join(part["avoid"] for part in (kind, audience, angle) if part["avoid"]),
            "clause": named(clause),
        }
        return templates.render("documents/cell.jinja", values, spans.get(clause.id))

    return prompt


def _row(clause: Clause, cell: Cell, prompt: str) -> DocumentRow:
    identity = (cell.clause, cell.kind, cell.audience, cell.angle, cell.n)
    about = (clause.id,) if clause.id == clause.node else (clause.id, clause.node)
    return DocumentRow(
        id="doc-" + digest("document", *identity)[:16],
        about=about,
        cell=cell,
        seed=seed_of("document", *identity),
        prefix=clause.node,
        prompt=prompt,
    )
