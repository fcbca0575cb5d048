"""What `git diff` shows of a .msm file, called by git for each file: `git config diff.msm.command "msmc diff-driver"`.

git hands over two contents and no revisions. Imports are read at the latest revision in which the file has its content:
for the work tree's file there, else in the index, in HEAD, or in the commit that last had it.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

from msmc.diff.difference import Difference, nodes_alone
from msmc.diff.git import Repository, WithFile
from msmc.diff.sides import Source
from msmc.disk import ProjectSources

NONE = "/dev/null"


@dataclass(frozen=True)
class Call:
    """One call of git: a file's name, content and blob on both sides."""

    old_path: str
    old_file: str
    old_blob: str
    new_path: str
    new_file: str
    new_blob: str

    @classmethod
    def read(cls, arguments: tuple[str, ...]) -> "Call | None":
        """git's seven arguments, or nine where the file was moved. None where they are not git's."""
        if len(arguments) not in (7, 8, 9):
            return None
        path, old_file, old_blob, _, new_file, new_blob, _, *moved = arguments
        return cls(path, old_file, old_blob, moved[0] if moved else path, new_file, new_blob)

    def difference(self) -> Difference:
        """Of nodes alone: a target's rows are no matter of git's. Raises Failed."""
        repository = Repository(Path.cwd())
        return nodes_alone(
            _side(repository, self.old_path, self.old_file, self.old_blob, "a/"),
            _side(repository, self.new_path, self.new_file, self.new_blob, "b/"),
        )

    def lines(self) -> str:
        """A diff of lines, for what does not compile."""
        old, new = (_text(file).splitlines(keepends=True) for file in (self.old_file, self.new_file))
        told = difflib.unified_diff(old, new, f"a/{self.old_path}", f"b/{self.new_path}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in told)


def _side(repository: Repository, path: str, file: str, blob: str, prefix: str) -> Source | None:
    if file == NONE:
        return None
    now = ProjectSources(repository.root)
    if not blob.strip("0"):  # git has not hashed what is in the work tree
        return Source(path, path, now, prefix)
    revision = repository.holder(path, blob)
    if revision is None:
        return Source(path, path, WithFile(now, path, Path(file).read_bytes()), prefix)
    return Source(path, path, repository.sources(revision), prefix)


def _text(file: str) -> str:
    return "" if file == NONE else Path(file).read_bytes().decode("utf-8", "replace")
