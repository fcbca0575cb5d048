"""Two sides in; the nodes that differ in meaning, and the rows that go stale, out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from msmc.diagnostics import Failed, did_you_mean, fail
from msmc.diff.described import Described, describe_arm
from msmc.diff.nodes import NodeChange, Renames, compare, order, renames
from msmc.diff.rows import ArmRows, RowChanges, row_changes
from msmc.diff.sides import Source, Stored
from msmc.ir import Identity, Rule, Value
from msmc.project import load_target
from msmc.target import Target

Side: TypeAlias = Source | Stored
Result = TypeVar("Result")
Pairs: TypeAlias = list[tuple[str, ArmRows | None, ArmRows | None]]
SOMEBODY = Identity.model_construct(assistant="the assistant", provider="its provider")
"""For whoever looks at nodes alone: a spec need not say whom it is about, as a target may."""


@dataclass
class Difference:
    old: str
    new: str
    nodes: list[NodeChange]
    rows: RowChanges | None
    """None where only nodes were compared."""
    notes: list[str] = field(default_factory=list)
    root: str = ""
    """The name that the ids of NEW begin with."""

    @property
    def changed(self) -> bool:
        return bool(self.nodes) or (self.rows is not None and self.rows.any)


@dataclass(frozen=True)
class Settings:
    """How sources are compiled; what is not said is the build's beside them, if there is one."""

    target: str | None = None
    ablation: str | None = None
    settings: tuple[str, ...] = ()

    def target_for(self, sides: tuple[Side, Side]) -> Target:
        build = next((s for s in sides if isinstance(s, Stored)), None)
        if build and self.target is None and not self.settings:
            return build.target
        source = next((s for s in reversed(sides) if isinstance(s, Source)), None)
        return load_target(self.target or "cpu", source.sources.root if source else Path.cwd(), self.settings)

    def ablation_for(self, sides: tuple[Side, Side]) -> str | None:
        return self.ablation or next((s.ablation for s in sides if isinstance(s, Stored)), None)


def difference(old: Side, new: Side, settings: Settings) -> Difference:
    """Raises Failed with the problems of both sides."""
    if isinstance(old, Source) and isinstance(new, Source):
        return _of_sources(old, new, settings)
    arms, was = _arms(old, new, settings)
    pairs = _pairs(old, new, *arms)
    found = Difference(old.label, new.label, [], None, [*_only(pairs), *_built_otherwise(old, new, pairs)])
    described = [
        (name, before and describe_arm(before.spec, was[0]), after and describe_arm(after.spec, was[1]))
        for name, before, after in pairs
    ]
    root = next(((b.spec.name, a.spec.name) for _, b, a in pairs if b and a), ("", ""))
    moved = renames(
        [node for _, nodes, _ in described for node in nodes or ()],
        [node for _, _, nodes in described for node in nodes or ()],
        root,
    )
    for name, nodes, others in described:
        if nodes and others:
            found.nodes += [replace(change, arms=(name,)) for change in compare(nodes, others, moved)]
    found.nodes, found.root = _merged(found.nodes), root[1]
    found.rows = row_changes(pairs, moved)
    return found


def nodes_alone(old: Source | None, new: Source | None) -> Difference:
    """Without rows and without a target; None is a file that is not there."""
    return _nodes_of(old, new, SOMEBODY)[0]


def _of_sources(old: Source, new: Source, settings: Settings) -> Difference:
    target = settings.target_for((old, new))
    if not old.prefix and not new.prefix and old.sources.root != new.sources.root:
        old.prefix, new.prefix = f"{old.sources.root}/", f"{new.sources.root}/"
    found, moved = _nodes_of(old, new, target.identity)
    specs = [side.check(target.identity).specs for side in (old, new)]
    if any(len(held) != 1 for held in specs):
        found.notes.append("rows were not compared: only a file that holds one spec has some")
        return found
    has = [any(a.name == settings.ablation for a in held[0].ablations) for held in specs]
    for side, there in zip((old, new), has, strict=True):
        if settings.ablation and any(has) and not there:
            found.notes.append(
                f"`{side.label}` has no ablation `{settings.ablation}`: all of its arms but `full` are new or gone"
            )
    # where neither side has it, compiling says so
    wanted = [settings.ablation if there or not any(has) else None for there in has]
    arms = _both(old, new, lambda side, i: side.arms(target, wanted[i]))
    pairs = _pairs(old, new, *arms)
    found.notes += _only(pairs)
    found.rows = row_changes(pairs, moved)
    return found


