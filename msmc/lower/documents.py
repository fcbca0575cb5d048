"""Documents: the prefixes that planned ones share, and those that exist. The rows are in `planned.py`."""

from collections.abc import Iterator

from msmc.build import CRITIQUE, REWRITE, Message, OwnDocument, Prefix
from msmc.ir import ArmSpec, OwnRows
from msmc.lower.context import Shown, Spans
from msmc.lower.render import GIVEN, Templates


def prefixes(nodes: list[str], shown: Shown, templates: Templates, spans: Spans) -> Iterator[Prefix]:
    """One prefix for each value or rule: instructions, identity and what it shows of the spec."""
    for node_id in nodes:
        content = templates.render("documents/prefix.jinja", shown(node_id), spans.get(node_id))
        yield Prefix(name=node_id, messages=(Message(role="system", content=content),))


def critiques(nodes: list[str], shown: Shown, templates: Templates, spans: Spans) -> Iterator[Prefix]:
    """Of each value or rule what a critic is asked with, and a writer who writes a criticised document anew; that one has the
    messages of the first writing, so that a server has them already."""
    frames = {what: _frame(f"documents/{what}.jinja", templates) for what in (CRITIQUE, REWRITE)}
    for written in prefixes(nodes, shown, templates, spans):
        node_id = written.name
        content = templates.render("documents/critique_prefix.jinja", shown(node_id), spans.get(node_id))
        system = (Message(role="system", content=content),)
        yield Prefix(name=f"{CRITIQUE}:{node_id}", messages=system, frame=frames[CRITIQUE])
        yield Prefix(name=f"{REWRITE}:{node_id}", messages=written.messages, frame=frames[REWRITE])


def _frame(path: str, templates: Templates) -> str:
    """A template with a mark where each of its variables is put when a document is there."""
    return templates.render(path, {name: f"{{{name}}}" for name in GIVEN[path]})


def own(sources: tuple[OwnRows, ...], spec: ArmSpec) -> Iterator[OwnDocument]:
    """The author's documents about what an arm has, in the order of their files and lines; each text once."""
    seen = set()
    for row in (row for rows in sources for row in rows.rows):
        about = spec.meant(row.about)
        if about and row.document_id not in seen:
            seen.add(row.document_id)
            said = {"source": row.source, "domain": row.domain}
            yield OwnDocument(id=row.document_id, about=about, text=row.text or "", **said)
