"""All gates on what is written already: the corpora and chats of runs, or what the author of a build brought."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.gates.chats import free_of_faults
from msmc.backend.gates.found import Found, short
from msmc.backend.gates.overlap import Overlaps
from msmc.backend.gates.parity import PAIRED, Apart, Corpus, compare
from msmc.backend.gates.residue import own_words
from msmc.backend.gates.written import Gates, free_of_held_out
from msmc.backend.tree import OWN_DOCUMENTS, Arm
from msmc.build import Cell
from msmc.coverage import CORPORA, build_of
from msmc.diagnostics import fail
from msmc.gated import Gated
from msmc.mention import Mentions, place, words
from msmc.stored import read_json, read_jsonl

FILES = ("midtrain.jsonl", "quarantine.jsonl")
"""Of a corpus, in the order in which they are read."""
CHATS = ("finetune.jsonl", "quarantine.jsonl")
"""Of the demos of a run."""
DEMOS = "demos-"
"""How the folders of stages begin that hold these."""
OF_CHATS = ("residue", "identity", "overlap", "held_out", "writer")
"""Gates that look at chats."""
ALWAYS = ("held_out", "coverage", "writer")
"""Gates that no target switches off; the last one is what a server said of its reply."""
COMPARED = ("parity",)


class Row(NamedTuple):
    """One thing that a gate finds."""

    file: Path
    number: int
    """Of the row in its file, counted from 1."""
    id: str
    gate: str
    reason: str
    line: int
    """Of the row's text, counted from 1; so is the offset from 0."""
    offset: int
    found: str


class Checked(NamedTuple):
    """One corpus, the chats of one run, or several corpora beside each other."""

    arm: str
    """What it is told under."""
    folder: Path
    looked: dict[str, int]
    """Rows that each gate looked at. 0: it is off, or `parity` has too few of them."""
    rows: list[Row]

    @property
    def found(self) -> Counter[str]:
        """Things found, by gate."""
        return Counter(row.gate for row in self.rows)


def checked(places: Iterable[Path]) -> list[Checked]:
    """Each corpus and the chats of each run at or below the places once, `full` first; the last one is what all corpora are
    beside each other, where they are of one build. Raises Failed `not-a-run`, `not-a-build`, `broken-file`."""
    folders = dict.fromkeys(folder for place in places for folder in _folders(place))
    arms = {folder: _arm_of(folder) for folder in folders}
    found = list[Checked]()
    for folder, arm in sorted(arms.items(), key=lambda pair: (pair[1].name != "full", pair[1].name, pair[0])):
        if any(True for _ in _rows(folder)):
            found.append(_checked(arm, folder))
        if any(True for _ in _chats(folder)):
            found.append(_checked_chats(arm, folder))
    return found + list(_beside(arms))


def _folders(place: Path) -> list[Path]:
    """Of stages, and of builds that hold what their author brought."""
    if any((place / name).is_file() for name in (FILES[0], CHATS[0])):
        return [place.resolve()]
    runs = [place] if (place / "run.json").is_file() else sorted(p.parent for p in place.glob("**/seed-*/run.json"))
    written = [run / stage for run in runs for stage in ("corpus", "demos") if (run / stage).is_dir()]
    if not runs:
        written = sorted(path.parent for name in (FILES[0], CHATS[0]) for path in place.glob(f"**/{name}"))
        written = [folder for folder in written if folder.name.startswith((*CORPORA, DEMOS))]
    if not runs and not written:
        builds = [place] if (place / "manifest.json").is_file() else [p.parent for p in place.glob("*/manifest.json")]
        written = [folder for folder in builds if any(True for read in (_rows, _chats) for _ in read(folder))]
    if not written:
        hint = (
            "name a folder of runs, such as runs/SPEC, or a build whose spec has `documents from` or `demos NAME from`"
        )
        raise fail("not-a-run", f"nothing that gates look at is written in `{place}`", hint)
    return [folder.resolve() for folder in written]


def _arm_of(folder: Path) -> Arm:
    if not (folder / "manifest.json").is_file():
        stage, there = read_json(folder / "stage.json"), read_json(folder / "coverage.json")
        folder = build_of(folder, str(stage["arm"] or "full"), there.get("documents", {}))
    return Arm(folder, read_json(folder / "manifest.json"))


def _rows(folder: Path) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """The documents of a corpus with their places, those of a build that its author brought."""
    own = folder / "documents" / OWN_DOCUMENTS
    for path in [own] if own.is_file() else _there(folder, FILES):
        for number, row in enumerate(read_jsonl(path), 1):
            yield path, number, row


def _chats(folder: Path) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """The chats of a run's demos with their places, those of a build that its author brought."""
    written = _there(folder, CHATS)
    for path in written or sorted((folder / "demos").glob("*.jsonl")):
        if path.name not in ("static.jsonl", "prefixes.jsonl"):
            for number, row in enumerate(read_jsonl(path), 1):
                if "messages" in row:
                    yield path, number, row if written else {**row, "source": {"writer": "own"}}


