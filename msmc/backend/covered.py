"""Coverage of a run: what of each clause was planned, and what of it a model was trained and asked on."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msmc.backend.tree import Arm
from msmc.coverage import Covered, chats_of, items
from msmc.stored import read_json, read_jsonl


def covered(full: Arm, trained: Mapping[str, Arm], run: Path) -> Iterator[Covered]:
    """`trained`: whose `documents` and `demos` the run's model saw. A clause that one of these arms dropped has none there."""
    documents, demos = trained.get("documents"), trained.get("demos")
    there = read_json(run / "corpus" / "coverage.json") if documents else {}
    chats = chats_of(read_jsonl(run / "demos" / "finetune.jsonl")) if demos else {}
    told = set()
    for arm in (documents, demos, full):
        for clause in arm.spec.clauses() if arm else ():
            if clause.id in told:
                continue
            told.add(clause.id)
            assert arm is not None
            place, kept = arm.sourcemap[clause.id], there.get("documents", {}).get(clause.id, {})
            written = kept.get("kept", 0) + there.get("own", {}).get(clause.id, 0)
            yield Covered(
                clause.id,
                clause.kind,
                f"{place['file']}:{place['line']}",
                _planned(documents, clause.id, "documents"),
                written if documents else None,
                _planned(demos, clause.id, "demos"),
                chats.get(clause.id, 0) if demos else None,
                items(arm.manifest["coverage"][clause.id]),
                kept.get("from_reserve", 0),
                kept.get("quarantined", {}),
            )


def _planned(arm: Arm | None, clause: str, what: str) -> int | None:
    return int(arm.manifest["coverage"].get(clause, {}).get(what, 0)) if arm else None
