"""A difference for people and for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from msmc.diff.described import FieldValue, Said
from msmc.diff.difference import Difference
from msmc.diff.nodes import FieldChange, NodeChange
from msmc.diff.rows import ARTEFACTS, Count, RowChanges
from msmc.diff.words import Piece, list_diff, word_diff
from msmc.prose import one_line, visible

SCHEMA_VERSION = 1
AROUND = 6
"""Words that are shown on either side of a change."""
SHOWN = 40
"""Words that are shown of a text that is new or gone."""
ENTRIES = 8
"""Entries that are shown of a list."""
NOUNS = {"documents": "document", "demos": "demo", "evals": "eval row"}
NOTHING = "no difference in meaning"


def as_text(found: Difference, color: bool = False) -> str:
    """Nodes with their fields, the rows, a summary in the last line. Words are `[-gone-]` and `{+new+}`, or red and green."""
    blocks = ["\n".join(_node(change, found.root, color)) for change in found.nodes]
    if found.rows is not None and found.rows.any:
        blocks += ["\n".join(table) for table in _tables(found.rows, found)]
    if found.notes:
        blocks.append("\n".join(f"note: {note}" for note in found.notes))
    return "\n\n".join([*blocks, summary(found)])


def summary(found: Difference) -> str:
    """One line."""
    if not found.changed:
        return NOTHING
    parts = [_nodes(found.nodes)]
    if found.rows is not None:
        counts = found.rows.distinct
        stale = ", ".join(_stale(name, counts[name]) for name in ARTEFACTS if counts[name].rows) or "0 rows"
        tokens = (
            f"about {round(found.rows.to_send):,} prompt tokens to send again"
            if found.rows.to_send
            else "none to send again"
        )
        parts.append(f"{stale} stale ({tokens})")
        new, gone = (sum(getattr(c, what) for c in found.rows.distinct.values()) for what in ("new", "gone"))
        parts += [f"{new:,} rows new, {gone:,} gone"] if new or gone else []
    return "; ".join(parts)


def _stale(name: str, count: Count) -> str:
    return f"{count.stale:,} of {count.rows:,} {NOUNS[name]}{'' if count.rows == 1 else 's'}"


def _nodes(changes: Sequence[NodeChange]) -> str:
    distinct = {(c.change, c.kind, c.id) for c in changes}  # what changed otherwise in another arm is the same node
    counts = {
        kind: sum(change == kind for change, *_ in distinct) for kind in ("changed", "renamed", "added", "removed")
    }
    told = [(f"{num:,} {kind}", num) for kind, num in counts.items() if num]
    if not told:
        return "no node changed"
    first, num = told[0]
    number, _, kind = first.partition(" ")
    return ", ".join([f"{number} node{'' if num == 1 else 's'} {kind}", *(rest for rest, _ in told[1:])])


# ---- nodes ------------------------------------------------------------------------------------------------------------------


def _node(change: NodeChange, root: str, color: bool) -> Iterator[str]:
    was = f", was {_local(change.was, root)}" if change.was else ""
    arms = f"   ({', '.join(change.arms)})" if change.arms and change.arms != ("full",) else ""
    sign = {"added": "+", "removed": "-"}.get(change.change)
    name = "" if change.kind == "documents" else f" {_local(change.id, root)}"
    yield _paint(f"{change.change} {change.kind}{name}{was}", sign or "=", color, bold=True) + arms
    for field in change.fields:
        yield from _field(field, color)
    if change.looks_like:
        name = change.looks_like.rpartition(".")[2]
        yield f"  hint: it looks like {_local(change.looks_like, root)} renamed: add `was {name}`, and its history goes on"


def _local(node_id: str, root: str) -> str:
    """As it is written in its spec."""
    return node_id.removeprefix(f"{root}.")


def _field(change: FieldChange, color: bool) -> Iterator[str]:
    pieces = _pieces(change.old, change.new)
    text = "".join(_piece(piece, color) for piece in pieces) if pieces else "(white space alone)"
    yield f"  {change.field}: {text}"


def _pieces(old: FieldValue | None, new: FieldValue | None) -> list[Piece]:
    if isinstance(old, Said) and isinstance(new, Said):
        return _elided(word_diff(old.written, new.written))
    if isinstance(old, Said) or isinstance(new, Said):
        # `new` is a list only where another kind of field has this name, which the language has not
        text = old.written if isinstance(old, Said) else new.written if isinstance(new, Said) else ""
        return [Piece("-" if isinstance(old, Said) else "+", _start(one_line(text)))]
    return _entries(list_diff(old or (), new or ()))


def _start(text: str) -> str:
    words = text.split(" ")
    return text if len(words) <= SHOWN else " ".join(words[:SHOWN]) + " …"


def _elided(pieces: list[Piece]) -> list[Piece]:
    """With little of what stayed around each change."""
    found = []
    for i, piece in enumerate(pieces):
        words = piece.text.split(" ")
        head, tail = (AROUND if i else 0), (AROUND if i + 1 < len(pieces) else 0)
        if piece.sign == "=" and len(words) > head + tail + AROUND:
            end = " ".join(words[len(words) - tail - 1 :]) if tail else ""
            start = " ".join(words[: head + 1]) if head else ""
            piece = Piece("=", " … ".join([start, end]) if start and end else f"{start} …" if start else f"… {end}")
        found.append(piece)
    return found


def _entries(pieces: list[Piece]) -> list[Piece]:
    """A list's entries with commas; those that stayed only where they are few."""
    kept = [p for p in pieces if p.sign == "="]
    shown = [p for p in pieces if p.sign != "=" or len(kept) <= AROUND]
    if len(kept) > AROUND:
        shown = [Piece("=", f"{len(kept)} as before"), *shown]
    if len(shown) > ENTRIES:
        counts = ", ".join(
            f"{n} {w}" for s, w in (("-", "gone"), ("+", "new")) if (n := sum(p.sign == s for p in shown[ENTRIES:]))
        )
        shown = [*shown[:ENTRIES], Piece("=", f"… and {counts} more")]
    return [p if i == 0 else Piece("=", ", ") for piece in shown for i, p in ((1, piece), (0, piece))][1:]


