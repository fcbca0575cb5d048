"""The documents and demos that the models were trained on, and the clauses that they are about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.page.embedded import Words, stratified, weight
from msmc.backend.page.study import Study
from msmc.coverage import Covered
from msmc.stored import read_jsonl

TEXTS = 5_000_000
"""Bytes of documents and demos on a page, of every clause as many; of the others it has the command that shows them."""
FILES = {"corpus": "midtrain.jsonl", "demos": "finetune.jsonl"}


class Text(NamedTuple):
    """A document or a chat of one set."""

    source: str
    what: str
    clause: str
    cell: str
    row: dict[str, Any]

    @property
    def said(self) -> dict[str, Any]:
        return {key: self.row[key] for key in ("text", "messages") if self.row.get(key)}


def texts(study: Study, budget: int = TEXTS) -> dict[str, Any]:
    """Columns for the page's script."""
    words = {name: Words() for name in ("source", "what", "clause", "cell")}
    columns: dict[str, list[Any]] = {name: [] for name in ("id", *words)}
    sizes = []
    for text in _texts(study):
        columns["id"].append(text.row["id"])
        for name, found in words.items():
            columns[name].append(found.number(getattr(text, name)))
        sizes.append(((text.source, text.what, text.clause), weight(text.said)))
    chosen = stratified(sizes, budget)
    return {
        "columns": columns,
        "words": {name: found.all for name, found in words.items()},
        "said": {number: text.said for number, text in enumerate(_texts(study)) if number in chosen},
        "left_out": len(sizes) - len(chosen),
        "places": [study.places.get(clause, "") for clause in words["clause"].all],
    }


def _texts(study: Study) -> Iterator[Text]:
    """Of each corpus and each set of demos once: what several models share is of the arm that it is written for."""
    for stage, folder, arm in _sets(study):
        for row in read_jsonl(folder / FILES[stage]):
            clause = row["about"][0] if row.get("about") else ""
            cell = " · ".join(str(row["cell"][key]) for key in ("kind", "audience", "angle")) if "cell" in row else ""
            what = "document" if stage == "corpus" else "chat"
            yield Text(arm, what, clause, cell or f"from {row['source']['writer']}", row)


def _sets(study: Study) -> Iterator[tuple[str, Path, str]]:
    seen = set()
    for stage in FILES:
        for run, folder in zip(study.runs, study.folders, strict=True):
            if stage in run["stages"] and run["stages"][stage]["folder"] not in seen:
                seen.add(run["stages"][stage]["folder"])
                arm = run["run"]["documents" if stage == "corpus" else "demos"]
                yield stage, folder / stage, arm or "the instruction mix"


# ---- clauses ----------------------------------------------------------------------------------------------------------------


def clauses(study: Study, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Each clause of any arm with its place, every wording of it with the arms that have that, and how many texts and rows
    are about it. `about`: what `texts` gave."""
    counts = dict.fromkeys(about["words"]["clause"], 0)
    for number in about["columns"]["clause"]:
        counts[about["words"]["clause"][number]] += 1
    wordings: dict[str, dict[str, list[str]]] = {}
    for run in study.runs:
        for arm, of_arm in run["clauses"].items():
            for clause, text in of_arm.items():
                arms = wordings.setdefault(clause, {}).setdefault(text, [])
                arms += [arm] if arm not in arms else []
    covered = {row["clause"]: Covered(**row) for run in study.runs for row in run["coverage"]}
    return [
        {
            "id": clause,
            "kind": covered[clause].kind if clause in covered else "",
            "place": study.places.get(clause, ""),
            "wordings": [{"text": text, "arms": arms} for text, arms in of_clause.items()],
            "texts": counts.get(clause, 0),
            "items": covered[clause].items if clause in covered else 0,
        }
        for clause, of_clause in wordings.items()
    ]
