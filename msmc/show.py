"""`msmc show`: a node as prose, or the exact prompt of a row."""

import json
from typing import Any

from msmc.compile import Outcome
from msmc.diagnostics import did_you_mean, fail

AS_BUILT = "rows depend on the arm and the target: give --arm, --target and --set {} as they were given to compile"
HINTS = {
    "doc-": AS_BUILT.format("documents.per_clause=…"),
    "ask-": AS_BUILT.format("demos.per_clause=…"),
    "say-": AS_BUILT.format("demos.per_clause=…"),
}
"""For rows that are not found, by how their ids begin."""


def show_id(outcome: Outcome, wanted: str | None, arm: str = "full") -> str:
    """A node of an arm as prose, or a row's exact prompt; the whole arm for None. Raises Failed `unknown-id`, `unknown-arm`.

    unknown-arm: An arm that the build does not have.

    Arms are `full` and ABLATION.ARM.

    Bad:
        $ msmc show tea.msm --arm reasons.bear

    Good:
        $ msmc show tea.msm --arm reasons.bare

    unknown-id: An id of no node and no row.

    A node is named by its path, with or without the spec's name (`green`, `tea.green.rationale`), a row as the build names it
    (`doc-…`, `demo-…`).

    Bad:
        $ msmc show tea.msm gren

    Good:
        $ msmc show tea.msm green
    """
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
    there = [i for i, place in places.items() if len(_node(i, spec, place)) > 1]
    known = [i.removeprefix(outcome.spec + ".") for i in there]
    if wanted in places or f"{outcome.spec}.{wanted}" in places:
        raise fail(
            "unknown-id", f"the arm `{build.arm}` of `{outcome.spec}` does not have `{wanted}`", "see it: --arm full"
        )
    hint = next((hint for start, hint in HINTS.items() if wanted.startswith(start)), did_you_mean(wanted, known))
    raise fail("unknown-id", f"the arm `{build.arm}` of `{outcome.spec}` has no node or row `{wanted}`", hint)


def _node(node_id: str, spec: dict[str, Any], place: dict[str, Any]) -> list[str]:
    """The lines to show; the head alone where the arm does not have the node."""
    lines = [f"{node_id}   {place['file']}:{place['line']}:{place['column']}"]
    for node in (*spec["values"], *spec["rules"]):
        if node_id == node["id"]:
            lines += ["", node["title"], "", node["statement"]]
            lines += ["", "Rationale: " + node["rationale"]] if node["rationale"] else []
            lines += ["", "Serves: " + ", ".join(node["serves"])] if node.get("serves") else []
            for part in node.get("subrules", ()):
                lines += [
                    f"\n- {part['statement']}" + (f" (Rationale: {part['rationale']})" if part["rationale"] else "")
                ]
            lines += [f"\n{node['id']}: {len(node['examples'])} examples"] if node.get("examples") else []
        elif node_id == f"{node['id']}.rationale" and node["rationale"] is not None:
            lines += ["", node["rationale"]]
        for part in node.get("subrules", ()):
            if node_id in (part["id"], f"{part['id']}.rationale"):
                said = part["statement"] if node_id == part["id"] else part["rationale"]
                lines += ["", said] if said is not None else []
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
        if "choices" in row:
            lines.append(f"choices: {row['choices'][0]} | {row['choices'][1]}   target {row['target']}")
        else:
            lines += ["graded by:", *(f"  {line}" for line in row["target"].split("\n"))]
    if needs := row.get("needs"):
        lines.append(f"needs the reply to {needs}: the chat up to it follows the prompt")
    if "text" in row:
        messages = [{"role": "the author's own document", "content": row["text"]}]
    text = sum(len(m["content"]) for m in messages)
    # 4.2 characters a token is SmolLM2's rate on this English; no tokenizer is loaded before `run`
    lines.append(f"about {round(text / 4.2):,} tokens ({text:,} characters)")
    for message in messages:
        lines += ["", f"--- {message['role']}", message["content"]]
    return "\n".join(lines)
