"""What msmc wrote, read back: builds, stages and runs. What was cut, changed or deleted since is told with its place."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from msmc.diagnostics import Failed, fail

Row = TypeVar("Row")
KEPT = ("stages", "builds", "checkpoints")
"""Folders of `runs` whose folders the same command makes again."""


def read_json(path: Path) -> dict[str, Any]:
    """An object. Raises Failed `broken-file`."""
    return _object(path, 0, _text(path))


def read_text(path: Path, read: Callable[[str], Row]) -> Row:
    """What `read` makes of a file's text; its ValueError is the file's fault. Raises Failed `broken-file`."""
    text = _text(path)
    try:
        return read(text)
    except ValueError as error:
        raise broken(path, "is not what msmc writes") from error


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON Lines file, one at a time. Raises Failed `broken-file` with the line of what is none."""
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield _object(path, number, line)
    except UnicodeDecodeError as error:
        raise broken(path, "is no text any more") from error
    except OSError as error:
        raise broken(path, f"cannot be read: {error.strerror}") from error


def sha256_of(path: Path) -> str:
    """Of a file of any length."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def require_same(path: Path, sha256: str) -> None:
    """Raises Failed `broken-file` where a file is not the one that was written."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise broken(path, f"cannot be read: {error.strerror}") from error
    if found != sha256:
        raise broken(path, "is not what was written: it was cut or changed since")


def broken(path: Path, what: str, line: int = 0) -> Failed:
    """What is wrong with a file of msmc's own, at a line or as a whole, and how it is made again.

    broken-file: A file of a build or run that was cut or changed since msmc wrote it.

    msmc writes a file whole or not at all, and does not guess what a damaged one said. The hint names the command that makes it
    again.

    Bad:
        $ truncate --size 100 build/tea/full/sourcemap.json && msmc trace green

    Good:
        $ msmc compile tea.msm && msmc trace green
    """
    real = path.resolve()  # a run's folder has links to its stages
    real = real if path.is_absolute() else Path(os.path.relpath(real))
    kept = next((p for p in (real, *real.parents) if p.parent.name in KEPT), None)
    hint = "make it again: msmc compile SPEC"
    if kept is not None:
        hint = "the same `msmc run` or `msmc ablate` makes it again"
        hint = f"remove it, and {hint}: rm -r {kept}" if kept.exists() else hint
    elif path.name in ("run.json", "comparison.json"):
        hint = "the same `msmc run` or `msmc ablate` makes it again, and trains nothing anew"
    place = f"{path}:{line}" if line else path
    return fail("broken-file", f"`{place}` {what}", hint)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise broken(path, "is no text any more") from error
    except OSError as error:
        raise broken(path, f"cannot be read: {error.strerror}") from error


def _object(path: Path, number: int, text: str) -> dict[str, Any]:
    """`number`: the line, or 0 for a whole file."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise broken(path, "was cut or changed: it is not whole JSON", number) from error
    if not isinstance(found, dict):
        raise broken(path, "was changed: it holds no keys", number)
    return found
