"""What prompts show of the spec: a node's closure, or the whole spec (`context` of a target)."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from msmc.ir import ArmRule, ArmSpec
from msmc.lower.content import node, shown, whole
from msmc.lower.render import Templates
from msmc.prose import one_line
from msmc.source import Span
from msmc.target import Context

Spans = Mapping[str, Span]
"""Where each id of an arm stands."""
Shown = Callable[[str], dict[str, Any]]
"""By a node's id, what its prefix is rendered from."""


def as_prose(spec: ArmSpec, templates: Templates) -> str:
    """The content of spec.md."""
    titles = {value.id: value.title for value in spec.values}
    return templates.render("spec.md.jinja", {"spec": spec, "titles": titles}) + "\n"


def shown_by(context: Context, spec: ArmSpec, templates: Templates, spans: Spans) -> Shown:
    """What the prefixes of an arm show. With the whole spec they say which part of it their rows are about."""
    everything = cache(lambda: closure(whole(spec), None))

    def closure(parts: dict[str, Any], about: Span | None) -> str:
        return templates.render("documents/closure.jinja", parts, about).removesuffix("\n")  # the template's own

    def values(node_id: str) -> dict[str, Any]:
        found = node(spec, node_id)
        kind = "rule" if isinstance(found, ArmRule) else "value"
        return {
            "assistant": spec.identity.assistant,
            "provider": spec.identity.provider,
            "closure": everything() if context == "spec" else closure(shown(spec, node_id), spans.get(node_id)),
            "part": f"the {kind} “{one_line(found.title)}”" if context == "spec" else "",
            "reasons": bool(found.rationale or serves(spec, node_id)),
        }

    return values


def serves(spec: ArmSpec, node_id: str) -> bool:
    """Whether a node is a rule that serves a value which the arm has."""
    found = node(spec, node_id)
    return isinstance(found, ArmRule) and any(value.id in found.serves for value in spec.values)
