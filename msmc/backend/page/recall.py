"""Recall: whether a model knows what its spec says, clause by clause, and when it learned it."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msmc.backend.items import Item, read_items
from msmc.backend.page.study import AT_THE_END, MOMENTS, Study
from msmc.backend.statistics import Panel, estimate

KINDS = ("value", "rule", "rationale", "subrule")


class Asked(NamedTuple):
    clause: str
    form: str


class Share:
    """Right answers of those that have a score, by item and seed."""

    def __init__(self) -> None:
        self._rates: dict[tuple[str, str, str], dict[int, float | None]] = defaultdict(dict)

    def add(self, item: Item, seed: int) -> None:
        self._rates[item["eval"], item["item"], item["topic"]][seed] = item["measures"]["rate"]

    @property
    def data(self) -> dict[str, Any]:
        """The estimate over items, topics and seeds as clusters; `n` 0 where nothing has a score; and how many are `missing`."""
        seeds = sorted({seed for rates in self._rates.values() for seed in rates})
        values = np.array([[rates.get(seed) for seed in seeds] for rates in self._rates.values()], dtype=float)
        known = np.isfinite(values)
        some = known.any(axis=1)
        topics = tuple(topic for (*_, topic), there in zip(self._rates, some, strict=True) if there)
        found = estimate(Panel(values[some], topics), share=True).data() if topics else {"n": 0}
        return found | {"missing": int((~known).sum())}


def recall(study: Study) -> dict[str, Any] | None:
    """By clause, and by kind of clause and moment, each by model and form. None where nothing asks for recall."""
    names = [name for name, block in study.evals.items() if block["kind"] == "recall"]
    by_clause: dict[Asked, dict[str, Share]] = defaultdict(lambda: defaultdict(Share))
    by_kind: dict[tuple[str, str], dict[tuple[str, str], Share]] = defaultdict(lambda: defaultdict(Share))
    for number, run in enumerate(study.comparison["runs"]):
        for link, moment in MOMENTS.items():
            for asked, item in _answers(study.folders[number] / link, names):
                by_kind[study.kind(asked.clause), asked.form][run["name"], moment].add(item, run["seed"])
                if moment == AT_THE_END:
                    by_clause[asked][run["name"]].add(item, run["seed"])
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


def _answers(folder: Path, names: list[str]) -> Iterable[tuple[Asked, Item]]:
    if not (folder / "scores.jsonl").is_file():
        return
    for item in read_items(folder):
        if item["eval"] in names and item["about"]:
            yield Asked(item["about"][0], item["form"] or "question"), item


def _cells(shares: dict[Any, Share], columns: Iterable[Any]) -> list[dict[str, Any] | None]:
    return [shares[column].data if column in shares else None for column in columns]


def _order(kind_and_form: tuple[str, str]) -> tuple[int, str]:
    kind, form = kind_and_form
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), form)
