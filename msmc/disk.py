"""Where a project begins, and its files as the compiler's sources."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msmc.shipped import shipped

SHIPPED = "shipped:"


def project_root(file: Path) -> Path:
    """The folder that paths are relative to: the nearest above with `.git`, else with a `specs/` that holds the file,
    else the file's own. It does not depend on the working folder, so that a build does not either."""
    file = Path(os.path.abspath(file))
    for folder in file.parents:
        if (folder / ".git").exists():
            return folder
    for folder in file.parents:
        if (folder / "specs") in file.parents:
            return folder
    return file.parent


class ProjectSources(Mapping[str, bytes]):
    """Files by project-relative path, read when asked for; msmc's own are `shipped:…`. Lists the shipped templates only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, bytes] = {}

    def __getitem__(self, path: str) -> bytes:
        if path not in self._read:
            base = shipped() if path.startswith(SHIPPED) else self.root
            try:
                self._read[path] = (base / path.removeprefix(SHIPPED)).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise KeyError(path) from None
        return self._read[path]

    def __iter__(self) -> Iterator[str]:
        base = shipped()
        return iter(
            sorted(SHIPPED + p.relative_to(base).as_posix() for p in (base / "templates").rglob("*") if p.is_file())
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Overlaid(Mapping[str, bytes]):
    """A project's files, where those that an editor holds stand before those on the disk."""

    def __init__(self, disk: ProjectSources, held: Mapping[str, bytes]) -> None:
        self.disk, self.held = disk, held

    def __getitem__(self, path: str) -> bytes:
        return self.held[path] if path in self.held else self.disk[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.disk)

    def __len__(self) -> int:
        return len(self.disk)


def spec_files(root: Path) -> Iterator[str]:
    """The .msm files of a project, by project-relative path, sorted; hidden folders and their like are left out."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] not in "._" and name != "node_modules")
        below = Path(folder).relative_to(root)
        yield from ((below / name).as_posix() for name in sorted(files) if name.endswith(".msm"))