def _piece(piece: Piece, color: bool) -> str:
    return _paint(visible(piece.text), piece.sign, color) if color else _marked(piece)


def _marked(piece: Piece) -> str:
    text = visible(piece.text)
    return {"=": text, "-": f"[-{text}-]", "+": f"{{+{text}+}}"}[piece.sign]


def _paint(text: str, sign: str, color: bool, bold: bool = False) -> str:
    codes = [c for c in ("1" if bold else "", {"-": "31", "+": "32"}.get(sign, "")) if c]
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if color and codes else text


# ---- rows -------------------------------------------------------------------------------------------------------------------


def _tables(rows: RowChanges, found: Difference) -> Iterator[list[str]]:
    was = {change.id: change.was for change in found.nodes if change.was}
    for arm, clauses in rows.table.items():
        lines = []
        for clause, counts in clauses.items():
            if any(count.changed for count in counts.values()):
                cells = [_cell(counts.get(name)) for name in ARTEFACTS]
                tokens = sum(count.tokens for count in counts.values())
                name = _local(clause, found.root) + (
                    f" (was {_local(w, found.root)})" if (w := was.get(clause)) else ""
                )
                lines.append((name, *cells, f"{round(tokens):,}" if tokens else "-"))
        if lines:
            yield _aligned([(f"rows of {arm}", *ARTEFACTS, "tokens, about"), *lines])


def _cell(count: Count | None) -> str:
    if count is None or not count.changed:
        return "-"
    told = [f"{count.stale:,} of {count.rows:,} stale"] if count.stale else []
    return ", ".join([*told, *(f"{n:,} {w}" for n, w in ((count.new, "new"), (count.gone, "gone")) if n)])


def _aligned(lines: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["   ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]


# ---- programs ---------------------------------------------------------------------------------------------------------------


def as_data(found: Difference) -> dict[str, Any]:
    """For `--format json`; grammar/README.md names its keys."""
    return {
        "schema_version": SCHEMA_VERSION,
        "old": found.old,
        "new": found.new,
        "changed": found.changed,
        "nodes": [_node_data(change) for change in found.nodes],
        "rows": None if found.rows is None else _rows_data(found.rows),
        "tokens_to_send": None if found.rows is None else round(found.rows.to_send),
        "notes": found.notes,
        "summary": summary(found),
    }


def _node_data(change: NodeChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "id": change.id,
        "change": change.change,
        "was": change.was,
        "looks_like": change.looks_like,
        "arms": list(change.arms),
        "fields": [{"field": f.field, "old": _plain(f.old), "new": _plain(f.new)} for f in change.fields],
    }


def _plain(value: FieldValue | None) -> str | list[str] | None:
    return value.written if isinstance(value, Said) else None if value is None else sorted(value)


def _rows_data(rows: RowChanges) -> dict[str, Any]:
    return {
        arm: {
            clause: {name: _count_data(count) for name, count in counts.items()} for clause, counts in clauses.items()
        }
        for arm, clauses in rows.table.items()
    }


def _count_data(count: Count) -> dict[str, int]:
    names = ("stale", "new", "gone", "unchanged")
    return {name: getattr(count, name) for name in names} | {"tokens": round(count.tokens)}
