"""How fast models are trained and scored here: as in the runs that are there, else as two cores once did it."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from msmc.build import SCHEMA_VERSION
from msmc.diagnostics import Failed
from msmc.stored import read_json
from msmc.target import Target


@dataclass(frozen=True)
class Rates:
    """What one machine does in a second."""

    tokens: float
    """Of training."""
    rows: float
    """Of scoring."""
    device: str
    gpus: int = 0
    stages: int = 0
    """From how many stages of earlier runs that is known; 0: from none."""


TWO_CORES = Rates(tokens=160, rows=5, device="two cores")
"""SmolLM2-135M (`benchmarks/train_throughput.py`, LOG.md)."""


class Done(NamedTuple):
    """One stage."""

    ended: int
    kind: str
    """`tokens` or `rows`"""
    number: float
    seconds: float


def rates(runs: Path, target: Target) -> Rates:
    """As the stages of this target's runs of the same model took, on the machine that made the newest of them."""
    stages = _stages(runs, target)
    newest = max(stages, key=lambda machine: max(stage.ended for stage in stages[machine]), default=None)
    if newest is None:
        return TWO_CORES
    (device, gpus), of_machine = newest, stages[newest]
    tokens, rows = _rate("tokens", of_machine), _rate("rows", of_machine)
    return Rates(tokens or TWO_CORES.tokens, rows or TWO_CORES.rows, device, gpus, len(of_machine))


def _rate(kind: str, stages: list[Done]) -> float:
    """In a second; 0 where no stage did any."""
    of_kind = [stage for stage in stages if stage.kind == kind]
    seconds = sum(stage.seconds for stage in of_kind)
    return sum(stage.number for stage in of_kind) / seconds if seconds else 0.0


def _stages(runs: Path, target: Target) -> dict[tuple[str, int], list[Done]]:
    """By device and number of GPUs."""
    found, seen = defaultdict[tuple[str, int], list[Done]](list), set[str]()
    for path in sorted(runs.glob(f"*/{target.name}/*/seed-*/run.json")):
        for folder in _folders(path, target) - seen:
            seen.add(folder)
            timing = runs / "stages" / folder / "timing.json"
            try:
                told: dict[str, Any] = read_json(timing)
                kind = "tokens" if "tokens" in told else "rows"
                stage = Done(timing.stat().st_mtime_ns, kind, float(told[kind]), float(told["seconds"]))
                found[str(told["device"]), int(told["gpus"])].append(stage)
            except (Failed, OSError, KeyError, TypeError, ValueError):
                continue  # of an earlier msmc, or not there: no more than a rate is lost
    return found


def _folders(path: Path, target: Target) -> set[str]:
    try:
        run = read_json(path)
        if run["schema_version"] == SCHEMA_VERSION and run["target"]["model"] == target.model.model_dump(mode="json"):
            return {stage["folder"] for stage in run["stages"].values()}
    except (Failed, KeyError, TypeError, AttributeError):
        pass
    return set()
