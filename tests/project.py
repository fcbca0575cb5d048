"""Sources in memory, for tests of the pure compiler."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msmc.disk import ProjectSources
from msmc.project import load_target
from msmc.target import Target

ROOT = Path(__file__).parents[1]
SHIPPED = ProjectSources(ROOT)


class Memory(Mapping[str, bytes]):
    """Given files before msmc's own templates."""

    def __init__(self, **files: str | bytes) -> None:
        self.files = {k: v.encode() if isinstance(v, str) else v for k, v in files.items()}

    def __getitem__(self, path: str) -> bytes:
        if path in self.files or not path.startswith("shipped:"):
            return self.files[path]
        return SHIPPED[path]

    def __iter__(self) -> Iterator[str]:
        return iter(SHIPPED)

    def __len__(self) -> int:
        return len(SHIPPED)


def cpu(*settings: str) -> Target:
    return load_target("cpu", ROOT, settings)
