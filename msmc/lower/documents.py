"""Documents: the prefixes that planned ones share, and those that exist. The rows are in `planned.py`."""

from collections.abc import Iterator, Mapping

from msmc.build import Message, OwnDocument, Prefix, digest
from msmc.ir import ArmRule, ArmSpec, OwnRows
from msmc.lower.content import node, shown
from msmc.lower.render import Templates
from msmc.source import Span

Spans = Mapping[str, Span]
"""Where each id of an arm stands."""


def closure(spec: ArmSpec, node_id: str, templates: Templates, spans: Spans) -> str:
    """What a prompt shows of the spec."""
    text = templates.render("documents/closure.jinja", shown(spec, node_id), spans.get(node_id))
    return text.removesuffix("\n")  # the template's own


def prefixes(spec: ArmSpec, nodes: list[str], templates: Templates, spans: Spans) -> Iterator[Prefix]:
    """One prefix for each value or rule: instructions, identity and its closure."""
    for node_id in nodes:
        text = closure(spec, node_id, templates, spans)
        values = {
            "assistant": spec.identity.assistant,
            "provider": spec.identity.provider,
            "closure": text,
            "reasons": _has_reason(spec, node_id),
        }
        content = templates.render("documents/prefix.jinja", values, spans.get(node_id))
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
