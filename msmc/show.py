"""`show` and `trace`: from an id to what stands behind it, and back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msmc.compile import Outcome
from msmc.diagnostics import did_you_mean, fail
from msmc.ir import ArmSpec
from msmc.stored import broken, read_json, read_jsonl, read_text


def show_id(outcome: Outcome, wanted: str | None, arm: str = "full") -> str:
    """A node of an arm as prose, or a row's exact prompt; the whole arm for None. Raises Failed `unknown-id`, `unknown-arm`."""
    build = next((b for b in outcome.builds if b.arm == arm), None)
    if build is None:
        names = outcome.arms["names"]
        same = names.get(arm.split(".", 1)[-1])  # an arm that comes out as `full` is `full` under its name
        build = next((b for b in outcome.builds if b.arm == same), None)
    if build is None:
        known = ["full", *(f"{outcome.arms['ablation']}.{name}" for name in outcome.arms["names"])]
        near = next((k for k in known if k.endswith("." + arm)), None)
        hint = f"did you mean `{near}`?" if near else did_you_mean(arm, known)
        raise fail("unknown-arm", f"`{outcome.spec}` has no arm `{arm}`", hint)
    files = {artefact.path: artefact for artefact in build.artefacts}
    if wanted is None:
        return "".join(files["spec.md"]).rstrip()
    places = json.loads("".join(files["sourcemap.json"]))
    spec = json.loads("".join(files["ir.json"]))
    for full_id in (f"{outcome.spec}.{wanted}", wanted):
        if full_id in places and len(told := _node(full_id, spec, places[full_id])) > 1:
            return "\n".join(told)
    for path, artefact in files.items():
        if path.endswith(".jsonl") and not path.endswith("prefixes.jsonl"):
            for line in artefact:
                if f'"id":"{wanted}"' in line:
                    return _row(json.loads(line), path, files)
    known = [i.removeprefix(outcome.spec + ".") for i in places]
    raise fail(
        "unknown-id",
        f"the arm `{build.arm}` of `{outcome.spec}` has no node or row `{wanted}`",
        did_you_mean(wanted, known),
    )


def _node(node_id: str, spec: dict[str, Any], place: dict[str, Any]) -> list[str]:
    """The lines to show; the head alone where the arm does not have the node."""
    lines = [f"{node_id}   {place['file']}:{place['line']}:{place['column']}"]
    for node in (*spec["values"], *spec["rules"]):
        if node_id == node["id"]:
            lines += ["", node["title"], "", node["statement"]]
            lines += ["", "Rationale: " + node["rationale"]] if node["rationale"] else []
            lines += ["", "Serves: " + ", ".join(node["serves"])] if node.get("serves") else []
            lines += [f"\n- {s['statement']}" for s in node.get("subrules", ())]
            lines += [f"\n{node['id']}: {len(node['examples'])} examples"] if node.get("examples") else []
        elif node_id == f"{node['id']}.rationale":
            lines += ["", node["rationale"]]
        for part in node.get("subrules", ()):
            if node_id in (part["id"], f"{part['id']}.rationale"):
                lines += ["", part["statement"] if node_id == part["id"] else part["rationale"]]
        for example in node.get("examples", ()):
            if node_id == example["id"]:
                lines += [""] + [f"{m['role']}: {m['content']}" for m in example["messages"]]
    return lines


def _row(row: dict[str, Any], path: str, files: dict[str, Any]) -> str:
    lines = [f"{row['id']}   {path}", f"about {', '.join(row['about'])}"]
    messages = list(row.get("messages", ()))
    if "prefix" in row:
        prefixes = [json.loads(line) for line in files[path.split("/")[0] + "/prefixes.jsonl"]]
        messages = next(p["messages"] for p in prefixes if p["name"] == row["prefix"])
        messages = [*messages, {"role": "user", "content": row["prompt"]}]
    if "input" in row:
        messages = [{"role": "user", "content": row["input"]}]
        lines.append(f"choices: {row['choices'][0]} | {row['choices'][1]}   target {row['target']}")
    if needs := row.get("needs"):
        lines.append(f"needs the reply to {needs}")
    text = sum(len(m["content"]) for m in messages)
    # 4.2 characters a token is SmolLM2's rate on this English; no tokenizer is loaded before `run`
    lines.append(f"about {round(text / 4.2):,} tokens ({text:,} characters)")
    for message in messages:
        lines += ["", f"--- {message['role']}", message["content"]]
    return "\n".join(lines)


