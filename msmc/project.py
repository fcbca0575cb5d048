"""The project on disk: where it begins, how its files are read, how a build is written."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msmc.build import Build
from msmc.compile import Outcome
from msmc.diagnostics import Failed, did_you_mean, fail
from msmc.shipped import shipped
from msmc.source import SourceFile
from msmc.target import Target, read_target

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


def load_target(name: str, root: Path, settings: tuple[str, ...]) -> Target:
    """A target by name (the project's `targets/NAME.yaml`, else msmc's) or by the path of a YAML file. Raises Failed."""
    folders = [root / "targets", shipped() / "targets"]
    as_path = name.endswith((".yaml", ".yml")) or "/" in name
    path = Path(name) if as_path else next((f / f"{name}.yaml" for f in folders if (f / f"{name}.yaml").exists()), None)
    if path is None or not path.exists():
        known = [p.stem for folder in folders for p in folder.glob("*.yaml")]
        raise fail("target-missing", f"there is no target `{name}`", did_you_mean(name, known))
    try:
        source = SourceFile(f"{path.parent.name}/{path.name}" if not as_path else name, path.read_bytes())
    except IsADirectoryError:
        raise fail("not-a-file", f"the target `{name}` is a folder", "name a YAML file") from None
    except UnicodeDecodeError:
        raise fail("target-not-yaml", f"the target `{name}` is not UTF-8 text") from None
    except OSError as error:
        raise fail("unreadable", f"the target `{name}` cannot be read: {error.strerror}") from None
    target = read_target(path.stem, source, settings)
    if isinstance(target, list):
        failed = Failed(*target)
        failed.files = {source.path: source}
        raise failed
    if not (shipped() / "templates" / "chat" / f"{target.model.chat_template}.jinja").exists():
        known = [p.stem for p in (shipped() / "templates" / "chat").glob("*.jinja")]
        raise fail(
            "target-invalid",
            f"there is no chat template `{target.model.chat_template}`",
            did_you_mean(target.model.chat_template, known),
        )
    return target


# ---- writing --------------------------------------------------------------------------------------------------------------


def write_tree(outcome: Outcome, out: Path) -> Path:
    """Writes `out/<spec>` beside its place and moves it there when it is whole; the manifest of each arm comes last."""
    place = out / outcome.spec
    if place.exists() and not (place / "arms.json").is_file():
        raise fail("not-a-build", f"`{place}` is in the way: it is no build", "name another folder with -o")
    fresh = out / f".{outcome.spec}.{uuid.uuid4().hex[:8]}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for build in outcome.builds:
            _write_build(build, fresh / build.arm)
        _write(fresh / "arms.json", _pretty(outcome.arms))
        replace_folder(fresh, place)
    except OSError as error:
        raise fail(
            "unreadable", f"the build cannot be written to `{out}`: {error.strerror}", "name another folder with -o"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def _write_build(build: Build, folder: Path) -> None:
    files: dict[str, dict[str, str | int]] = {}
    for artefact in build.artefacts:
        path = folder / artefact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        hashed, num_lines = hashlib.sha256(), 0
        with path.open("wb") as stream:
            for chunk in artefact:
                data = chunk.encode()
                stream.write(data)
                hashed.update(data)
                num_lines += 1
        files[artefact.path] = {"sha256": hashed.hexdigest()}
        if artefact.path.endswith(".jsonl"):
            files[artefact.path]["rows"] = num_lines
    _write(folder / "manifest.json", _pretty({**build.manifest, "files": files}))


def _pretty(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    part.replace(path)


def replace_folder(fresh: Path, place: Path) -> None:
    """Puts a finished folder in its place; what stood there goes away."""
    old = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.old")
    if place.exists():
        place.rename(old)
    fresh.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def cache_folder() -> Path:
    """Where converted weights are kept: `$MSMC_CACHE`, else the user's cache folder."""
    if "MSMC_CACHE" in os.environ:
        return Path(os.environ["MSMC_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "msmc"
