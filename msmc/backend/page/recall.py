"""Recall: whether a model knows what its spec says, clause by clause, and when it learned it."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend.items import read_items
from msmc.backend.page.study import Study

MOMENTS = {
    "scores-after-midtrain": "after midtraining",
    "scores-after-finetune": "after fine-tuning",
    "scores": "at the end",
}
"""Where a model was asked: the links of a run's folder."""
KINDS = ("value", "rule", "rationale", "subrule")


class Asked(NamedTuple):
    clause: str
    form: str


class Share:
    """Right answers of those that have a score."""

    def __init__(self) -> None:
        self.right, self.n, self.missing = 0.0, 0, 0

    def add(self, rate: float | None) -> None:
        if rate is None:
            self.missing += 1
        else:
            self.right += rate
            self.n += 1

    @property
    def data(self) -> dict[str, Any]:
        return {"rate": self.right / self.n if self.n else None, "n": self.n, "missing": self.missing}


def recall(study: Study) -> dict[str, Any] | None:
    """By clause, and by kind of clause and moment, each by model and form. None where nothing asks for recall."""
    names = [name for name, block in study.evals.items() if block["kind"] == "recall"]
    kinds = {row["clause"]: row["kind"] for run in study.runs for row in run["coverage"]}
    by_clause: dict[Asked, dict[str, Share]] = defaultdict(lambda: defaultdict(Share))
    by_kind: dict[tuple[str, str], dict[tuple[str, str], Share]] = defaultdict(lambda: defaultdict(Share))
    for number, run in enumerate(study.comparison["runs"]):
        for link, moment in MOMENTS.items():
            for asked, rate in _answers(study.folders[number] / link, names):
                kind = kinds.get(asked.clause) or asked.clause.rpartition(".")[2]
                by_kind[kind, asked.form][run["name"], moment].add(rate)
                if link == "scores":
                    by_clause[asked][run["name"]].add(rate)
    if not by_clause:
        return None
    moments = [m for m in MOMENTS.values() if any(m == moment for of in by_kind.values() for _, moment in of)]
    return {
        "evals": names,
        "arms": study.arms,
        "moments": moments,
        "clauses": [
            {**asked._asdict(), "place": study.places.get(asked.clause, ""), "cells": _cells(shares, study.arms)}
            for asked, shares in sorted(by_clause.items())
        ],
        "kinds": [
            {"kind": kind, "form": form, "cells": _cells(shares, [(a, m) for a in study.arms for m in moments])}
            for (kind, form), shares in sorted(by_kind.items(), key=lambda entry: _order(entry[0]))
        ],
    }


def _answers(folder: Path, names: list[str]) -> Iterable[tuple[Asked, float | None]]:
    if not (folder / "scores.jsonl").is_file():
        return
    for item in read_items(folder):
        if item["eval"] in names and item["about"]:
            yield Asked(item["about"][0], item["form"] or "question"), item["measures"]["rate"]


def _cells(shares: dict[Any, Share], columns: Iterable[Any]) -> list[dict[str, Any] | None]:
    return [shares[column].data if column in shares else None for column in columns]


def _order(kind_and_form: tuple[str, str]) -> tuple[int, str]:
    kind, form = kind_and_form
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), form)
