"""`msmc trace`: from a row to its clause and line, from a clause or an evaluation to its rows, texts and scores."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msmc.build import OWN_ROWS, RESERVED
from msmc.diagnostics import did_you_mean, fail
from msmc.ir import ArmSpec
from msmc.stored import broken, read_json, read_jsonl, read_text


def trace_id(what: str, build: Path, runs: Path) -> str:
    """Raises Failed `not-a-build` without a build, `unknown-id` when nothing has the id, `broken-file`.

    not-a-build: A folder that msmc did not build, or where a build would have to be.

    `msmc compile` makes it, and never replaces a folder that holds anything else.

    Bad:
        $ msmc trace green --build elsewhere

    Good:
        $ msmc compile tea.msm
        $ msmc trace green
    """
    arms = sorted(path.parent for path in build.glob("*/*/manifest.json"))
    if not arms:
        raise fail("not-a-build", f"there is no build in `{build}`", "first: msmc compile SPEC")
    lines: list[str] = []
    known: set[str] = set()
    for arm in arms:
        places = _places(arm)
        known |= places.keys() | {path.stem for path in (arm / "evals").glob("*.jsonl")}
        for node_id in (what, f"{arm.parent.name}.{what}"):
            if node_id in places:
                lines += _of_clause(arm, node_id, places[node_id])
        lines += _of_eval(arm, what) + _of_row(arm, what, places)
    ids = {f"{arm.parent.name}.{what}" for arm in arms} | {what}
    lines += [*_texts(runs, what, ids), *_scores(runs, what, ids), *_means(runs, what, ids), *_answers(runs, what)]
    if not lines:
        hint = did_you_mean(what, known | {i.split(".", 1)[-1] for i in known})
        hint = hint or "a node's id is its path in the spec, a row's stands in the build's .jsonl files"
        raise fail("unknown-id", f"no build in `{build}` has a row, node or evaluation `{what}`", hint)
    return "\n".join(lines)


def _places(arm: Path) -> dict[str, Any]:
    path = arm / "sourcemap.json"
    places = read_json(path)
    if not all(isinstance(p, dict) and {"file", "line", "column"} <= p.keys() for p in places.values()):
        raise broken(path, "was written by another version of msmc")
    return places


# ---- in the build -----------------------------------------------------------------------------------------------------------


def _rows(arm: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(path for pattern in ("*/*.jsonl", f"{RESERVED}*.jsonl") for path in arm.glob(pattern)):
        if path.name != "prefixes.jsonl":
            yield from ((path.relative_to(arm).as_posix(), row) for row in read_jsonl(path))


def _at(place: dict[str, Any]) -> str:
    return f"{place['file']}:{place['line']}:{place['column']}"


def _is_about(row: dict[str, Any], node_id: str) -> bool:
    return any(about == node_id or about.startswith(node_id + ".") for about in row.get("about", ()))


def _of_clause(arm: Path, node_id: str, place: dict[str, Any]) -> list[str]:
    counts: dict[str, list[str]] = {}
    for path, row in _rows(arm):
        if _is_about(row, node_id):
            counts.setdefault(path, []).append(row["id"])
    spec = read_text(arm / "ir.json", ArmSpec.model_validate_json)
    clauses = {clause.id for clause in spec.clauses()}
    clauses |= {spec.name, *(example.id for rule in spec.rules for example in rule.examples)}
    # an evaluation may be about what this arm dropped, or about another spec's node
    gone = "" if node_id in clauses else "   (not in this arm)"
    lines = [f"{arm.parent.name}/{arm.name}: {node_id}   {_at(place)}{gone}"]
    return lines + [f"  {path}: {len(ids)} rows, from {ids[0]} to {ids[-1]}" for path, ids in counts.items()]


def _of_eval(arm: Path, name: str) -> list[str]:
    """An evaluation's rows; they are the same in every arm, so `full` tells of them."""
    path = arm / "evals" / f"{name}.jsonl"
    if arm.name != "full" or "/" in name:
        return []
    if task := read_json(arm.parent / "arms.json")["tasks"].get(name):
        return [f"{arm.parent.name}/full: {name} is the task `{task['task']}` of {task['tool']}"]
    if not path.is_file():
        return []
    rows = list(read_jsonl(path))
    items = {row["metadata"]["item"]: row["metadata"]["topic"] for row in rows}
    orders = " in both orders" if all("choices" in row for row in rows) else ", those that are planted among them"
    lines = [f"{arm.parent.name}/full/evals/{name}.jsonl: {len(rows)} rows, {len(items)} items{orders}"]
    about = {clause: sum(clause in row["about"] for row in rows) for row in rows for clause in row["about"]}
    lines += [
        f"  topic {topic}: {count} item{'s' if count > 1 else ''}"
        for topic, count in sorted(Counter(items.values()).items())
    ]
    return lines + [f"  {clause}: {count} rows" for clause, count in sorted(about.items())]


