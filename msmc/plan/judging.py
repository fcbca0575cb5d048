"""What a judge is to be asked: replies of every model, and planted ones."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from msmc.backend.judged import required
from msmc.build import Build
from msmc.diagnostics import Diagnostic, Failed
from msmc.target import Target
from msmc.writer import ServedJudge


class Judging(NamedTuple):
    replies: int
    """Of all models and seeds."""
    gradings: int
    """What the judge is asked; the same planted replies are not graded again for each model."""


def judging(full: Build, target: Target, models: int) -> Judging:
    """`models`: with their seeds."""
    replies = planted = 0
    for name in full.manifest["open_evals"]:
        artefact = next(a for a in full.artefacts if a.path == f"evals/{name}.jsonl")
        marks = Counter(json.loads(line)["metadata"].get("canary") for line in artefact)
        limit = target.evaluate.limit or marks.total()
        replies += min(limit, marks.pop(None, 0))
        planted += sum(min(limit, number) for number in marks.values())
    return Judging(replies * models, (replies * models + planted) * _repeats(target))


def _repeats(target: Target) -> int:
    """Of each reply; where no judge is named yet, as often as one grades by default."""
    return target.judge.repeats if target.judge else int(ServedJudge.model_fields["repeats"].default)


def missing(full: Build, target: Target) -> Iterator[Diagnostic]:
    """An evaluation that is graded by a judge, where the target names none."""
    for name in full.manifest["open_evals"]:
        try:
            required(target.judge, name)
        except Failed as failed:
            yield from failed.problems
            return
