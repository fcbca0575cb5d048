"""What of the documents the last build has already, and why the rest is not: by fingerprints, without a look at rows."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msmc.build import SCHEMA_VERSION, Build
from msmc.stored import read_json
from msmc.target import Context


@dataclass
class Change:
    """Planned documents of all arms, against the last build of the spec."""

    place: str
    new: int = 0
    stale: int = 0
    gone: int = 0
    unchanged: int = 0
    other_cells: bool = False
    """Kinds, audiences or angles are others, so that no cell is looked for among the last build's."""
    why: Counter[str] = field(default_factory=Counter)
    """Stale rows by what made them so; one that has two reasons counts in both."""


def change(builds: tuple[Build, ...], last: Path) -> Change | None:
    """None where there is no build of this version to compare with. Raises Failed `broken-file` where it is damaged."""
    manifests = {path.parent.name: read_json(path) for path in sorted(last.glob("*/manifest.json"))}
    before = {arm: m for arm, m in manifests.items() if m.get("schema_version") == SCHEMA_VERSION}
    if not before:
        return None
    found = Change(str(last))
    for build in builds:
        _arm(build, before.get(build.arm), found)
    return found


def _arm(build: Build, last: dict[str, Any] | None, found: Change) -> None:
    now = build.manifest
    if last is None:
        found.new += sum(counts["documents"] for counts in now["coverage"].values())
        return
    old, new = last["fingerprints"], now["fingerprints"]
    same_cells = old.get("axes") == new["axes"]
    found.other_cells |= not same_cells
    everywhere = [
        said
        for key, said in (("identity", "the identity"), ("templates", "msmc's templates"))
        if old.get(key) != new[key]
    ]
    context, changed = now["target"]["context"], _changed(old, new)
    if last["target"]["context"] != context:
        everywhere.append(f"`context: {context}`, which it was not before")
    for clause, counts in now["coverage"].items():
        planned = counts["documents"]
        had = last["coverage"].get(clause, {}).get("documents", 0) if same_cells else 0
        node = new["nodes"].get(clause, clause)
        kept = min(planned, had)
        found.new += planned - kept
        found.gone += had - kept
        reasons = list(everywhere)
        if last["target"]["context"] == context and old.get("closures", {}).get(node) != new["closures"][node]:
            reasons += _texts(node, context, changed, new)
        if reasons:
            found.stale += kept
            found.why.update({reason: kept for reason in reasons if kept})
        else:
            found.unchanged += kept
    gone = set(last["coverage"]) - set(now["coverage"]) if same_cells else set(last["coverage"])
    found.gone += sum(last["coverage"][clause]["documents"] for clause in gone)


def _changed(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """Clauses with other words."""
    before, now = old["clauses"], new["clauses"]
    return {clause for clause in before.keys() | now.keys() if before.get(clause) != now.get(clause)}


def _texts(node: str, context: Context, changed: set[str], new: dict[str, Any]) -> list[str]:
    """Whose words the prefix of a node has other ones of."""
    shown = {node, *new["shows"].get(node, ())}
    if context == "closure":
        changed = {i for i in changed if any(i == at or i.startswith(f"{at}.") for at in shown)}
    return [f"`{i}`" for i in sorted(changed)] or [
        f"titles or links of {'the spec' if context == 'spec' else f'`{node}`'}"
    ]
