"""What OLD and NEW name: a file, a file at a revision, a build, or one arm of a build."""

import json
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from msmc.analyze.files import leaves
from msmc.analyze.resolve import Resolver
from msmc.build import (
    RESERVED,
    SCHEMA_VERSION,
    Build,
    DemoRow,
    DocumentRow,
    EvalRow,
    OpenRow,
    OwnDocument,
    Prefix,
    StaticDemo,
)
from msmc.check import Checked, check
from msmc.compile import compile
from msmc.diagnostics import Diagnostic, Failed, Label, fail
from msmc.diff.described import Described, describe_library, describe_spec
from msmc.diff.git import Repository, RevisionSources, WithFile
from msmc.diff.rows import ARTEFACTS, ArmRows
from msmc.disk import ProjectSources, project_root
from msmc.ir import ArmSpec, Identity, Node
from msmc.library import Library
from msmc.source import SourceFile
from msmc.stored import broken, read_json, read_jsonl, read_text, require_same
from msmc.target import Target


@dataclass
class Source:
    """A .msm file in its project."""

    label: str
    entry: str
    sources: ProjectSources | RevisionSources | WithFile
    prefix: str = ""
    """Before the project's paths in messages, such as `HEAD:`."""
    _checked: Checked | None = None

    def check(self, identity: Identity | None) -> Checked:
        """Once. Raises Failed with every error; lints are no matter of a difference."""
        if self._checked is None:
            checked = check(self.entry, self.sources, identity)
            self._require(checked.problems, checked.files.sources)
            self._checked = checked
        return self._checked

    def describe(self, checked: Checked) -> dict[str, list[Described]]:
        """The nodes of each spec of the file, and of what stands outside of them, by the name that their ids begin with."""
        resolver = Resolver(checked.files, self.sources, Library(self.sources))
        libraries = {path: resolver.library_of(path) for path in checked.files.trees}
        found = {}
        for decl, spec in zip(resolver.spec_decls(self.entry), checked.specs, strict=True):
            opened = resolver.open_spec(self.entry, decl)
            assert opened is not None, "it was opened for the check"
            found[spec.name] = describe_spec(spec, opened.nodes, opened.params)
        library = libraries[self.entry]
        if library.nodes.all or not found:
            found[library.name] = describe_library(library.name, library.nodes)
        return found

    def arms(self, target: Target, ablation: str | None) -> dict[str, ArmRows]:
        """Compiled; its rows are made at each reading. Raises Failed with every error."""
        outcome = compile(self.sources, self.entry, target, ablation)
        self._require(outcome.problems, outcome.files.sources)
        return {build.arm: _of_build(build, self.label) for build in outcome.builds}

    def _require(self, problems: tuple[Diagnostic, ...] | list[Diagnostic], files: dict[str, SourceFile]) -> None:
        errors = [self._placed(problem) for problem in problems if problem.severity == "error"]
        if not errors:
            return
        failed = Failed(*errors)
        failed.files = {self.prefix + path: file for path, file in files.items()}
        raise failed

    def _placed(self, problem: Diagnostic) -> Diagnostic:
        """With this side's prefix before its files: the other side has files of the same names."""

        def place(label: Label) -> Label:
            return Label(label.span._replace(file=self.prefix + label.span.file), label.text)

        primary = place(problem.primary) if problem.primary else None
        return Diagnostic(
            problem.name, problem.message, primary, tuple(map(place, problem.related)), problem.note, problem.hint
        )


def _of_build(build: Build, label: str) -> ArmRows:
    files = {artefact.path: artefact for artefact in build.artefacts}

    def read(path: str) -> Iterator[dict[str, Any]]:
        return map(json.loads, files[path])

    spec = ArmSpec.model_validate_json("".join(files["ir.json"]))
    return ArmRows(build.arm, label, spec, {path: partial(read, path) for path in files if _is_rows(path)})


def _is_rows(path: str) -> bool:
    """Rows that are planned: those of the reserve may never be written."""
    return path.endswith(".jsonl") and path.partition("/")[0] in ARTEFACTS and not path.startswith(RESERVED)


# ---- builds -----------------------------------------------------------------------------------------------------------------


@dataclass
class Stored:
    """A build, or one arm of it."""

    label: str
    rows: dict[str, ArmRows]
    manifests: dict[str, dict[str, Any]]
    one_arm: bool
    ablation: str | None = None

    @property
    def target(self) -> Target:
        """What it was compiled for. Raises Failed `broken-file`."""
        arm, manifest = next(iter(self.manifests.items()))
        try:
            return Target.model_validate(manifest["target"])
        except ValidationError as error:
            place = Path(self.rows[arm].place) / "manifest.json"
            raise broken(place, "was written by another version of msmc") from error


