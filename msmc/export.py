"""What other tools run: the evaluations of a build as tasks of lm-eval."""

import json
import os
import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from msmc.build import SCHEMA_VERSION, RunPlan
from msmc.diagnostics import fail
from msmc.disk import ProjectSources
from msmc.lower.render import Templates
from msmc.project import require_writable
from msmc.stored import broken, read_json, read_jsonl, require_same
from msmc.whole import locked, named, replace_folder

CONTENTS = "export.json"
"""What msmc wrote into a folder: only that does it replace."""
STARTED = "__pycache__"
"""What Python leaves there when lm_eval reads the tasks."""


class Exported(NamedTuple):
    """A folder of tasks, and how they are run."""

    place: Path
    tasks: dict[str, dict[str, Any]]
    """By evaluation: rung, items by topic."""
    command: str


def export_lm_eval(what: Path, out: Path | None) -> Exported:
    """Writes the evaluations of a build, or of the build that a run was made from, as a folder of lm-eval tasks.

    Raises Failed `not-a-build`, `broken-file`, `nothing-to-evaluate`, `unwritable`.
    """
    run = _run(what)
    arm = _arm(_build_of(what, run) if run else what)
    manifest = read_json(arm / "manifest.json")
    if manifest.get("schema_version") != SCHEMA_VERSION or not {"spec", "files", "open_evals"} <= manifest.keys():
        raise broken(arm / "manifest.json", "was written by another version of msmc")
    spec = manifest["spec"]
    sha256 = {arm / path: entry["sha256"] for path, entry in sorted(manifest["files"].items()) if "rows" in entry}
    judged = manifest["open_evals"]  # lm_eval has no judge
    evals = {path: d for path, d in sha256.items() if path.parent.name == "evals" and path.stem not in judged}
    if not evals:
        raise fail("nothing-to-evaluate", f"`{spec}` has no evaluation", "add an `eval` block, and compile again")
    templates, files, tasks = Templates(ProjectSources(Path())), dict[str, bytes](), dict[str, dict[str, Any]]()
    for path, digest in evals.items():
        require_same(path, digest)
        name = path.stem
        items = {row["metadata"]["item"]: row["metadata"] for row in read_jsonl(path)}
        rung = next(iter(items.values()))["rung"]
        tasks[name] = {"rung": rung, "topics": Counter(item["topic"] for item in items.values())}
        said = {"spec": spec, "name": name, "rung": rung, "items": len(items), "sha256": digest}
        files[f"{name}.yaml"] = (templates.render("evals/lm_eval.yaml.jinja", said) + "\n").encode()
        files[path.name] = path.read_bytes()
    files["rows.py"] = (templates.render("evals/lm_eval_rows.py.jinja", {}) + "\n").encode()
    files[CONTENTS] = (json.dumps({"to": "lm-eval", "spec": spec, "files": sorted(files)}, indent=1) + "\n").encode()
    place = out or Path("export") / f"{spec}-lm-eval"
    place = place if place.name not in ("", "..") else Path(os.path.abspath(place))
    _write(place, spec, files)
    model = f"pretrained={run['target']['model']['name'] if run else 'MODEL'}{_adapter(what, run) if run else ''}"
    words = ("lm_eval", "--model", "hf", "--model_args", model, "--include_path", str(place), "--tasks", f"msmc_{spec}")
    return Exported(place, tasks, shlex.join((*words, "--apply_chat_template")))


# ---- what is read -----------------------------------------------------------------------------------------------------------


def _arm(build: Path) -> Path:
    """The folder of one arm: evaluations are the same in all."""
    if (build / "manifest.json").is_file():
        return build
    if (build / "arms.json").is_file():
        if not (build / "full" / "manifest.json").is_file():
            raise broken(build / "full" / "manifest.json", "is gone")
        return build / "full"
    inner = sorted(path.parent for pattern in ("*/arms.json", "**/seed-*/run.json") for path in build.glob(pattern))
    hint = f"name one that it holds, such as {inner[0]}" if inner else "first: msmc compile SPEC"
    raise fail("not-a-build", f"`{build}` is no build and no run", hint)


def _run(what: Path) -> dict[str, Any] | None:
    """The content of run.json, if this is a run."""
    if not (what / "run.json").is_file():
        return None
    run = read_json(what / "run.json")
    if run.get("schema_version") != SCHEMA_VERSION or not {"spec", "builds", "target", "run"} <= run.keys():
        raise broken(what / "run.json", "was written by another version of msmc")
    return run


def _build_of(folder: Path, run: dict[str, Any]) -> Path:
    """The copy of its build that a run was made from."""
    for runs in folder.resolve().parents[3:4]:  # runs/<spec>/<target>/<arm>/seed-…
        for manifest in sorted(runs.glob(f"builds/{run['spec']}-*/full/manifest.json")):
            if read_json(manifest) == run["builds"]["full"]:
                return Path(os.path.relpath(manifest.parents[1]))
    hint = "name a build; or the same `msmc run` or `msmc ablate` makes it again"
    raise fail("not-a-build", f"the build that `{folder}` was made from is gone from the runs' folder `builds`", hint)


def _adapter(folder: Path, run: dict[str, Any]) -> str:
    """Of a run, what was trained last."""
    last_first = reversed(RunPlan.model_validate(run["run"]).training)
    adapters = [folder / kind / "adapter" for kind in last_first]
    return next((f",peft={adapter}" for adapter in adapters if adapter.is_dir()), "")


# ---- what is written --------------------------------------------------------------------------------------------------------


def _write(place: Path, spec: str, files: dict[str, bytes]) -> None:
    """The folder with these files, whole or not at all."""
    _require_own(place, spec)
    require_writable(place.parent, "--out")
    with locked(place, lambda: None):
        _require_own(place, spec)
        fresh = place.with_name(f".{place.name}.fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            with named(place, fresh):
                fresh.mkdir()
                for name, content in files.items():
                    (fresh / name).write_bytes(content)
                replace_folder(fresh, place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _require_own(place: Path, spec: str) -> None:
    """What stands there may go only where msmc wrote all of it, for this spec."""
    if not os.path.lexists(place):
        return
    reason = "msmc did not write it"
    if (place / CONTENTS).is_file():
        written = read_json(place / CONTENTS)
        own = {CONTENTS, STARTED, *written.get("files", ())}
        others = sorted({path.name for path in place.iterdir()} - own)
        if written.get("spec") == spec and not others:
            return
        reason = f"msmc did not write `{others[0]}`" if others else f"it is of the spec `{written.get('spec')}`"
    raise fail("not-a-build", f"`{place}` is in the way: {reason}", "name another folder with --out")
