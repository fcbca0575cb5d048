"""Documents: the prefixes that planned ones share, and those that exist. The rows are in `planned.py`."""

from collections.abc import Iterator

from msmc.build import Message, OwnDocument, Prefix
from msmc.ir import ArmSpec, OwnRows
from msmc.lower.context import Shown, Spans
from msmc.lower.render import Templates


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
        if about and row.document_id not in seen:
            seen.add(row.document_id)
            said = {"source": row.source, "domain": row.domain}
            yield OwnDocument(id=row.document_id, about=about, text=row.text or "", **said)