def _of_row(arm: Path, what: str, places: dict[str, Any]) -> list[str]:
    for path, row in _rows(arm):
        if row["id"] == what:
            head = f"{arm.parent.name}/{arm.name}/{path}: {what}" + _from(arm, what)
            return [head] + [f"  {about}   {_at(places[about])}" for about in row.get("about", ()) if about in places]
    return []


def _from(arm: Path, what: str) -> str:
    """The line of the author's own file that a row is."""
    place = read_json(arm / OWN_ROWS).get(what) if (arm / OWN_ROWS).is_file() else None
    return f"   {_at(place)}" if place else ""


# ---- in the runs ------------------------------------------------------------------------------------------------------------


def _texts(runs: Path, what: str, ids: set[str]) -> Iterator[str]:
    """Where a row's text stands, and the text; of a clause how many texts were written, and how many are in quarantine."""
    files = [p for pattern in ("corpus/*.jsonl", "demos/*.jsonl") for p in runs.glob(f"*/*/*/seed-*/{pattern}")]
    files += runs.glob("quarantine/*.jsonl")
    for path in sorted({file.resolve() for file in files}):  # runs share stages
        place, about = path.relative_to(runs.resolve()), 0
        for number, row in enumerate(read_jsonl(path), 1):
            about += any(_is_about(row, node_id) for node_id in ids)
            if row["id"] == what:
                yield f"{place}:{number}" + (f"   quarantined: {row['reason']}" if "reason" in row else "")
                said = (
                    row["text"] if "text" in row else "\n".join(f"{m['role']}: {m['content']}" for m in row["messages"])
                )
                yield "\n" + "\n".join(f"    {line}".rstrip() for line in said.split("\n")) + "\n"
        if about:
            yield f"{place}: {about} rows"


def _scores(runs: Path, what: str, ids: set[str]) -> Iterator[str]:
    """Of one eval row each run's margin; of a clause or an evaluation each run's mean over its rows."""
    files = ("scores/scores.jsonl", "scores/format_control.jsonl")
    for path in sorted(path for file in files for path in runs.glob(f"*/*/*/seed-*/{file}")):
        rows = [r for r in read_jsonl(path) if r["margin"] is not None]
        margins = [r["margin"] for r in rows if r["id"] == what or r["eval"] == what or ids & set(r["about"])]
        if margins:
            run = path.parent.parent.relative_to(runs)
            yield f"{run}: mean margin {sum(margins) / len(margins):+.3f} over {len(margins)} scored rows"


def _means(runs: Path, what: str, ids: set[str]) -> Iterator[str]:
    """Of a clause or an evaluation that is no forced choice each run's means over its items."""
    for path in sorted(runs.glob("*/*/*/seed-*/*/items.jsonl")):
        rows = [r for r in read_jsonl(path) if r["eval"] == what or ids & set(r["about"])]
        for name in dict.fromkeys(name for row in rows for name in row["measures"]):
            given = [value for row in rows if (value := row["measures"].get(name)) is not None]
            told = f"mean {name} {sum(given) / len(given):+.3f}" if given else f"no {name}"
            yield f"{path.parent.relative_to(runs)}: {told} over {len(given)} of {len(rows)} items"


def _answers(runs: Path, what: str) -> Iterator[str]:
    """Of one eval row what each model said, and what it came to where that is not a forced choice's margin."""
    for path in sorted(
        p for file in ("scores/generated.jsonl", "*/items.jsonl") for p in runs.glob(f"*/*/*/seed-*/{file}")
    ):
        for number, row in enumerate(read_jsonl(path), 1):
            if row["id"] == what:
                measures = (f"{name} {value}" for name, value in row.get("measures", {}).items())
                came_to = row.get("unscoreable") or row.get("unparsed") or row.get("choice") or ", ".join(measures)
                yield f"{path.relative_to(runs)}:{number}   {came_to}"
                turns = (row.get("transcript") or {}).get("messages", ())
                said = row.get("reply") or "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
                yield "\n" + "\n".join(f"    {line}".rstrip() for line in said.split("\n")) + "\n"
