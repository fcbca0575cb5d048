"""The stages that write: an arm's documents, and where they are matched, more of them, trimmed.

An arm's planned documents are written and gated (`corpus`). Where an ablation matches its arms, those that are smaller than
the largest write further rows of their reserve (`grown`), and then all are trimmed to the smallest (`matched`). The control
`neutral_documents` is trimmed to the tokens of `full`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msmc.backend.adapter import write_json
from msmc.backend.corpus import Corpus, collect
from msmc.backend.coverage import NEAR, PHRASES, SHOWN
from msmc.backend.gates import Gates, Rows
from msmc.backend.gates.parity import VERSION as COMPARED
from msmc.backend.gates.parity import Corpus as Compares
from msmc.backend.gates.parity import compare, require_parity
from msmc.backend.gates.written import VERSION
from msmc.backend.health import HEALTH, health
from msmc.backend.job import Advance, Job
from msmc.backend.match import TRIMMING, Sized, lacking, matched, size, sized, trimmed
from msmc.backend.spent import Spending
from msmc.backend.training import load_tokenizer
from msmc.backend.tree import Arm
from msmc.build import canonical
from msmc.diagnostics import fail
from msmc.stored import read_json, read_jsonl

if TYPE_CHECKING:
    from msmc.backend.stages import Stages

ROWS, QUARANTINE, COVERAGE = "midtrain.jsonl", "quarantine.jsonl", "coverage.json"


class Corpora:
    """The corpora of one build tree. A stage's folder holds the rows, what was quarantined, coverage.json and health.json."""

    def __init__(self, stages: Stages) -> None:
        self._stages, self._tree = stages, stages.tree
        self._sized = cache(self._measured)

    def of(self, arm: Arm) -> Job:
        """What an arm's model is midtrained on."""
        if arm.neutral:
            return self._like_full(arm)
        return self._matched(arm) if self._by != "none" and arm.name in self._together else self._written(arm)

    @property
    def _by(self) -> str:
        return str(self._tree.plan["match"]["by"])

    @property
    def _together(self) -> list[str]:
        """The arms that are matched with each other."""
        return list(self._tree.plan["match"]["arms"])

    # ---- as planned -------------------------------------------------------------------------------------------------

    def _written(self, arm: Arm) -> Job:
        """Documents of an arm, written, gated and covering its clauses."""
        if not arm.files("documents"):
            raise fail("no-rows", f"`{arm.name}` plans no documents", "add a `documents` block to the spec")
        gated = [arm.held_out, arm.target.documents.floor, SHOWN, PHRASES, NEAR, VERSION, _gates_of(arm)]
        inputs = [arm.digest_of("documents/"), arm.digest_of("ir.json"), *gated, *self._stages.writing.writers]
        place = self._stages.place("corpus", *inputs)

        def fill(part: Path, advance: Advance) -> None:
            quarantine = self._stages.runs / "quarantine" / f"{place.name}.jsonl"
            gates = Gates(arm)
            corpus = collect(arm, gates, partial(self._stages.writing.documents, arm, gates, advance), quarantine)
            _write(part, arm, corpus, corpus.kept)

        return Job(f"write the documents of {arm.name}", place, 2.0, self._looked_at(arm, fill))

    def _looked_at(
        self, arm: Arm, fill: Callable[[Path, Advance], None], earlier: Job | None = None
    ) -> Callable[[Path, Advance], None]:
        """A corpus with its health, and what writing it took, that of the `earlier` one which it is made of included."""
        meter = self._stages.writing.meter

        def filled(part: Path, advance: Advance) -> None:
            spending = Spending.begin(meter)
            fill(part, advance)
            kept, quarantined = (partial(read_jsonl, part / name) for name in (ROWS, QUARANTINE))
            write_json(part / HEALTH, health(arm.spec, kept, quarantined, meter.tokens))
            spending.write(part, earlier.folder if earlier else None)

        return filled

    # ---- matched ----------------------------------------------------------------------------------------------------

    def _measured(self, folder: Path, by: str) -> Sized:
        """The rows of a stage's folder by tokens, or each as 1."""
        return sized(read_jsonl(folder / ROWS), load_tokenizer(self._stages.model) if by == "tokens" else None)

    def _like_full(self, arm: Arm) -> Job:
        """A neutral arm's documents, trimmed to the tokens of `full`'s."""
        written, full = self._written(arm), self.of(self._tree.full)
        place = self._stages.place("matched", written.folder.name, full.folder.name, self._stages.model_name, TRIMMING)

        def fill(part: Path, _: Advance) -> None:
            goal = size(self._sized(full.folder, "tokens"))
            kept = trimmed(arm.name, self._sized(written.folder, "tokens"), goal)
            figures = {"tokens": size(kept), "tokens_matched": goal}
            _write(part, arm, _read(written.folder, arm), [row for row, _ in kept], figures)

        filled = self._looked_at(arm, fill, written)
        return Job(f"match the documents of {arm.name} with full's", place, 1.0, filled, needs=(written, full))

    def _grown(self, arm: Arm) -> Job:
        """An arm's documents, with as many of its reserve as the largest arm has more."""
        by, own = self._by, self._written(arm)
        all_written = [self._written(self._tree.arms[name]) for name in self._together]
        names = sorted(job.folder.name for job in all_written)
        place = self._stages.place("grown", by, own.folder.name, names, self._stages.model_name)

        def fill(part: Path, advance: Advance) -> None:
            corpus = _read(own.folder, arm)
            rows = list(self._sized(own.folder, by))
            there = {row["id"] for row in corpus.kept + corpus.quarantined}
            reserve = (row for row in arm.reserve_in_turns() if row.id not in there)
            goal, gates = max(size(self._sized(job.folder, by)) for job in all_written), Gates(arm)
            tokenizer = load_tokenizer(self._stages.model) if by == "tokens" else None
            gates.kept(corpus.kept)
            while further := list(islice(reserve, lacking(rows, goal))):
                kept, taken = gates.written(self._stages.writing.documents(arm, gates, advance, further))
                rows += sized(kept, tokenizer)
                corpus.quarantined.extend(taken)
            _write(part, arm, corpus, [row for row, _ in rows])

        filled = self._looked_at(arm, fill, own)
        return Job(f"write more documents of {arm.name}", place, 2.0, filled, needs=tuple(all_written))

    def _matched(self, arm: Arm) -> Job:
        """An arm's documents, trimmed so that all arms have as many rows or tokens; what all of them have is kept first."""
        by, grown = self._by, {name: self._grown(self._tree.arms[name]) for name in self._together}
        names = {name: job.folder.name for name, job in grown.items()}
        place = self._stages.place("matched", by, arm.name, names, self._stages.model_name, TRIMMING)

        def fill(part: Path, _: Advance) -> None:
            trim = matched({name: self._sized(job.folder, by) for name, job in grown.items()})
            ids = {name: {row["id"] for row, _ in rows} for name, rows in trim.items()}
            paired = {name: len(ids[name] & ids[arm.name]) for name in ids if name != arm.name}
            figures = {"matched": {"by": by, "size": size(trim[arm.name]), "paired": paired}}
            corpus = _read(grown[arm.name].folder, arm)
            _write(part, arm, corpus, [row for row, _ in trim[arm.name]], figures)

        filled = self._looked_at(arm, fill, grown[arm.name])
        return Job(f"match the documents of {arm.name} by {by}", place, 1.0, filled, needs=tuple(grown.values()))

    # ---- compared -----------------------------------------------------------------------------------------------------

    def parity(self) -> Job | None:
        """Whether the arms that are compared differ in nothing else than they are declared to; None where there is one arm, or
        `gates.parity` is null. Points of a sweep are `full` at other doses."""
        tree, gated = self._tree, self._stages.target.gates
        runs = [run for run in tree.runs if run.documents and not run.swept]
        arms = {run.documents: tree.arms[run.documents] for run in runs if run.documents}
        arms = {name: arm for name, arm in sorted(arms.items()) if not arm.neutral}
        if gated.parity is None or len(arms) < 2:
            return None
        corpora = {name: self.of(arm) for name, arm in arms.items()}
        specs = [arm.digest_of("ir.json") for arm in arms.values()]
        duplicates = gated.duplicates.model_dump() if gated.duplicates else None
        inputs = (
            {name: job.folder.name for name, job in corpora.items()},
            specs,
            gated.parity.model_dump(),
            duplicates,
        )
        place = self._stages.place("parity", *inputs, COMPARED)

        def fill(part: Path, _: Advance) -> None:
            rows = {name: list(read_jsonl(job.folder / ROWS)) for name, job in corpora.items()}
            found = compare({name: Compares(arm.spec, rows[name]) for name, arm in arms.items()}, gated)
            require_parity(found)
            write_json(part / "stage.json", {"stage": "parity", "compared": [pair.told() for pair in found]})

        return Job("compare the documents of the arms", place, 2.0, fill, needs=tuple(corpora.values()))


