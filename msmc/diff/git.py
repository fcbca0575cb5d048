"""Revisions of a project, read with git."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from msmc.diagnostics import fail
from msmc.disk import SHIPPED, ProjectSources


class Repository:
    """The repository around a folder. Raises Failed `no-revision` where there is none, or no git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Path(self._told("rev-parse", "--show-toplevel"))
        self.prefix = self._told("rev-parse", "--show-prefix")
        """The folder's path inside the repository, empty or with `/` at its end."""

    def sources(self, revision: str) -> "RevisionSources":
        """The project at a revision; the empty one is the index, as git has it."""
        if not revision:
            return RevisionSources(self, "")
        tree = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}")
        if tree.returncode:
            raise fail("no-revision", f"there is no revision `{revision}` in `{self.root}`", self._missing(revision))
        return RevisionSources(self, tree.stdout.decode().strip())

    def _missing(self, revision: str) -> str:
        if self._git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
            return "the clone is shallow: git fetch --unshallow"
        if not self._git("rev-parse", "--verify", "--quiet", "HEAD").stdout:
            return "the repository has no commit yet: git commit"
        return "see what there is: git log --oneline --all; or fetch it: git fetch"

    def holder(self, path: str, blob: str) -> str | None:
        """The latest revision in which a file has this content: the index (empty), HEAD, or the commit that last had it."""
        for revision in ("", "HEAD"):
            if self._blob(revision, path) == blob:
                return revision
        log = self._git("log", "--all", "-1", "--format=%H %P", f"--find-object={blob}", "--", path)
        return next((c for c in log.stdout.decode().split() if self._blob(c, path) == blob), None)

    def _blob(self, revision: str, path: str) -> str:
        return self._git("rev-parse", "--verify", "--quiet", f"{revision}:{path}").stdout.decode().strip()

    def read(self, name: str) -> bytes:
        """The content of `TREE:path`; links inside the tree are followed. Raises KeyError, IsADirectoryError."""
        if "\n" in name or "\0" in name:
            raise KeyError(name)
        done = self._git("cat-file", "--batch", *(() if name.startswith(":") else ("--follow-symlinks",)), sent=name)
        head, _, rest = done.stdout.partition(b"\n")
        parts = head.rsplit(b" ", 2)
        kind = parts[1] if len(parts) == 3 and parts[2].isdigit() else b"missing"
        if kind == b"blob":
            return rest[: int(parts[2])]
        if kind == b"tree":
            raise IsADirectoryError(name)
        raise KeyError(name)

    def _told(self, *arguments: str) -> str:
        """A revision that git does not know, or no repository to look in.

        REV:PATH is git's own way to name a file at a revision; a shallow clone lacks old ones.

        Bad:
            $ msmc diff HAED:tea.msm tea.msm

        Good:
            $ msmc diff HEAD:tea.msm tea.msm
        """
        done = self._git(*arguments)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().split("\n")[0].removeprefix("fatal: ")
            hint = "`REV:path` is read from the git repository around the current folder: go there"
            hint = "see: git status" if "not a git repository" not in said else hint
            raise fail("no-revision", f"git has no repository for `{self.folder}`: {said}", hint)
        return done.stdout.decode().rstrip("\n")

    def _git(self, *arguments: str, sent: str = "") -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", "-C", self.folder, *arguments],
                input=f"{sent}\n".encode(),
                capture_output=True,
                check=False,
                env=os.environ | {"LC_ALL": "C"},
            )
        except FileNotFoundError:
            message = "`REV:path` is read with git, which is not installed"
            raise fail("no-revision", message, "install git, or name a file or a build") from None


class RevisionSources(Mapping[str, bytes]):
    """A project's files at a revision. msmc's own (`shipped:…`) are those of the msmc that runs."""

    def __init__(self, repository: Repository, tree: str) -> None:
        self.repository, self.tree = repository, tree
        self.root = repository.root
        self._now = ProjectSources(repository.root)
        self._read: dict[str, bytes] = {}

    def __getitem__(self, path: str) -> bytes:
        if path.startswith(SHIPPED):
            return self._now[path]
        if path not in self._read:
            self._read[path] = self.repository.read(f"{self.tree}:{path}")
        return self._read[path]

    def holds(self, path: str) -> bool:
        """A file or a folder."""
        try:
            return path in self
        except IsADirectoryError:
            return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)


class WithFile(Mapping[str, bytes]):
    """Sources in which one file has another content."""

    def __init__(self, sources: ProjectSources | RevisionSources, path: str, content: bytes) -> None:
        self.root = sources.root
        self._sources, self._path, self._content = sources, path, content

    def __getitem__(self, path: str) -> bytes:
        return self._content if path == self._path else self._sources[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)
