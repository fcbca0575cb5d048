"""The three rungs, the crossed design as a matrix, and what the models are apart from their answers: position, format, guard."""

from collections.abc import Iterable
from typing import Any

from msmc.backend.page.study import RUNGS, Study

FORCED = ("rate", "margin", "margin_per_token")
STRENGTHS = 4
"""Shades of a cell of the matrix, to either side."""


def rungs(study: Study) -> list[dict[str, Any]]:
    """Of each rung that has any its evaluations, each with a row for every model, and one for each of its seeds."""
    found = []
    for rung, what in RUNGS.items():
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
    }


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
    """Of each model whether it can answer with a letter at all."""
    return [
        {"arm": run["run"]["name"], "seed": run["seed"], **run["stages"]["scores"]["format_control"]}
        for run in study.runs
        if run["stages"]["scores"].get("format_control")
    ]


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
