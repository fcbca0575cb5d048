"""One stage of an experiment: a folder that is whole or not there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msmc.backend.adapter import write_json
from msmc.backend.checkpoints import Checkpoints
from msmc.backend.writing import Advance as Advance
from msmc.stored import read_json, require_same, sha256_of
from msmc.whole import whole_folder

FILES = "files.json"
"""Of each stage: the digest of every file that a later stage or a comparison reads."""


@dataclass(frozen=True)
class Job:
    """One stage to do: what it is, its folder, a guess at its seconds on two cores, and what fills the folder."""

    title: str
    folder: Path
    seconds: float
    fill: Callable[[Path, Advance], None]
    checkpoints: Checkpoints | None = None
    needs: tuple["Job", ...] = ()
    """Jobs that come first."""
    require: Callable[[], None] = lambda: None
    """Raises Failed where the stage cannot be done: asked before any stage is, so that nothing fails after hours of training."""

    @property
    def done(self) -> bool:
        return self.folder.exists()

    def do(self, advance: Advance, say: Callable[[str], None]) -> None:
        """The stage, unless another process does it in the meantime."""
        waiting = f"waiting: another msmc is at work on `{self.title}`"

        def fill(part: Path) -> None:
            self.fill(part, advance)
            write_json(part / FILES, _digests(part))

        whole_folder(self.folder, fill, lambda: say(waiting))
        if self.checkpoints:
            self.checkpoints.clear()

    def require_whole(self) -> None:
        """Of a stage that is done. Raises Failed `broken-file` where a file was cut, changed or deleted since."""
        for path, sha256 in read_json(self.folder / FILES).items():
            require_same(self.folder / path, sha256)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 by path. How long a stage took is no part of what it is."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "timing.json")
    return {p.relative_to(folder).as_posix(): sha256_of(p) for p in files}