# ---- trace ------------------------------------------------------------------------------------------------------------------


def trace_id(what: str, build: Path, runs: Path) -> str:
    """Raises Failed `not-a-build` without a build, `unknown-id` when nothing has the id, `broken-file`."""
    arms = sorted(path.parent for path in build.glob("*/*/manifest.json"))
    if not arms:
        raise fail("not-a-build", f"there is no build in `{build}`", "first: msmc compile SPEC")
    lines, known = _trace(what, arms, runs)
    if not lines:
        hint = did_you_mean(what, known | {i.split(".", 1)[-1] for i in known})
        hint = hint or "a node's id is its path in the spec, a row's stands in the build's .jsonl files"
        raise fail("unknown-id", f"no build in `{build}` has a row or node `{what}`", hint)
    return "\n".join(lines)


def _trace(what: str, arms: list[Path], runs: Path) -> tuple[list[str], set[str]]:
    """The lines on an id, and the ids that there are."""
    lines: list[str] = []
    known: set[str] = set()
    for arm in arms:
        places = _places(arm)
        known |= places.keys()
        for node_id in (what, f"{arm.parent.name}.{what}"):
            if node_id in places:
                lines += _of_clause(arm, node_id, places[node_id])
        lines += _of_row(arm, what, places)
    return lines + _scores(runs, what, {f"{arm.parent.name}.{what}" for arm in arms} | {what}), known


def _places(arm: Path) -> dict[str, Any]:
    path = arm / "sourcemap.json"
    places = read_json(path)
    if not all(isinstance(p, dict) and {"file", "line", "column"} <= p.keys() for p in places.values()):
        raise broken(path, "was written by another version of msmc")
    return places


def _rows(arm: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(arm.glob("*/*.jsonl")):
        if path.name != "prefixes.jsonl":
            yield from ((path.relative_to(arm).as_posix(), row) for row in read_jsonl(path))


def _at(place: dict[str, Any]) -> str:
    return f"{place['file']}:{place['line']}:{place['column']}"


def _of_clause(arm: Path, node_id: str, place: dict[str, Any]) -> list[str]:
    counts: dict[str, list[str]] = {}
    for path, row in _rows(arm):
        if any(about == node_id or about.startswith(node_id + ".") for about in row["about"]):
            counts.setdefault(path, []).append(row["id"])
    spec = read_text(arm / "ir.json", ArmSpec.model_validate_json)
    clauses = {clause.id for clause in spec.clauses()}
    clauses |= {spec.name, *(example.id for rule in spec.rules for example in rule.examples)}
    # an evaluation may be about what this arm dropped, or about another spec's node
    gone = "" if node_id in clauses else "   (not in this arm)"
    lines = [f"{arm.parent.name}/{arm.name}: {node_id}   {_at(place)}{gone}"]
    return lines + [f"  {path}: {len(ids)} rows, from {ids[0]} to {ids[-1]}" for path, ids in counts.items()]


def _of_row(arm: Path, what: str, places: dict[str, Any]) -> list[str]:
    for path, row in _rows(arm):
        if row["id"] == what:
            head = f"{arm.parent.name}/{arm.name}/{path}: {what}"
            return [head] + [f"  {about}   {_at(places[about])}" for about in row["about"] if about in places]
    return []


def _scores(runs: Path, what: str, ids: set[str]) -> list[str]:
    """Of one eval row each run's margin; of a clause each run's mean over the rows that are about it."""
    lines = []
    for path in sorted(runs.glob("*/*/*/seed-*/scores/scores.jsonl")):
        rows = list(read_jsonl(path))
        margins = [r["margin"] for r in rows if r["margin"] is not None and (r["id"] == what or ids & set(r["about"]))]
        if margins:
            run = path.parent.parent.relative_to(runs)
            lines.append(f"{run}: mean margin {sum(margins) / len(margins):+.3f} over {len(margins)} scored rows")
    return lines
