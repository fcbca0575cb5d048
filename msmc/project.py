"""The project on disk: its targets, and how a build is written."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msmc.build import digest
from msmc.compile import Outcome
from msmc.diagnostics import Failed, did_you_mean, fail
from msmc.shipped import shipped
from msmc.source import SourceFile
from msmc.stored import read_json
from msmc.target import Target, read_target
from msmc.whole import locked, named, put_back, replace_folder, whole_folder
from msmc.writing import pretty, write_build


def load_target(name: str, root: Path, settings: tuple[str, ...]) -> Target:
    """A target by name (the project's `targets/NAME.yaml`, else msmc's) or by the path of a YAML file. Raises Failed.

    target-missing: A target that is neither shipped nor a file.

    `--target` takes the name of a file in `targets/`, of the project or of msmc, or the path of a YAML file.

    Bad:
        $ msmc compile tea.msm --target cpus

    Good:
        $ msmc compile tea.msm --target cpu
    """
    folders = [root / "targets", shipped() / "targets"]
    as_path = name.endswith((".yaml", ".yml")) or "/" in name
    path = Path(name) if as_path else next((f / f"{name}.yaml" for f in folders if (f / f"{name}.yaml").exists()), None)
    if path is None or not path.exists():
        known = [p.stem for folder in folders for p in folder.glob("*.yaml")]
        hint = "name a YAML file that is there, or a target of msmc's own, such as -t cpu"
        raise fail("target-missing", f"there is no target `{name}`", hint if as_path else did_you_mean(name, known))
    try:
        source = SourceFile(f"{path.parent.name}/{path.name}" if not as_path else name, path.read_bytes())
    except IsADirectoryError:
        raise fail("not-a-file", f"the target `{name}` is a folder", "name a YAML file") from None
    except UnicodeDecodeError:
        raise fail("target-not-yaml", f"the target `{name}` is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        hint = f"give yourself the right to read it: chmod u+r {path}"
        raise fail("unreadable", f"the target `{name}` cannot be read: {error.strerror}", hint) from None
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
    with _written(outcome, out) as place:
        return place


def store_tree(outcome: Outcome, out: Path, runs: Path) -> Path:
    """Writes the build, and a copy to `runs/builds` that no later build replaces while a run reads it."""
    with _written(outcome, out) as place:
        manifests = sorted(place.glob("*/manifest.json"))
        state = digest((place / "arms.json").read_text("utf-8"), *(m.read_text("utf-8") for m in manifests))
        kept = runs / "builds" / f"{outcome.spec}-{state[:12]}"

        def copy(part: Path) -> None:
            # not copytree, which tells of a full disk once for each file
            for file in sorted(p for p in place.rglob("*") if p.is_file()):
                copied = part / file.relative_to(place)
                copied.parent.mkdir(parents=True, exist_ok=True)
                with file.open("rb") as source, copied.open("wb") as target:
                    shutil.copyfileobj(source, target)

        whole_folder(kept, copy, lambda: None)
    return kept


def require_writable(folder: Path, option: str) -> None:
    """Before any work. Raises Failed `unwritable`.

    unwritable: A place where msmc cannot write.

    Its rights, a read-only disk, or no room. What was finished is kept, and the same command goes on from there.

    Bad:
        $ msmc compile tea.msm --out /proc

    Good:
        $ msmc compile tea.msm --out build
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    what = "a file" if there.exists() else "a link to nothing"
    reason = "" if there.is_dir() else f"it is {what}" if there == folder.absolute() else f"`{there.name}` is {what}"
    if not reason and not os.access(there, os.W_OK | os.X_OK):
        reason = os.strerror(errno.EACCES)
    if reason:
        raise fail("unwritable", f"`{folder}` cannot be written: {reason}", f"name another folder with {option}")


@contextmanager
def _written(outcome: Outcome, out: Path) -> Iterator[Path]:
    """`out/<spec>`, locked against another process that writes the same."""
    place = out / outcome.spec
    if place.exists() and not (place / "arms.json").is_file():
        raise fail("not-a-build", f"`{place}` is in the way: it is no build", "name another folder with -o")
    require_writable(out, "-o")
    fresh = out / f".{outcome.spec}.fresh"
    with locked(place, lambda: None):
        put_back(place)
        _require_own(place, outcome.arms["source"])
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            with named(place, fresh):
                for build in outcome.builds:
                    write_build(build, fresh / build.arm, place / build.arm)
                (fresh / "arms.json").write_text(pretty(outcome.arms), "utf-8")
                replace_folder(fresh, place)
            yield place
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _require_own(place: Path, source: str) -> None:
    """Another file's spec of the same name must not take the place of this one's build, nor of its runs."""
    if not (place / "arms.json").is_file():
        return
    other = read_json(place / "arms.json").get("source", source)
    if other != source:
        message = f"`{place}` is the build of `{other}`: `{source}` has a spec of the same name"
        raise fail("not-a-build", message, f"rename one of them, name other folders, or remove it: rm -r {place}")
