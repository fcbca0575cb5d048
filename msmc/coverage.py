"""What each clause has: documents, demos and items of evaluations; planned, and in a run those that are there after the gates."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from msmc.build import SCHEMA_VERSION
from msmc.diagnostics import fail
from msmc.ir import CLAUSE_WORDS, ArmSpec, ClauseKind
from msmc.stored import broken, read_json, read_text

CORPORA = ("corpus-", "matched-")
"""How the folders of stages begin that hold what a model is trained on."""
KINDS: dict[ClauseKind, str] = {kind: word for word, kind in CLAUSE_WORDS.items()}


class Covered(NamedTuple):
    """Of one clause. None: not part of a run, or not written yet."""

    clause: str
    kind: ClauseKind
    place: str
    documents: int | None
    """Planned ones, the author's own among them."""
    written: int | None
    """Documents that are there after the gates, and trained on."""
    demos: int | None
    chats: int | None
    """Demos that are there after the gates."""
    items: int
    """Of the build's evaluations, that ask about it: all of them, however many a run is limited to."""
    reserve: int = 0
    """Further documents that are planned; in a run those that were written in place of others."""
    quarantined: Mapping[str, int] = {}
    """Documents that the gates took, by reason."""

    @property
    def nothing(self) -> bool:
        return not (self.documents or self.demos or self.items)


class Table(NamedTuple):
    """A build's arm, a run, or a corpus that no model was measured on yet."""

    name: str
    folder: Path
    clauses: list[Covered]
    run: bool


# ---- what is read -----------------------------------------------------------------------------------------------------------


def of_arm(spec: ArmSpec, manifest: Mapping[str, Any], places: Mapping[str, Any]) -> list[Covered]:
    """As it is planned."""
    found = []
    for clause in spec.clauses():
        counts, place = manifest["coverage"][clause.id], places[clause.id]
        at = f"{place['file']}:{place['line']}"
        planned = (counts["documents"], None, counts["demos"], None, items(counts))
        found.append(Covered(clause.id, clause.kind, at, *planned, manifest["reserve"].get(clause.id, 0)))
    return found


def items(counts: Mapping[str, int]) -> int:
    """Both orders of a forced choice are a row each; an open question is one."""
    return counts["evals"] // 2 + counts.get("open", 0)


def chats_of(rows: Iterator[dict[str, Any]]) -> Counter[str]:
    """Chats by the clause that they are for; the second that a written one is about is its node or its example."""
    found = Counter[str]()
    for row in rows:
        if row["source"]["writer"] != "mix":
            found.update(row["about"] if row["source"]["writer"] == "own" else row["about"][:1])
    return found


def tables(place: Path) -> list[Table]:
    """Of a build, one arm of it, a run, or all runs below a folder, else all corpora; `full` first. Raises Failed
    `not-a-build`, `broken-file`."""
    if (place / "run.json").is_file():
        return [_of_run(place)]
    if (place / "manifest.json").is_file():
        return [_of_build(place)]
    if (place / "arms.json").is_file():
        folders = sorted((p.parent for p in place.glob("*/manifest.json")), key=lambda p: (p.name != "full", p.name))
        if not folders:
            raise broken(place / "full" / "manifest.json", "is gone")
        return [_of_build(folder) for folder in folders]
    if runs := sorted(path.parent for path in place.glob("**/seed-*/run.json")):
        return sorted(map(_of_run, runs), key=lambda table: (not _has_documents(table), not _is_full(table)))
    if corpora := [path.parent for path in place.glob("**/coverage.json") if path.parent.name.startswith(CORPORA)]:
        corpora.sort(key=lambda folder: -(folder / "coverage.json").stat().st_mtime_ns)
        return sorted(map(_of_corpus, corpora), key=lambda table: not _is_full(table))
    inner = sorted(path.parent for below in ("*", "builds/*") for path in place.glob(f"{below}/arms.json"))
    hint = f"name one that it holds, such as {inner[0]}" if inner else "first: msmc compile SPEC"
    raise fail("not-a-build", f"`{place}` is no build and no run", hint)


def _of_build(folder: Path) -> Table:
    manifest = _own(folder / "manifest.json", {"arm", "coverage", "reserve"})
    spec, places = read_text(folder / "ir.json", ArmSpec.model_validate_json), read_json(folder / "sourcemap.json")
    with _unchanged(folder / "manifest.json"):
        return _table(manifest["arm"], folder, of_arm(spec, manifest, places), run=False)


def _of_run(folder: Path) -> Table:
    run = _own(folder / "run.json", {"run", "seed", "coverage"})
    with _unchanged(folder / "run.json"):
        name = f"{run['run']['name']}, seed {run['seed']}"
        return _table(name, folder, [Covered(**row) for row in run["coverage"]], run=True)


