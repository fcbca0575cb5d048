"""The library of kinds, audiences and angles that documents are planned from (`templates/documents/*.yaml`)."""

import hashlib
from functools import cached_property
from typing import Any

from msmc.source import Sources

FOLDER = "shipped:templates/documents/"
FORMS = FOLDER + "forms/"
REGISTERS = ("normative", "descriptive", "narrative")
"""How a kind tells a clause: what the assistant should do, what it does, or somebody's meeting with it."""
ALL = "all"
"""In a spec's list: everything that the library has."""
OTHER = "other"
"""The entry for an angle in an author's own words."""


def read_yaml(text: bytes) -> Any:
    """YAML with the C loader where there is one: ten times faster on the passages."""
    import yaml  # a check reads none, unless the spec names something of the library

    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class Library:
    """Kinds, audiences and angles by id. `sources` must be able to list its template files."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._forms: dict[str, dict[str, Any]] = {}

    def _read(self, name: str) -> dict[str, dict[str, Any]]:
        return dict(read_yaml(self._sources[f"{FOLDER}{name}.yaml"]))

    @cached_property
    def _kinds(self) -> dict[str, dict[str, Any]]:
        return self._read("kinds")

    @cached_property
    def _audiences(self) -> dict[str, dict[str, Any]]:
        return self._read("audiences")

    @cached_property
    def _angles(self) -> dict[str, dict[str, Any]]:
        return self._read("angles")

    @property
    def kinds(self) -> tuple[str, ...]:
        """Ids of the document kinds, sorted."""
        return tuple(sorted(self._kinds))

    @property
    def audiences(self) -> tuple[str, ...]:
        """Ids of the audiences, sorted."""
        return tuple(sorted(self._audiences))

    @property
    def angles(self) -> tuple[str, ...]:
        """Ids of the angles, sorted."""
        return tuple(sorted(self._angles.keys() - {OTHER}))

    @property
    def forms(self) -> tuple[str, ...]:
        """Ids of the forms, sorted: what the `template` writer has passages for."""
        files = (p.removeprefix(FORMS) for p in self._sources if p.startswith(FORMS))
        return tuple(sorted(file.removesuffix(".yaml") for file in files))

    @cached_property
    def fingerprint(self) -> str:
        """Of all its files: what the `template` writer's documents depend on besides the build."""
        files = [p for p in self._sources if p.startswith(FOLDER) and p.endswith(".yaml")]
        hashed = hashlib.sha256()
        for path in files:
            hashed.update(path.encode() + b"\0" + self._sources[path] + b"\0")
        return hashed.hexdigest()

    def named(self, axis: str) -> dict[str, tuple[str, ...]]:
        """The words that stand for several of `kinds`, `audiences` or `angles`, each with the ids that it stands for."""
        words = {ALL: tuple(getattr(self, axis))}
        if axis == "kinds":
            words |= {r: tuple(k for k in self.kinds if self._kinds[k]["register"] == r) for r in REGISTERS}
        return words

    def kind(self, kind: str) -> dict[str, str]:
        """`register`, `form`, `brief` and `avoid` of one kind."""
        return self._kinds[kind]

    def audience(self, audience: str) -> dict[str, str]:
        """`phrase` and `avoid`: the library's for an id, else the author's own words and nothing."""
        return self._audiences.get(audience, {"phrase": audience, "avoid": ""})

    def angle(self, angle: str) -> dict[str, Any]:
        """`brief`, `avoid` and `passages`, its own or those of the angle that it is `like`; for an author's own words the
        entry `other`, which has `{angle}` in it."""
        found = self._angles.get(angle, self._angles[OTHER])
        return {**found, "passages": self._angles[found["like"]]["passages"]} if "like" in found else found

    def form(self, form: str) -> dict[str, Any]:
        """`orders` and `slots` of one form, as its file has them."""
        if form not in self._forms:
            self._forms[form] = dict(read_yaml(self._sources[f"{FORMS}{form}.yaml"]))
        return self._forms[form]
