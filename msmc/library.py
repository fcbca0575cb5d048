"""The library of kinds, audiences and angles that documents are planned from (`templates/documents/*.yaml`)."""

import hashlib
from functools import cached_property
from typing import Any

from msmc.source import Sources

FOLDER = "shipped:templates/documents/"


def read_yaml(text: bytes) -> Any:
    """YAML with the C loader where there is one: ten times faster on the passages."""
    import yaml  # a check reads none, unless the spec names something of the library

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class Library:
    """Kinds, audiences and angles by id. `sources` must be able to list its template files."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._kinds: dict[str, dict[str, Any]] = {}

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Ids of the document kinds, sorted."""
        names = [p.removeprefix(FOLDER) for p in self._sources if p.startswith(FOLDER) and p.endswith(".yaml")]
        return tuple(sorted(n.removesuffix(".yaml") for n in names if n not in ("audiences.yaml", "angles.yaml")))

    @cached_property
    def fingerprint(self) -> str:
        """Of all its files: what the `template` writer's documents depend on besides the build."""
        files = [p for p in self._sources if p.startswith(FOLDER) and p.endswith(".yaml")]
        hashed = hashlib.sha256()
        for path in files:
            hashed.update(path.encode() + b"\0" + self._sources[path] + b"\0")
        return hashed.hexdigest()

    @cached_property
    def audiences(self) -> dict[str, str]:
        """Id to the phrase that documents use."""
        return dict(read_yaml(self._sources[FOLDER + "audiences.yaml"]))

    @cached_property
    def _angles(self) -> dict[str, dict[str, Any]]:
        return dict(read_yaml(self._sources[FOLDER + "angles.yaml"]))

    @property
    def angles(self) -> tuple[str, ...]:
        """Ids of the angles, sorted."""
        return tuple(sorted(a for a in self._angles if a != "other"))

    def kind(self, kind: str) -> dict[str, Any]:
        """`brief`, `orders` and `slots` of one kind, as its file has them."""
        if kind not in self._kinds:
            self._kinds[kind] = dict(read_yaml(self._sources[f"{FOLDER}{kind}.yaml"]))
        return self._kinds[kind]

    def audience(self, audience: str) -> str:
        """The phrase: the library's for an id, else the author's own words."""
        return self.audiences.get(audience, audience)

    def angle(self, angle: str) -> dict[str, Any]:
        """`brief` and `passages`; for an author's own words the entry `other`, which has `{angle}` in it."""
        return dict(self._angles.get(angle, self._angles["other"]))
