"""Reading a build tree: the border between the compiler and the backend is files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

from msmc.backend.ledger import Request
from msmc.build import RESERVED, SCHEMA_VERSION, DemoRow, DocumentRow, OwnDocument, Prefix, RunPlan, digest
from msmc.diagnostics import fail
from msmc.digest import seed_of
from msmc.ir import ArmSpec
from msmc.stored import broken, read_json, read_jsonl, read_text, require_same
from msmc.target import Target

OWN_DOCUMENTS = "own_documents.jsonl"


@dataclass(frozen=True)
class Arm:
    """One arm's folder of a build."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["arm"])

    @cached_property
    def target(self) -> Target:
        return Target.model_validate(self.manifest["target"])

    @cached_property
    def spec(self) -> ArmSpec:
        return read_text(self.folder / "ir.json", ArmSpec.model_validate_json)

    @cached_property
    def full_spec(self) -> ArmSpec:
        """The unmodified spec's, or for a control of another spec its own."""
        place = self.folder if self.neutral else self.folder.parent / "full"
        return read_text(place / "ir.json", ArmSpec.model_validate_json)

    @cached_property
    def sourcemap(self) -> dict[str, dict[str, Any]]:
        return read_json(self.folder / "sourcemap.json")

    @property
    def neutral(self) -> bool:
        """Whether it is the control `neutral_documents`: another spec's, trimmed to the tokens of `full`'s."""
        return bool(self.manifest["neutral"])

    @property
    def held_out(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = self.manifest["held_out"]
        return found

    def digest_of(self, prefix: str) -> str:
        """A digest of all files whose path begins so."""
        files: dict[str, dict[str, Any]] = self.manifest["files"]
        return digest({path: entry["sha256"] for path, entry in files.items() if path.startswith(prefix)})

    def files(self, folder: str) -> list[Path]:
        """The files of rows in a folder, by name; prefixes are none."""
        return sorted(p for p in (self.folder / folder).glob("*.jsonl") if p.name != "prefixes.jsonl")

    def documents(self) -> Iterator[DocumentRow]:
        """Planned documents, values and rules by name, each in cell order."""
        for path in self.files("documents"):
            if path.name == OWN_DOCUMENTS:
                continue
            yield from (DocumentRow.model_validate(row) for row in read_jsonl(path))

    def reserve(self) -> dict[str, list[DocumentRow]]:
        """Further rows of each clause, in cell order."""
        found: dict[str, list[DocumentRow]] = {}
        for path in self.files(RESERVED):
            for row in map(DocumentRow.model_validate, read_jsonl(path)):
                found.setdefault(row.cell.clause, []).append(row)
        return found

    def reserve_in_turns(self) -> Iterator[DocumentRow]:
        """The first further row of each clause, the second of each, and so on."""
        reserve = self.reserve()
        of_clauses = [reserve[clause] for clause in sorted(reserve, key=lambda clause: seed_of("turn", clause))]
        yield from (row for turn in zip_longest(*of_clauses) for row in turn if row)

    def num_documents(self) -> int:
        """Planned ones, the author's own among them."""
        return sum(
            self.manifest["files"][path.relative_to(self.folder).as_posix()]["rows"] for path in self.files("documents")
        )

    def own_documents(self) -> Iterator[OwnDocument]:
        """Those that the spec's author brought."""
        path = self.folder / "documents" / OWN_DOCUMENTS
        if path.is_file():
            yield from (OwnDocument.model_validate(row) for row in read_jsonl(path))

    def chats(self) -> Iterator[dict[str, Any]]:
        """Chats that stand as they are: the spec's examples, then those that its author brought."""
        for path in sorted(self.files("demos"), key=lambda p: (p.name != "static.jsonl", p.name)):
            writer = "spec" if path.name == "static.jsonl" else "own"
            for row in read_jsonl(path):
                if "messages" in row:
                    yield {**row, "source": {"writer": writer}}

    @property
    def has_own_chats(self) -> bool:
        """Whether its author brought some."""
        return any(row["source"]["writer"] == "own" for row in self.chats())

    def num_planned_chats(self) -> int:
        """Rows of chats that a writer is to write."""
        return sum("prompt" in row for path in self.files("demos") for row in read_jsonl(path))

    def planned_chats(self) -> Iterator[tuple[bool, list[DemoRow]]]:
        """The rows of each block of planned chats, and whether its answers think first."""
        for name, block in self.manifest["demos"].items():
            rows = read_jsonl(self.folder / "demos" / f"{name}.jsonl")
            yield block["thinking"], [DemoRow.model_validate(row) for row in rows]

    def requests(self, writer: str, rows: Iterable[DocumentRow | DemoRow] | None = None) -> "Requests":
        """Rows as a writer gets them; without any, all planned documents."""
        return Requests(self, writer, rows)

    @cached_property
    def prefixes(self) -> dict[str, Prefix]:
        """Those of documents have the names of nodes, some behind `critique:` or `rewrite:`, and those of chats begin with the
        name of their block."""
        places = (self.folder / what / "prefixes.jsonl" for what in ("documents", "demos"))
        rows = (row for place in places if place.is_file() for row in read_jsonl(place))
        return {prefix.name: prefix for prefix in map(Prefix.model_validate, rows)}

    @property
    def open_evals(self) -> dict[str, str]:
        """Evaluations that a judge grades, with their kind."""
        found: dict[str, str] = self.manifest["open_evals"]
        return found

    @property
    def choices(self) -> list[Path]:
        """The rows of every forced choice."""
        return [path for path in self.files("evals") if path.stem not in self.open_evals]

    def digest_of_choices(self) -> str:
        return digest([self.digest_of(f"evals/{path.name}") for path in self.choices])


@dataclass(frozen=True)
class Requests:
    """Rows as a writer gets them, each with the prefix that it names; read and made anew at each going through."""

    arm: Arm
    writer: str
    rows: Iterable[DocumentRow | DemoRow] | None
    """None: all planned documents of the arm."""

    def __iter__(self) -> Iterator[Request]:
        for row in self.arm.documents() if self.rows is None else self.rows:
            yield Request(row, self.arm.prefixes[row.prefix], self.writer)


@dataclass(frozen=True)
class Tree:
    """`build/<spec>`: its arms and what is to be run."""

    folder: Path
    arms: dict[str, Arm]
    plan: dict[str, Any]
    """The content of arms.json."""

    @property
    def full(self) -> Arm:
        return self.arms["full"]

    @property
    def runs(self) -> list[RunPlan]:
        return [RunPlan.model_validate(run) for run in self.plan["runs"]]


def read_tree(folder: Path) -> Tree:
    """Raises Failed `not-a-build` or `broken-file` when the folder holds no whole build of this version."""
    if folder.parent.name == "builds" and not (folder / "arms.json").is_file():
        raise broken(folder / "arms.json", "is gone")
    if not (folder / "arms.json").is_file():
        hint = "name a folder such as build/cheese_study, or compile again"
        raise fail("not-a-build", f"`{folder}` is not a build", hint)
    plan = read_json(folder / "arms.json")
    if plan.get("schema_version") != SCHEMA_VERSION:
        raise broken(folder, "was built by another version of msmc")
    manifests = [read_json(path) for path in sorted(folder.glob("*/manifest.json"))]
    arms = {run[what] for run in plan["runs"] for what in ("documents", "demos") if run[what]} | plan["arms"].keys()
    for arm in sorted(arms - {manifest["arm"] for manifest in manifests}):
        raise broken(folder / arm / "manifest.json", "is gone")
    for manifest in manifests:
        for path, entry in manifest["files"].items():
            require_same(folder / manifest["arm"] / path, entry["sha256"])
    return Tree(folder, {m["arm"]: Arm(folder / m["arm"], m) for m in manifests}, plan)