def _table(name: str, folder: Path, clauses: list[Covered], run: bool) -> Table:
    """Of what was read from files, which may hold anything. Raises ValueError."""
    return TypeAdapter(Table).validate_python((name, folder, clauses, run), strict=True)


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    """Raises Failed `broken-file` where a file has not the keys, or not the types, that msmc writes."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise broken(path, "is not what was written: it was cut or changed since") from error


def _of_corpus(folder: Path) -> Table:
    """Documents that are written and gated; their clauses' places, demos and items are those of their build."""
    arm, there = str(read_json(folder / "stage.json")["arm"]), read_json(folder / "coverage.json")
    build = build_of(folder, arm, there["documents"])
    clauses = []
    for clause in _of_build(build).clauses:
        kept = there["documents"].get(clause.clause, {})
        written = kept.get("kept", 0) + there["own"].get(clause.clause, 0)
        gated = {"reserve": kept.get("from_reserve", 0), "quarantined": kept.get("quarantined", {})}
        clauses.append(clause._replace(written=written, **gated))
    return Table(f"{arm}, its corpus", folder, clauses, run=True)


def build_of(corpus: Path, arm: str, planned: Mapping[str, Any]) -> Path:
    """The arm's newest build that plans these documents: a corpus is of every build whose rows are the same."""
    builds = corpus.absolute().parents[1] / "builds"
    found = sorted(builds.glob(f"*/{arm}/manifest.json"), key=lambda path: -path.stat().st_mtime_ns)
    for path in found:
        coverage = _own(path, {"coverage"})["coverage"]
        if all(coverage.get(c, {}).get("documents", -1) >= counts["planned"] for c, counts in planned.items()):
            return path.parent
    hint = "the same `msmc run` or `msmc ablate` makes it again"
    raise fail("not-a-build", f"the build that `{corpus}` was written for is gone", hint)


def _has_documents(table: Table) -> bool:
    return any(clause.documents for clause in table.clauses)


def _is_full(table: Table) -> bool:
    return table.name.startswith("full,")


def _own(path: Path, keys: set[str]) -> dict[str, Any]:
    """What msmc of this version wrote."""
    found = read_json(path)
    if found.get("schema_version") != SCHEMA_VERSION or not keys <= found.keys():
        raise broken(path, "was written by another version of msmc")
    return found


# ---- what is told -----------------------------------------------------------------------------------------------------------


ASKED = """\
  asked: by so many items of the build's evaluations, of which evaluate.limit may leave some out; what is about two clauses
  counts for both"""


def as_text(found: list[Table]) -> str:
    """The first one clause by clause, the others with their sums."""
    first, *others = found
    lines = [f"{first.name}   {first.folder}", *_lines(first), ASKED]
    if others:
        lines += ["", "others:"]
        named = {t.folder: f" ({t.name})" if t.folder.name.startswith(CORPORA) else "" for t in others}
        lines += [f"  {t.folder}{named[t.folder]}: {_sums(t.clauses)}" for t in others]
    return "\n".join(lines)


def _lines(table: Table) -> Iterator[str]:
    width = max([len(c.clause) for c in table.clauses], default=6)
    placed = max([len(c.place) for c in table.clauses], default=5)
    yield f"  {'clause':<{width}}  {'kind':<9}  {'place':<{placed}} {'documents':>10} {'demos':>7} {'asked':>6}"
    for c in table.clauses:
        cells = f"{_cell(c.documents, c.written):>10} {_cell(c.demos, c.chats):>7} {c.items or '-':>6}"
        marks = ["nothing is made of it"] if c.nothing else []
        marks += [f"{c.reserve} of the reserve"] if table.run and c.reserve else []
        marks += [f"{number} quarantined: {reason}" for reason, number in sorted(c.quarantined.items())]
        row = f"  {c.clause:<{width}}  {c.kind:<9}  {c.place:<{placed}} {cells}"
        yield row + ("   " + "; ".join(marks) if marks else "")
    yield ""
    for kind, word in KINDS.items():
        if of_kind := [c for c in table.clauses if c.kind == kind]:
            yield f"  {word:<10} {len(of_kind):>5}: {_sums(of_kind)}"


def _cell(planned: int | None, there: int | None) -> str:
    """`3`, of a run `3/3`: those that are there, of those that were planned."""
    if not planned and not there:
        return "-"
    return f"{planned:,}" if there is None else f"{there:,}/{planned or 0:,}"


def _sums(clauses: list[Covered]) -> str:
    def of(planned: str, there: str) -> str:
        numbers = [[n for c in clauses if (n := getattr(c, field)) is not None] for field in (planned, there)]
        return _cell(sum(numbers[0]), sum(numbers[1]) if numbers[1] else None)

    nothing = sum(c.nothing for c in clauses)
    asked = sum(c.items for c in clauses)
    told = f"documents {of('documents', 'written')}, demos {of('demos', 'chats')}, asked {_cell(asked, None)}"
    return told + (f"; {nothing} with nothing" if nothing else "")


def as_data(found: list[Table]) -> list[dict[str, Any]]:
    return [
        {"name": t.name, "folder": t.folder.as_posix(), "run": t.run, "clauses": [c._asdict() for c in t.clauses]}
        for t in found
    ]
