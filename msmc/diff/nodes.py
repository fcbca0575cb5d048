"""What differs between two lists of described nodes, and which nodes are one that was renamed."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from msmc.diff.described import Described, FieldValue, Said

Change = Literal["changed", "added", "removed", "renamed"]
ABOUT = re.compile(r"[a-z0-9_.]+(?:, [a-z0-9_.]+)*")
"""What a row is about, as `msmc/diff/described.py` puts it before its text."""
LIKE = 0.8
"""How much of the words of two nodes is the same where one looks like the other renamed."""
PAIRS = 400
"""Pairs of a removed and an added node that are compared for that."""
LONG = 2_000
"""Words of a node that are compared for that."""


class FieldChange(NamedTuple):
    field: str
    old: FieldValue | None
    new: FieldValue | None


@dataclass(frozen=True)
class NodeChange:
    kind: str
    id: str
    """In NEW, and in OLD for a node that is gone."""
    change: Change
    fields: tuple[FieldChange, ...]
    was: str | None = None
    """Its id in OLD, where that is another."""
    looks_like: str | None = None
    """For an added node without `was` the removed one that says nearly the same."""
    arms: tuple[str, ...] = ()
    """The arms in which it changed so, where builds were compared."""


class Renames:
    """Ids of OLD to ids of NEW: a node takes its parts along."""

    def __init__(self, moved: Mapping[str, str]) -> None:
        self._moved = dict(moved)

    def __call__(self, node_id: str) -> str:
        parent = node_id
        while parent:
            if parent in self._moved:
                return self._moved[parent] + node_id.removeprefix(parent)
            parent = parent.rpartition(".")[0]
        return node_id

    def add(self, old: str, new: str) -> None:
        self._moved[old] = new

    def within(self, field: str, value: FieldValue) -> FieldValue:
        """The ids in a list, such as `serves`, as NEW has them."""
        if isinstance(value, Said) or field == "pairs":
            return value
        if field == "rows":  # what a row is about stands before its text
            parts = [entry.partition(": ") for entry in value]
            return tuple(f"{self._in_words(a)}: {b}" if ABOUT.fullmatch(a) else a + colon + b for a, colon, b in parts)
        # an operation of an arm is words with an id among them
        return tuple(map(self._in_words, value))

    def field(self, name: str) -> str:
        """A field's own name, which for a reason has an id in it."""
        return self._in_words(name) if name.startswith("rationale for ") else name

    def _in_words(self, said: str) -> str:
        return " ".join(self(word) if "." in word else word for word in said.split(" "))


def renames(old: Sequence[Described], new: Sequence[Described], root: tuple[str, str]) -> Renames:
    """By `was` in NEW (or in OLD, for whoever looks back), under specs whose names are `root`."""
    found = Renames({root[0]: root[1]} if root[0] != root[1] else {})
    before = {(node.kind, found(node.id)): node for node in old}
    after = {(node.kind, node.id): node for node in new}
    for key in sorted(after.keys() - before.keys()):
        for name in _siblings(after[key]):
            if (key[0], name) in before and (key[0], name) not in after:
                found.add(before[key[0], name].id, key[1])
                break
    for key in sorted(before.keys() - after.keys()):
        for name in _siblings(before[key]):
            moved = found(name)
            if (key[0], moved) in after and (key[0], moved) not in before and found(before[key].id) == key[1]:
                found.add(before[key].id, moved)
                break
    return found


def _siblings(node: Described) -> list[str]:
    """The ids that it had."""
    return [f"{node.id.rpartition('.')[0]}.{name}" for name in node.was]


def compare(old: Sequence[Described], new: Sequence[Described], moved: Renames) -> list[NodeChange]:
    """Every node that was changed, renamed, removed or added, by id."""
    before = {(node.kind, moved(node.id)): node for node in old}
    after = {(node.kind, node.id): node for node in new}
    found = []
    for key in before.keys() & after.keys():
        fields = tuple(_fields(before[key], after[key], moved))
        was = before[key].id if before[key].id != key[1] and _renamed(before[key].id, key[1]) else None
        if was or fields:
            found.append(NodeChange(*key, "renamed" if was else "changed", fields, was))
    removed = [before[key] for key in before.keys() - after.keys()]
    added = [after[key] for key in after.keys() - before.keys()]
    alike = _alike(sorted(removed, key=_id), sorted(added, key=_id))
    found += [
        NodeChange(n.kind, n.id, "removed", tuple(FieldChange(f, v, None) for f, v in n.fields.items()))
        for n in removed
    ]
    for n in added:
        fields = tuple(FieldChange(f, None, v) for f, v in n.fields.items())
        found.append(NodeChange(n.kind, n.id, "added", fields, looks_like=alike.get(n.id)))
    return sorted(found, key=order)


def order(change: NodeChange) -> tuple[bool, str, str, str]:
    """Heads of specs first, then by id."""
    return change.kind != "spec", change.id, change.kind, change.change


def _id(node: Described) -> str:
    return node.id


def _renamed(old: str, new: str) -> bool:
    """Is it the node itself that has another name, or only the spec that it stands in?"""
    return "." not in old or old.rpartition(".")[2] != new.rpartition(".")[2]


def _fields(old: Described, new: Described, moved: Renames) -> Iterator[FieldChange]:
    earlier = {moved.field(name): moved.within(name, value) for name, value in old.fields.items()}
    for name in dict.fromkeys((*earlier, *new.fields)):
        before, after = earlier.get(name), new.fields.get(name)
        if not _same(before, after):
            yield FieldChange(name, before, after)


def _same(old: FieldValue | None, new: FieldValue | None) -> bool:
    if isinstance(old, Said) and isinstance(new, Said):
        return old.written == new.written or old.filled == new.filled
    if old is None or new is None or isinstance(old, Said) or isinstance(new, Said):
        return False
    return set(old) == set(new)


def _alike(removed: Sequence[Described], added: Sequence[Described]) -> dict[str, str]:
    """Added id to the id of the removed node of its kind that says nearly the same."""
    found: dict[str, str] = {}
    left = {n.id: (n.kind, n.text) for n in removed if n.kind in ("value", "rule")}
    right = {n.id: (n.kind, n.text) for n in added if n.kind in ("value", "rule")}
    same = {told: node_id for node_id, told in left.items()}
    few = len(left) * len(right) <= PAIRS
    for new, (kind, text) in right.items():
        near = (o for o, (k, t) in left.items() if few and k == kind and _close(t, text))
        old = same.get((kind, text)) or next((o for o in near if o not in found.values()), None)
        if old and old not in found.values():
            found[new] = old
    return found


def _close(old: str, new: str) -> bool:
    matcher = difflib.SequenceMatcher(None, old.split()[:LONG], new.split()[:LONG])
    return matcher.real_quick_ratio() >= LIKE and matcher.quick_ratio() >= LIKE and matcher.ratio() >= LIKE
