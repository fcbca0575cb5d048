"""Planned chats as they are written: turn by turn, since each is asked for with those before it. A chat that cannot be used is
begun anew with other seeds, together with the others of its block that cannot."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend import gates
from msmc.backend.chats import Chain, asked_last, asked_next, assemble, chains
from msmc.backend.drafting import Rejected, Wave
from msmc.backend.gates import Rows, free_of_held_out, own_words
from msmc.backend.ledger import FAILED, Reply
from msmc.backend.tree import Arm
from msmc.build import DemoRow, canonical
from msmc.diagnostics import fail
from msmc.digest import seed_of
from msmc.whole import whole_file

ROW = re.compile(r"^(?:ask|say)-\w+: ")
ID = re.compile(r"\b(?:ask|say)-\w+")
TOLD = 20
"""Short clauses that a message names."""


class Chatted(NamedTuple):
    """The planned chats of one arm."""

    kept: Rows
    quarantined: Rows
    coverage: dict[str, dict[str, Any]]
    """By clause: how many were planned, kept and quarantined, the latter by reason, and how many tries failed, by reason."""


def chatted(arm: Arm, writer: str, wave: Wave, reject: Callable[[list[Rejected]], None]) -> Chatted:
    """`writer`: what besides a row its replies depend on; `reject` keeps what cannot be used."""
    kept, quarantined, found = Rows(), Rows(), dict[str, dict[str, Any]]()
    own, attempts = own_words(arm.spec), arm.target.demos.attempts
    for thinking, rows in arm.planned_chats():
        every, replies, tries = list(chains(rows)), dict[str, Reply](), dict[str, int]()
        unanswered = set[str]()
        for chain in every:
            counts = {"planned": 0, "kept": 0, "quarantined": Counter[str](), "failed": Counter[str]()}
            found.setdefault(_clause(chain), counts)["planned"] += 1
        left, good, bad = every, Rows(), Rows()
        for attempt in range(attempts):
            begun = [_tried(chain, attempt) for chain in left]
            for begin in (row for chain in begun for row in chain):
                replies.pop(begin.id, None)
            tries |= {chain[-1].id: attempt for chain in begun}
            what = "turns of chats" + (f", try {attempt + 1}" if attempt else "")
            while turn := [row for chain in begun if (row := asked_next(chain, replies, thinking, own))]:
                asked = [replace(one, tried=one.row.id in unanswered) for one in arm.requests(writer, turn)]
                replies |= {request.row.id: reply for request, reply in wave("writer", asked, len(asked), what)}
            unanswered |= {row for row, reply in replies.items() if reply.finish == FAILED}
            good, bad = assemble(rows, replies, thinking, arm.spec, arm.target.writer_name)
            good, held = free_of_held_out(good, arm.held_out)
            bad += held
            good, faulty = gates.free_of_faults(good, arm.spec, arm.target.gates)
            bad += faulty
            reasons = {chat["id"]: kind_of(chat["reason"]) for chat in bad}
            failed = [(chain, reasons[chain[-1].id]) for chain in begun if chain[-1].id in reasons]
            for chain, reason in failed:
                found[_clause(chain)]["failed"][reason] += 1
            last = [asked_last(chain, replies, thinking, own) for chain, _ in failed]
            reject(
                [(request, reason, "") for request, (_, reason) in zip(arm.requests(writer, last), failed, strict=True)]
            )
            left = [chain for chain in every if chain[-1].id in reasons]
            if not left:
                break
        for chat in good + bad:
            chat["source"]["attempt"] = tries[chat["id"]]
        for chat in good:
            found[chat["about"][0]]["kept"] += 1
        for chat in bad:
            found[chat["about"][0]]["quarantined"][kind_of(chat["reason"])] += 1
        kept, quarantined = kept + good, quarantined + bad
    return Chatted(kept, quarantined, found)


def _clause(chain: Chain) -> str:
    return chain[-1].about[0]


def _tried(chain: Chain, attempt: int) -> Chain:
    """The rows of a chat with the seeds of a try."""
    return tuple(_reseeded(row, attempt) for row in chain) if attempt else chain


def _reseeded(row: DemoRow, attempt: int) -> DemoRow:
    return row.model_copy(update={"seed": seed_of("attempt", row.seed, attempt)})


def kind_of(reason: str) -> str:
    """Why a chat cannot be used, without the rows that it is said of: the same for all that is alike."""
    return ID.sub("another", ROW.sub("", reason))


def require_floor(arm: Arm, chats: Chatted, quarantine: Path) -> None:
    """Raises Failed `coverage-short` where a clause has fewer chats than its floor when all tries are used up, and writes to
    `quarantine` what was quarantined."""
    floor = arm.target.demos.floor
    lacking = {c: n for c, n in chats.coverage.items() if n["kept"] < ceil(round(floor * n["planned"], 6))}
    if not lacking:
        return
    whole_file(quarantine, "".join(canonical(row) + "\n" for row in chats.quarantined))
    told = []
    for clause, counts in list(lacking.items())[:TOLD]:
        place = arm.sourcemap[clause]
        reasons = " and ".join(f"{number} × {reason}" for reason, number in counts["quarantined"].most_common(2))
        told.append(
            f"{clause} ({place['file']}:{place['line']}) has {counts['kept']} of {counts['planned']}: {reasons}"
        )
    if len(lacking) > TOLD:
        told.append(f"… and {len(lacking) - TOLD} more")
    few = f"{len(lacking)} of {len(chats.coverage)} clauses of `{arm.name}` have too few chats, each tried"
    few += f" {arm.target.demos.attempts} times" if arm.target.demos.attempts > 1 else " once"
    hint = f"read what cannot be used: {quarantine}; then raise demos.attempts or lower demos.floor"
    raise fail("coverage-short", few, hint, "; ".join(told))
