"""An arm's corpus: its planned documents behind the gates, and rows of the reserve in place of what these took.

Which rows of a clause are kept depends on the rows alone, and they are taken in cell order: of two doses of a sweep the
larger one's corpus has what the smaller one's has.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from msmc.backend.drafting import Drafted
from msmc.backend.gates import Gates, Rows
from msmc.backend.tree import Arm
from msmc.build import DocumentRow, canonical
from msmc.diagnostics import Failed, fail
from msmc.whole import whole_file

TOLD = 20
"""Short clauses that a message names."""

Write = Callable[[Iterable[DocumentRow] | None], Iterator[Drafted]]
"""Writes the given rows, or all that are planned, in their order."""


@dataclass(frozen=True)
class Corpus:
    """The documents of one arm."""

    planned: Counter[str]
    """Documents of each clause, in the order of the build."""
    kept: Rows
    """By clause in this order, planned ones first, the author's own at the end."""
    quarantined: Rows
    reserve: frozenset[str]
    """Ids of the rows that were written in place of others."""

    def coverage(self, kept: Rows) -> dict[str, Any]:
        """What coverage.json holds; `kept`: what is left of the kept rows where they are trimmed. `quarantined` counts rows, and
        `failed` every text that could not be used, of a row that is kept too."""
        found: dict[str, dict[str, Any]] = {
            clause: {"planned": number, "kept": 0, "from_reserve": 0, "quarantined": Counter(), "failed": Counter()}
            for clause, number in self.planned.items()
        }
        own = Counter[str]()
        for row in kept:
            if "cell" not in row:
                own.update(row["about"])
                continue
            found[row["cell"]["clause"]]["kept"] += 1
            found[row["cell"]["clause"]]["from_reserve"] += row["id"] in self.reserve
        for row in (row for row in self.quarantined if "cell" in row):
            found[row["cell"]["clause"]]["quarantined"][row["reason"]] += 1
        for row in (row for row in self.kept + self.quarantined if "cell" in row):
            found[row["cell"]["clause"]]["failed"].update(row["source"].get("failed", ()))
        return {"documents": found, "own": own}


def collect(arm: Arm, gates: Gates, write: Write, quarantine: Path) -> Corpus:
    """What is left behind the gates of what `write` writes. Raises Failed `gate-failed`; `coverage-short` where the reserve ends
    below the floor, and then writes to `quarantine` what was quarantined; `no-rows` where nothing is left."""
    planned = Counter[str]()
    kept, quarantined = gates.written(_counted(write(None), planned))
    floors = {} if arm.neutral else {c: ceil(round(arm.target.documents.floor * n, 6)) for c, n in planned.items()}
    reserve, written = None, set[str]()
    while lacking := _lacking(floors, kept):
        reserve = arm.reserve() if reserve is None else reserve
        rows = [row for clause, number in lacking.items() for row in _taken(reserve.get(clause, []), number)]
        if not rows:
            break
        written |= {row.id for row in rows}
        more, taken = gates.written(write(rows))
        kept, quarantined = kept + more, quarantined + taken
    order = {clause: number for number, clause in enumerate(planned)}
    kept, quarantined = (sorted(rows, key=lambda row: order[row["cell"]["clause"]]) for rows in (kept, quarantined))
    own, own_quarantined = gates.own(arm.own_documents())
    corpus = Corpus(planned, kept + own, quarantined + own_quarantined, frozenset(written))
    if lacking:
        whole_file(quarantine, "".join(canonical(row) + "\n" for row in corpus.quarantined))
        raise _short(arm, corpus, lacking, quarantine)
    if not corpus.kept and corpus.quarantined:
        every = f"all {len(corpus.quarantined)} documents of `{arm.name}` are in quarantine"
        reason = f"the first: {corpus.quarantined[0]['reason']}"
        raise fail("no-rows", every, "give it another writer, or more max_tokens", reason)
    if not corpus.kept:
        raise fail("no-rows", f"no document of `{arm.name}` may be trained on", "add a `documents` block to the spec")
    return corpus


def _counted(documents: Iterator[Drafted], counts: Counter[str]) -> Iterator[Drafted]:
    for document in documents:
        counts[document.row.cell.clause] += 1
        yield document


def _lacking(floors: dict[str, int], kept: Rows) -> dict[str, int]:
    """Documents that each clause below its floor lacks."""
    there = Counter(row["cell"]["clause"] for row in kept)
    return {clause: floor - there[clause] for clause, floor in floors.items() if there[clause] < floor}


def _taken(rows: list[DocumentRow], number: int) -> list[DocumentRow]:
    """The first rows, which are gone from the list then."""
    taken, rows[:] = rows[:number], rows[number:]
    return taken


def _short(arm: Arm, corpus: Corpus, lacking: dict[str, int], quarantine: Path) -> Failed:
    """Clauses that have fewer documents than their floor after the gates, with all of their reserve written.

    Gates take a document that mentions a held-out item, or whose text does not show the clause it was planned for: no term or
    phrase of it is there. Such a corpus would teach another spec than the one that is compared. A model writes it again
    (`documents.attempts`), and then rows of the reserve are written in place of what the gates or a critic took; where they end,
    the writer or the clause is at fault. Read what was quarantined. `documents.reserve` plans more of them, `documents.floor`
    lets a clause have fewer. Chats have no reserve: `demos.attempts` and `demos.floor` are theirs.

    Bad:
        four documents planned for a rule, one in reserve, and two of them about something else

    Good:
        $ msmc run tea.msm --set documents.reserve=1
    """
    found, told = corpus.coverage(corpus.kept)["documents"], []
    for clause in list(lacking)[:TOLD]:
        place, counts = arm.sourcemap[clause], found[clause]
        reasons = " and ".join(f"{number} × {reason}" for reason, number in counts["quarantined"].most_common(2))
        kept = f"{counts['kept']} of {counts['planned']}"
        told.append(f"{clause} ({place['file']}:{place['line']}) has {kept}: {reasons}")
    if len(lacking) > TOLD:
        told.append(f"… and {len(lacking) - TOLD} more")
    few = f"{len(lacking)} of {len(found)} clauses of `{arm.name}` have too few documents after the gates"
    hint = f"read what they took: {quarantine}; then raise documents.reserve or lower documents.floor"
    return fail("coverage-short", few, hint, "; ".join(told))
