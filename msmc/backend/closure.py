"""The closure of a row's clause: all of a spec that the row's document may depend on (DESIGN section 5)."""

import re
from dataclasses import dataclass

from msmc.build import DocumentRow
from msmc.ir import ArmRule, ArmSpec


@dataclass(frozen=True, slots=True)
class Told:
    """A value or a sub-rule as the arm words it; a sub-rule has no title."""

    id: str
    title: str
    statement: str
    rationale: str | None


@dataclass(frozen=True, slots=True)
class Closure:
    """A rule with its sub-rules and the values it serves, or a value and the titles of the rules that serve it."""

    assistant: str
    provider: str
    is_rule: bool
    node: Told
    subrules: tuple[Told, ...]
    served: tuple[Told, ...]
    members: tuple[str, ...]
    """Titles."""


def closure_of(spec: ArmSpec, row: DocumentRow) -> Closure:
    """What the document of `row` may say of `spec`."""
    node = next(n for n in spec.nodes if n.id == row.about[-1])
    rule = node if isinstance(node, ArmRule) else None
    return Closure(
        assistant=spec.identity.assistant,
        provider=spec.identity.provider,
        is_rule=rule is not None,
        node=Told(node.id, _title(node.title), node.statement, node.rationale),
        subrules=tuple(Told(s.id, "", s.statement, s.rationale) for s in rule.subrules) if rule else (),
        served=tuple(
            Told(v.id, _title(v.title), v.statement, v.rationale) for v in spec.values if rule and v.id in rule.serves
        ),
        members=() if rule else tuple(_title(r.title) for r in spec.rules if node.id in r.serves),
    )


def _title(title: str) -> str:
    """A title on one line, otherwise as it was written."""
    return re.sub(r"\s*[\r\n]\s*", " ", title.strip())