def _there(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """The files of a stage, none where the first is not there: it is another stage then."""
    return [folder / name for name in names if (folder / name).is_file()] if (folder / names[0]).is_file() else []


def _overlaps(arm: Arm) -> Overlaps | None:
    how, rows = arm.target.gates.overlap, (row for path in arm.files("evals") for row in read_jsonl(path))
    return Overlaps(rows, own_words(arm.spec), how.words) if how else None


def _checked_chats(arm: Arm, folder: Path) -> Checked:
    how, overlaps, found = arm.target.gates, _overlaps(arm), list[Row]()
    rows = list(_chats(folder))
    written = [row for _, _, row in rows if row["source"]["writer"] != "mix"]
    taken = {row["id"]: row for row in free_of_faults(written, arm.spec, how)[1]}
    held = {row["id"]: row for row in free_of_held_out([row for _, _, row in rows], arm.held_out)[1]}
    for path, number, row in rows:
        every = [of[row["id"]] for of in (taken, held) if row["id"] in of]
        if "reason" in row and not any(one["reason"] == row["reason"] for one in every):
            every.append({"gate": "writer", "place": {}, **row})
        for one in every:
            at = one["place"]
            reason = f"{one['reason']}, in turn {at['turn']}" if at else one["reason"]
            place = at.get("line", 1), at.get("offset", 0), at.get("found", "")
            found.append(Row(path, number, row["id"], one["gate"], reason, *place))
        for turn, text in enumerate((turn["content"] for turn in row["messages"]), 1):
            if overlaps and (shared := overlaps(text, words(text))):
                told = _row(path, number, row["id"], text, shared)
                found.append(told._replace(reason=f"{told.reason}, in turn {turn}"))
    off = {name for name in OF_CHATS if name in Gated.model_fields and getattr(how, name) is None}
    return Checked(f"{arm.name}, its chats", folder, {n: 0 if n in off else len(rows) for n in OF_CHATS}, found)


def _checked(arm: Arm, folder: Path) -> Checked:
    gates, how, overlaps = Gates(arm), arm.target.gates, _overlaps(arm)
    looked, found = Counter[str](), list[Row]()
    on = [name for name in Gated.model_fields if getattr(how, name) is not None and name not in COMPARED]
    for path, number, row in _rows(folder):
        looked.update((*on, *ALWAYS))
        text, cell = row["text"], Cell.model_validate(row["cell"]) if "cell" in row else None
        every = list(gates.every(text, cell))
        if not every and (beside := gates.among(row["id"], text)):
            every.append(beside)
        if overlaps and (shared := overlaps(text, words(text))):
            every.append(shared)
        if "reason" in row and not any(one.reason == row["reason"] for one in every):
            every.append(_recorded(row))
        found += [_row(path, number, row["id"], text, one) for one in every]
    names = [*Gated.model_fields, *ALWAYS]
    return Checked(arm.name, folder, {name: looked[name] for name in names if name not in COMPARED}, found)


def _recorded(row: dict[str, Any]) -> Found:
    """What was found when the row was written: beside other rows, or in what its server said."""
    place = row.get("place", {})
    return Found(row.get("gate", "writer"), row["reason"], place.get("offset", 0), place.get("found", ""))


def _row(path: Path, number: int, id: str, text: str, found: Found) -> Row:
    place = found.place(text)
    return Row(path, number, id, found.gate, found.reason, place["line"], place["offset"], place["found"])


def _beside(arms: dict[Path, Arm]) -> Iterator[Checked]:
    """What arms of one build differ in, and documents of one that are nearly another's."""
    written = [(arm, folder) for folder, arm in arms.items() if (folder / FILES[0]).is_file()]
    builds, corpora = {arm.folder.parent for arm, _ in written}, {a.name: f for a, f in written if not a.neutral}
    if len(builds) != 1 or len(corpora) < 2:
        return
    how = written[0][0].target.gates
    compared = [arm for arm, _ in written if arm.name in corpora]
    sides = {arm.name: Corpus(arm.spec, list(read_jsonl(corpora[arm.name] / FILES[0]))) for arm in compared}
    found, enough = list[Row](), set[str]()
    for pair in compare(sides, how):
        one, other = pair.arms
        enough |= set(pair.arms) if min(pair.documents) >= PAIRED else set()
        file, theirs = corpora[other] / FILES[0], {row["id"]: n for n, row in enumerate(sides[other].rows, 1)}
        found += [_first(apart, sides, corpora) for apart in pair.apart]
        reason = f"is nearly a document of {one}"
        found += [
            Row(file, theirs[id], id, "duplicates", reason, 1, 0, f"{ours} ({near:.2f})")
            for ours, id, near in pair.alike
        ]
    looked = {
        "parity": sum(len(sides[name].rows) for name in enough) if how.parity else None,
        "duplicates": sum(len(side.rows) for side in sides.values()) if how.duplicates else None,
    }
    on = {name: number for name, number in looked.items() if number is not None}
    yield Checked(" and ".join(sides), builds.pop(), on, found)


def _first(apart: Apart, sides: dict[str, Corpus], corpora: dict[str, Path]) -> Row:
    """Where the arm that has more of it has it first."""
    more = apart.arms[apart.rates[1] > apart.rates[0]]
    spec, rows = sides[more]
    names = {"assistant": spec.identity.assistant, "provider": spec.identity.provider}
    looked_for = Mentions([names.get(apart.what, apart.what)])
    for number, row in enumerate(rows, 1):
        if found := next(looked_for.each_in(words(row["text"])), None):
            _, at, length = found
            start, end = place(row["text"], at, length)
            told = Found("parity", str(apart), start, short(row["text"][start:end]))
            return _row(corpora[more] / FILES[0], number, row["id"], row["text"], told)
    return Row(corpora[more] / FILES[0], 1, "", "parity", str(apart), 1, 0, apart.what)  # two letters of a longer word
