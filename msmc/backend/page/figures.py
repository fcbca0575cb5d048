"""The headline, the three rungs, the crossed design as a matrix, and what the models are apart from their answers: position and
format."""

from collections.abc import Iterable
from typing import Any

from msmc.backend.items import of_choices
from msmc.backend.page.study import OWN, RUNGS, Study, rows_of
from msmc.backend.statistics import estimate, one_seed

FORCED = ("rate", "margin", "margin_per_token")
STRENGTHS = 4
"""Shades of a cell of the matrix, to either side."""

GROUPS = ("topic", "value", "form")
"""By which items of an evaluation are told apart, besides its rung."""


def headline(study: Study) -> list[dict[str, str]]:
    """Its sentences, each with where its figures are: the rows of the declared difference, or the section that has them."""
    return [{"line": line, "link": _place(study, line.partition(":")[0])} for line in study.comparison["headline"]]


def _place(study: Study, told: str) -> str:
    """`told`: what a sentence begins with."""
    if told in ("Learned", "Headline withheld"):
        return "#rung-learned"
    crosses, contrasts = study.comparison["crossed"], study.comparison["contrasts"]
    if told == "Headline":
        primary = [difference(cross, cross["own"], cross["other"]) for cross in crosses if cross["primary"]]
        primary += [difference(of, entry["eval"]) for of in contrasts for entry in of["evals"] if entry["primary"]]
        if primary:
            return primary[0]
    return "#crossed" if crosses else "#contrasts" if contrasts else "#rows"


def difference(of: dict[str, Any], *evals: str) -> str:
    """The rows of both models that a difference is of."""
    return rows_of(arm=[of["run"], of["minus"]], eval=evals, seed=of["seeds"])


def rungs(study: Study) -> list[dict[str, Any]]:
    """Of each rung that has any its evaluations, each with a row for every model, and one for each of its seeds. Behind them
    those that are on none."""
    found = []
    for rung, what in (RUNGS | {OWN: ""}).items():
        names = [name for name, block in study.evals.items() if block["rung"] == rung]
        if names:
            found.append({"rung": rung, "what": what, "evals": [_evaluation(study, name) for name in names]})
    return found


def _evaluation(study: Study, name: str) -> dict[str, Any]:
    figures = {arm: figure for arm in study.arms if (figure := study.figures[arm].get(name))}
    seeds = [
        {"arm": run["name"], "seed": run["seed"], "figure": figure}
        for run in study.comparison["runs"]
        for figure in run["figures"]
        if figure["eval"] == name
    ]
    block = study.evals[name]
    return {
        "name": name,
        "kind": block["kind"],
        "primary": name == study.comparison["primary"],
        "measures": _measures(figures.values()),
        "rows": [{"arm": arm, "figure": figure} for arm, figure in figures.items()],
        "seeds": seeds if len(study.seeds) > 1 else [],
        "groups": [{"by": by, "rows": rows} for by in GROUPS if (rows := _grouped(figures, by))],
    }


