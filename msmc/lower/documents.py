"""Planned documents: rows and the prefixes they share."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from msmc.build import Cell, DocumentRow, Message, OwnDocument, Prefix, digest
from msmc.digest import seed_of
from msmc.ir import ArmRule, ArmSpec, ArmValue, Clause, Documents, OwnRows
from msmc.library import Library
from msmc.lower.cells import cells
from msmc.lower.render import Templates


def closure(spec: ArmSpec, node_id: str, templates: Templates) -> str:
    """What a prompt shows of the spec: a rule and the values it serves, or a value and the titles of its rules."""
    rules = [rule for rule in spec.rules if rule.id == node_id]
    values = [value for value in spec.values if value.id == node_id or any(value.id in rule.serves for rule in rules)]
    shown = {"values": [_value(value, spec, bool(rules)) for value in values], "rules": [r.model_dump() for r in rules]}
    return templates.render("documents/closure.jinja", shown).removesuffix(
        "\n"
    )  # the template's own, and none of a text's


def _value(value: ArmValue, spec: ArmSpec, within_rule: bool) -> dict[str, Any]:
    # by their titles: a new id moves none of them
    rules = [] if within_rule else sorted(rule.title for rule in spec.rules if value.id in rule.serves)
    return {**value.model_dump(), "rules": rules}


def node(spec: ArmSpec, node_id: str) -> ArmValue | ArmRule:
    return next(n for n in spec.nodes if n.id == node_id)


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


def planned(block: Documents | None, spec: ArmSpec) -> dict[str, list[Clause]]:
    """The clauses to write about, by the value or rule they belong to."""
    found: dict[str, list[Clause]] = {}
    for clause in spec.about(block.about) if block else ():
        found.setdefault(clause.node, []).append(clause)
    return found


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