def _gates_of(arm: Arm) -> list[object]:
    """What the gates of one arm's documents depend on besides the documents and the arm: `overlap` and `parity` take none."""
    reasoned = any(clause.kind == "rationale" for clause in arm.spec.clauses())
    dropped = [] if reasoned else [c.text for c in arm.full_spec.clauses() if c.kind == "rationale"]
    return [arm.target.gates.model_dump(exclude={"overlap", "parity"}), dropped]


def _read(folder: Path, arm: Arm) -> Corpus:
    """What `_write` wrote."""
    rows, quarantined = (list(read_jsonl(folder / name)) for name in (ROWS, QUARANTINE))
    found = read_json(folder / COVERAGE)["documents"]
    planned = Counter({clause: counts["planned"] for clause, counts in found.items()})
    reserve = frozenset(row.id for of_clause in arm.reserve().values() for row in of_clause)
    return Corpus(planned, rows, quarantined, reserve)


def _write(part: Path, arm: Arm, corpus: Corpus, kept: Rows, figures: dict[str, Any] | None = None) -> None:
    """A corpus into a stage's folder; `kept`: the rows of it that are trained on, in the order of their clauses."""
    order = {clause: number for number, clause in enumerate(corpus.planned)}
    rows = sorted(kept, key=lambda row: order[row["cell"]["clause"]] if "cell" in row else len(order))
    write_rows(part / ROWS, rows)
    write_rows(part / QUARANTINE, corpus.quarantined)
    write_json(part / COVERAGE, corpus.coverage(rows))
    counts = {
        "documents": len(rows),
        "words": sum(len(str(row["text"]).split()) for row in rows),
        "from_reserve": sum(row["id"] in corpus.reserve for row in rows),
        "quarantined": len(corpus.quarantined),
    }
    write_json(part / "stage.json", {"stage": "corpus", "arm": arm.name, **counts, **(figures or {})})


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """JSON Lines."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(canonical(row) + "\n" for row in rows)