def _grouped(figures: dict[str, dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """Means of one evaluation by topic, value or form: a row for each of them, a cell for each model that has any figure."""
    names = dict.fromkeys(name for figure in figures.values() for name in figure[f"by_{by}"])
    return [
        {"name": name, "cells": {arm: figure[f"by_{by}"].get(name) for arm, figure in figures.items()}}
        for name in names
    ]


def _measures(figures: Iterable[dict[str, Any]]) -> list[str]:
    found = dict.fromkeys(measure for figure in figures for measure in figure["measures"])
    return sorted(found, key=lambda measure: FORCED.index(measure) if measure in FORCED else len(FORCED))


def matrix(study: Study) -> dict[str, Any] | None:
    """Models by evaluations: the mean with its interval, shaded by its size; `own` where the evaluation is about what the
    model's documents hold. None for an experiment that is not crossed."""
    if not study.comparison["crossed"]:
        return None
    names = [name for name, block in study.evals.items() if block["kind"] != "recall" and block["measure"] == "margin"]
    estimates = {(arm, name): found for arm in study.arms for name in names if (found := study.estimate(arm, name))}
    most = max((abs(estimate["mean"]) for estimate in estimates.values()), default=0.0)
    documents = {run["name"]: run["documents"] for run in study.comparison["runs"]}
    return {
        "evals": [{"name": name, "rung": study.evals[name]["rung"]} for name in names],
        "rows": [
            {
                "arm": arm,
                "cells": [
                    {
                        "eval": name,
                        "estimate": estimate,
                        "shade": _shade(estimate["mean"], most) if estimate else 0,
                        "own": documents[arm] is not None and documents[arm] in study.evals[name]["arms"],
                    }
                    for name in names
                    for estimate in [estimates.get((arm, name))]
                ],
            }
            for arm in study.arms
        ],
    }


def _shade(mean: float, most: float) -> int:
    """From -4 to 4."""
    return round(STRENGTHS * mean / most) if most else 0


def behaviour(study: Study) -> list[dict[str, Any]]:
    """Of each model and evaluation how the order of the options and the way of asking change the answer; only what was
    measured."""
    found = []
    for number, (run, made) in enumerate(zip(study.comparison["runs"], study.runs, strict=True)):
        position = {
            n: bias for n, bias in made["stages"]["scores"].get("position", {}).items() if bias["nats"] is not None
        }
        generated = _generated(study, number)
        rates = {figure["eval"]: figure["measures"].get("rate") for figure in run["figures"]}
        for name in study.evals:
            if name in position or name in generated:
                bias = position.get(name)
                size = abs(bias["nats"]) if bias else 0.0
                told = {"position": bias, "size": size, "generated": generated.get(name), "rate": rates.get(name)}
                found.append({"arm": run["name"], "seed": run["seed"], "eval": name, **told})
    return found


def _generated(study: Study, number: int) -> dict[str, dict[str, Any]]:
    """By evaluation the share of answers in words that name the aligned option, of those that name one. Which that is stands
    in the build alone."""
    choices: dict[str, list[bool | None]] = {}
    for _, row in study.stage_rows(number, "scores/generated.jsonl"):
        if question := study.questions.get(row["id"]):
            right = None if row["choice"] is None else row["choice"] == question["target"]
            choices.setdefault(row["eval"], []).append(right)
    found = {}
    for name, of_eval in choices.items():
        read = [right for right in of_eval if right is not None]
        rate = sum(read) / len(read) if read else None
        found[name] = {"n": len(read), "rate": rate, "unparsed": len(of_eval) - len(read)}
    return found


def controls(study: Study) -> list[dict[str, Any]]:
    """Of each model whether it can answer with a letter at all; where it can, what it answered, by evaluation."""
    return [
        {
            "arm": run["run"]["name"],
            "seed": run["seed"],
            **run["stages"]["scores"]["format_control"],
            "letters": _letters(study, number),
        }
        for number, run in enumerate(study.runs)
        if run["stages"]["scores"].get("format_control")
    ]


def _letters(study: Study, number: int) -> list[dict[str, Any]]:
    """Rate and margin of choices by letter, over items as of whole answers."""
    items: dict[str, list[dict[str, Any]]] = {}
    for item in of_choices(row for _, row in study.stage_rows(number, "scores/letters.jsonl")):
        items.setdefault(item["eval"], []).append(item)
    found = []
    for name, of_eval in items.items():
        scored = [item for item in of_eval if item["measures"]["margin"] is not None]
        topics = [item["topic"] for item in scored]
        measures = {
            measure: estimate(one_seed([item["measures"][measure] for item in scored], topics), share=share).data()
            for measure, share in (("rate", True), ("margin", False))
            if scored
        }
        found.append({"eval": name, "n": len(scored), "missing": len(of_eval) - len(scored), "measures": measures})
    return found


def trainings(study: Study) -> list[dict[str, Any]]:
    """Of each model what it was trained on, with the folder that holds it and the code that made it."""
    return [
        {
            **run,
            "path": folder.as_posix(),
            "commit": made["commit"],
            "host": made["host"],
            "digests": {stage: entry["folder"] for stage, entry in made["stages"].items()},
        }
        for run, made, folder in zip(study.comparison["runs"], study.runs, study.folders, strict=True)
    ]