def stored(word: str) -> Stored:
    """Raises Failed `not-a-build`, or `broken-file` where it is not whole or another version's."""
    folder = Path(word)
    one_arm = (folder / "manifest.json").is_file()
    if not one_arm and not (folder / "arms.json").is_file():
        inner = sorted(path.parent for path in folder.glob("*/arms.json"))
        hint = (
            f"it holds builds: name one, such as {inner[0]}"
            if inner
            else "name a .msm file, or a build such as build/tea"
        )
        raise fail("not-a-build", f"`{folder}` is not a build", hint)
    plan = {} if one_arm else read_json(folder / "arms.json")
    places = [folder] if one_arm else sorted(p.parent for p in folder.glob("*/manifest.json"))
    for name in sorted(plan.get("arms", {}).keys() - {p.name for p in places}):
        raise broken(folder / name / "manifest.json", "is gone")
    found = Stored(word, {}, {}, one_arm, plan.get("ablation"))
    for place in sorted(places, key=lambda p: (p.name != "full", p.name)):
        manifest = read_json(place / "manifest.json")
        if (
            manifest.get("schema_version") != SCHEMA_VERSION
            or not {"arm", "files", "target", "fingerprints"} <= manifest.keys()
        ):
            raise broken(place / "manifest.json", "was written by another version of msmc")
        files = {path: partial(_rows, place / path) for path in manifest["files"] if _is_rows(path)}
        for path in ("ir.json", *files):
            require_same(place / path, manifest["files"][path]["sha256"])
        spec = read_text(place / "ir.json", ArmSpec.model_validate_json)
        found.rows[manifest["arm"]] = ArmRows(manifest["arm"], str(place), spec, files)
        found.manifests[manifest["arm"]] = manifest
    if one_arm and "." in (arm := next(iter(found.rows))):
        found.ablation = arm.partition(".")[0]
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, each seen to be one."""
    for number, row in enumerate(read_jsonl(path), 1):
        try:
            _shape(path, row).model_validate(row)
        except ValidationError as error:
            raise broken(path, "was written by another version of msmc", number) from error
        yield row


def _shape(path: Path, row: dict[str, Any]) -> type[Node]:
    if path.name == "prefixes.jsonl":
        return Prefix
    folder = path.parent.name
    if folder == "evals":
        return EvalRow if "choices" in row else OpenRow
    if folder == "demos":
        return StaticDemo if "messages" in row else DemoRow
    return OwnDocument if "text" in row else DocumentRow


# ---- words to sides -----------------------------------------------------------------------------------------------------------


def side(word: str) -> Source | Stored:
    """What a word of the command line names. Raises Failed."""
    if os.path.isdir(word):
        return stored(word)
    if ":" in word and not os.path.lexists(word):
        return _at_revision(word)
    if not word or not os.path.lexists(word):
        hint = "check the path"
        if word and not word.endswith(".msm"):
            hint = f"a revision of git needs a path: {word}:specs/tea.msm"
        raise fail("file-missing", f"there is no file `{word}`" if word else "the path is empty", hint)
    path = Path(os.path.abspath(word))
    root = project_root(path)
    return Source(word, path.relative_to(root).as_posix(), ProjectSources(root))


def _at_revision(word: str) -> Source:
    revision, _, written = word.partition(":")
    repository = Repository(Path.cwd())
    sources = repository.sources(revision)
    beside = posixpath.normpath(repository.prefix + written)
    entry = beside if written.startswith(("./", "../")) else posixpath.normpath(written)
    if leaves(entry, written):
        raise fail(
            "file-missing", f"`{written}` lies outside the repository `{sources.root}`", "go to the other repository"
        )
    try:
        sources[entry]
    except KeyError:
        what = f"the revision `{revision}`" if revision else "the index"
        raise fail(
            "file-missing", f"{what} has no file `{entry}`", _instead(sources, revision, entry, beside)
        ) from None
    except IsADirectoryError:
        raise fail("not-a-file", f"`{word}` is a folder", "name a .msm file in it") from None
    return Source(word, entry, sources, f"{revision}:")


def _instead(sources: RevisionSources, revision: str, entry: str, beside: str) -> str:
    if beside != entry and sources.holds(beside):
        return f"a path begins at the repository's root: did you mean `{revision}:{beside}`?"
    if (sources.root / entry).is_file():
        return f"it is newer, or had another name then: git log --follow -- {entry}"
    return "a path begins at the repository's root, or here with ./"