def _nodes_of(old: Source | None, new: Source | None, identity: Identity | None) -> tuple[Difference, Renames]:
    specs: list[dict[str, list[Described]]] = _both(old, new, lambda side, _: side.describe(side.check(identity)))
    found = Difference(old.label if old else "", new.label if new else "", [], None)
    roots = {name: name for name in specs[0].keys() & specs[1].keys()}
    alone = [[name for name in held if name not in roots] for held in specs]
    if len(alone[0]) == len(alone[1]) == 1:  # it has another name now
        roots[alone[0][0]] = alone[1][0]
    moved = Renames({})
    for name in sorted(specs[0].keys() - roots.keys()):
        found.nodes += compare(specs[0][name], [], moved)
    for name in sorted(specs[1].keys() - set(roots.values())):
        found.nodes += compare([], specs[1][name], moved)
    for name in (name for name in reversed(specs[0]) if name in roots):  # the spec last: its ids are those of rows
        other = roots[name]
        moved = renames(specs[0][name], specs[1][other], (name, other))
        found.nodes += compare(specs[0][name], specs[1][other], moved)
        found.root = other
        if name != other:
            found.notes.append(f"`{name}` is called `{other}` in NEW, and every id begins with it: rows have other ids")
    # a value of another file is described with every spec that serves it
    found.nodes = sorted(dict.fromkeys(found.nodes), key=order)
    return found, moved


def _both(old: Source | None, new: Source | None, do: Callable[[Source, int], Result]) -> list[Result]:
    """What `do` makes of both sides (an empty dict where there is none). Raises Failed with the problems of both."""
    found, failures = [], []
    for i, side in enumerate((old, new)):
        try:
            found.append(do(side, i) if side else cast(Result, {}))
        except Failed as failed:
            failures.append(failed)
    if failures:
        told = Failed(*(problem for failed in failures for problem in failed.problems))
        told.files = {path: file for failed in failures for path, file in failed.files.items()}
        raise told
    return found


# ---- arms -------------------------------------------------------------------------------------------------------------------


def _arms(
    old: Side, new: Side, settings: Settings
) -> tuple[list[dict[str, ArmRows]], list[dict[str, tuple[str, ...]]]]:
    """Each side's arms, and the earlier names of its nodes where it is a source."""
    arms: list[dict[str, ArmRows]] = []
    was: list[dict[str, tuple[str, ...]]] = []
    for side in (old, new):
        if isinstance(side, Stored):
            arms.append(side.rows)
            was.append({})
        else:
            target = settings.target_for((old, new))
            arms.append(side.arms(target, settings.ablation_for((old, new))))
            (spec,) = side.check(target.identity).specs
            nodes: tuple[Value | Rule, ...] = (*spec.values, *spec.rules)
            was.append({node.id: node.was for node in nodes})
    return arms, was


def _pairs(old: Side, new: Side, before: dict[str, ArmRows], after: dict[str, ArmRows]) -> Pairs:
    """The arms of both by their names; an arm of a build that is named alone with the one that the other side names, or has."""
    alone = [isinstance(side, Stored) and side.one_arm for side in (old, new)]
    if all(alone):
        (left,), (right,) = before.values(), after.values()
        return [(left.name if left.name == right.name else f"{left.name} -> {right.name}", left, right)]
    if any(alone):
        name = next(iter(before if alone[0] else after))
        side, arms = (new, after) if alone[0] else (old, before)
        if name not in arms:
            raise fail("unknown-arm", f"`{side.label}` has no arm `{name}`", did_you_mean(name, arms))
        return [(name, before[name], after[name])]
    return [(name, before.get(name), after.get(name)) for name in dict.fromkeys((*after, *before))]


def _only(pairs: Pairs) -> Iterator[str]:
    for name, before, after in pairs:
        if before is None or after is None:
            yield f"the arm `{name}` is in {'NEW' if after else 'OLD'} alone"


def _built_otherwise(old: Side, new: Side, pairs: Pairs) -> Iterator[str]:
    """What makes rows of two builds differ besides their specs."""
    if not isinstance(old, Stored) or not isinstance(new, Stored):
        return
    left, right = (_flat(side.target.model_dump(mode="json")) for side in (old, new))
    keys = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
    if keys:
        yield f"the builds have different targets: {', '.join(keys)}"
    name = next((name for name, before, after in pairs if before and after), None)
    arms = [next(iter(s.manifests.values())) if name not in s.manifests else s.manifests[name] for s in (old, new)]
    if arms[0]["fingerprints"].get("templates") != arms[1]["fingerprints"].get("templates"):
        yield "the builds were made with different templates, as another version of msmc has them"


def _flat(data: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(data, dict):
        return {key: data}
    return {k: v for name, inner in data.items() for k, v in _flat(inner, f"{key}.{name}".strip(".")).items()}


def _merged(changes: list[NodeChange]) -> list[NodeChange]:
    """A change that several arms have stands once."""
    found: dict[NodeChange, tuple[str, ...]] = {}
    for change in changes:
        plain = replace(change, arms=())
        found[plain] = (*found.get(plain, ()), *change.arms)
    return [replace(change, arms=arms) for change, arms in found.items()]
