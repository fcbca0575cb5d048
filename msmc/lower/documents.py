"""Planned documents: rows and the prefixes they share."""

from collections.abc import Callable, Iterator
from itertools import islice

from msmc.build import Cell, DocumentRow, Message, OwnDocument, Prefix, digest
from msmc.digest import seed_of
from msmc.ir import ArmRule, ArmSpec, Clause, Documents, OwnRows
from msmc.library import Library
from msmc.lower.cells import cells
from msmc.lower.content import node, shown
from msmc.lower.render import Templates


def closure(spec: ArmSpec, node_id: str, templates: Templates) -> str:
    """What a prompt shows of the spec."""
    return templates.render("documents/closure.jinja", shown(spec, node_id)).removesuffix("\n")  # the template's own


def prefixes(spec: ArmSpec, nodes: list[str], templates: Templates) -> Iterator[Prefix]:
    """One prefix for each value or rule: instructions, identity and its closure."""
    for node_id in nodes:
        text = closure(spec, node_id, templates)
        values = {
            "assistant": spec.identity.assistant,
            "provider": spec.identity.provider,
            "closure": text,
            "reasons": _has_reason(spec, node_id),
        }
        content = templates.render("documents/prefix.jinja", values)
        yield Prefix(name=node_id, messages=(Message(role="system", content=content),))


def _has_reason(spec: ArmSpec, node_id: str) -> bool:
    found = node(spec, node_id)
    served = [v for v in spec.values if isinstance(found, ArmRule) and v.id in found.serves]
    return bool(found.rationale or served)


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
    block: Documents, clauses: list[Clause], per_clause: int, library: Library, templates: Templates
) -> Callable[[], Iterator[DocumentRow]]:
    """The rows of one value or rule in cell order, made anew at each call."""
    axes = (
        block.kinds or library.kinds,
        block.audiences or tuple(sorted(library.audiences)),
        block.angles or library.angles,
    )

    def make() -> Iterator[DocumentRow]:
        briefs = {kind: library.kind(kind)["brief"].strip() for kind in axes[0]}
        for clause in clauses:
            for cell in islice(cells(clause.id, *axes), per_clause):
                yield _row(clause, cell, briefs[cell.kind], library, templates)

    return make


def sample(
    block: Documents, clauses: list[Clause], per_clause: int, library: Library, templates: Templates
) -> Callable[[int], Iterator[DocumentRow]]:
    """Rows of clauses that stand evenly apart, as many of each as it takes."""

    def draw(size: int) -> Iterator[DocumentRow]:
        chosen = clauses[:: max(1, len(clauses) // size)]
        each = min(per_clause, -(-size // max(1, len(chosen))))
        return rows(block, chosen, each, library, templates)()

    return draw


def _row(clause: Clause, cell: Cell, brief: str, library: Library, templates: Templates) -> DocumentRow:
    identity = (cell.clause, cell.kind, cell.audience, cell.angle, cell.n)
    prompt = templates.render(
        "documents/cell.jinja",
        {
            "kind": {"name": cell.kind, "brief": brief},
            "audience": library.audience(cell.audience),
            "angle": library.angle(cell.angle)["brief"].strip().replace("{angle}", cell.angle),
            "clause": clause.text,
        },
    )
    about = (clause.id,) if clause.id == clause.node else (clause.id, clause.node)
    return DocumentRow(
        id="doc-" + digest("document", *identity)[:16],
        about=about,
        cell=cell,
        seed=seed_of("document", *identity),
        prefix=clause.node,
        prompt=prompt,
    )
