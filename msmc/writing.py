"""One arm's folder, written; files of the last build are kept where nothing that they are made of has changed."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msmc.build import SCHEMA_VERSION, Artefact, Build
from msmc.diagnostics import Failed
from msmc.digest import digest
from msmc.halves import can_halve, in_halves
from msmc.stored import read_json, sha256_of

Entry = dict[str, str | int]
"""Of a file in a manifest: `sha256`; `rows`; and, where it can be kept, `inputs`: a digest of what it is made of, its bytes and
their number, so that an entry that was changed keeps nothing."""
KEPT = frozenset({"sha256", "rows", "inputs"})
"""What the entry has of a file that can be kept."""
CHUNK = 1 << 15
"""Characters that are hashed and written at once: as many as stay in a processor's cache."""
THREADS = 2
MUCH = 50_000
"""Rows that are worth a second process."""


def write_build(build: Build, folder: Path, last: Path) -> None:
    """Writes the folder of an arm, the manifest last. `last` is the folder that the arm had, if it had one."""
    for parent in {(folder / artefact.path).parent for artefact in build.artefacts}:
        parent.mkdir(parents=True, exist_ok=True)
    inputs = {artefact.path: artefact.inputs() for artefact in build.artefacts if artefact.inputs}
    files = _kept(inputs, folder, last)
    new = [artefact for artefact in build.artefacts if artefact.path not in files]

    def write(artefact: Artefact) -> Entry:
        entry = _written(artefact, folder / artefact.path)
        made_of = inputs.get(artefact.path)
        return entry | ({"inputs": _sealed(made_of, entry)} if made_of else {})

    much = build.num_documents * len(new) >= MUCH * len(build.artefacts)
    entries = in_halves(write, new) if much and can_halve() else map(write, new)
    files.update(zip((artefact.path for artefact in new), entries, strict=True))
    (folder / "manifest.json").write_text(pretty({**build.manifest, "files": files}), "utf-8")


def pretty(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def _written(artefact: Artefact, path: Path) -> Entry:
    hashed, num_lines = hashlib.sha256(), 0
    with path.open("wb") as stream:
        for some in _chunks(artefact):
            data = "".join(some).encode()
            stream.write(data)
            hashed.update(data)
            num_lines += len(some)
    rows = {"rows": num_lines} if artefact.path.endswith(".jsonl") else {}
    return {"sha256": hashed.hexdigest(), **rows}


def _chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    some, size = list[str](), 0
    for line in lines:
        some.append(line)
        size += len(line)
        if size > CHUNK:
            yield some
            some, size = [], 0
    yield some


# ---- what is kept ---------------------------------------------------------------------------------------------------------


def _kept(inputs: dict[str, str], folder: Path, last: Path) -> dict[str, Entry]:
    """Takes over the files that the last build made of the same, and that are still what it wrote."""
    entries = _entries(last) if inputs else {}
    same = [path for path, made_of in inputs.items() if _says(entries.get(path), made_of)]
    if not same:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    def keep(path: str) -> bool:
        new = folder / path
        try:
            _link(last / path, new)
            # looked at under its new name: what happens to the old one from here on does not matter
            return stat.S_ISREG(new.lstat().st_mode) and sha256_of(new) == entries[path]["sha256"]
        except OSError:
            return False

    with ThreadPoolExecutor(THREADS) as threads:
        kept = list(threads.map(keep, same))
    for path, holds in zip(same, kept, strict=True):
        if not holds:
            (folder / path).unlink(missing_ok=True)
    return {path: entries[path] for path, holds in zip(same, kept, strict=True) if holds}


def _entries(last: Path) -> dict[str, Any]:
    """What the manifest of the last build says of its files; nothing where there is none that can be read."""
    try:
        manifest = read_json(last / "manifest.json")
    except Failed:
        return {}
    files = manifest.get("files")
    if manifest.get("schema_version") != SCHEMA_VERSION or not isinstance(files, dict):
        return {}
    return files


def _says(entry: Any, made_of: str) -> bool:
    """Whether this is what was written of a file that is made of the same."""
    return isinstance(entry, dict) and entry.keys() == KEPT and entry["inputs"] == _sealed(made_of, entry)


def _sealed(made_of: str, entry: Entry) -> str:
    return digest(made_of, ascii([entry["sha256"], entry["rows"]]))  # a changed one may be what no JSON can hold


def _link(old: Path, new: Path) -> None:
    """A second name for a file: nothing of msmc's writes into a file that has its name. A copy where a disk has no links. Of a
    symbolic link it is another one."""
    try:
        os.link(old, new, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copyfile(old, new, follow_symlinks=False)
