"""What an ablation's primary would find, before anything is spent: its minimum detectable effect."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msmc.backend.comparison import items_of
from msmc.backend.measured import measured
from msmc.backend.power import ORIGIN, SHIPPED, Components, asked, components, minimum_detectable
from msmc.backend.primary import Primary, primary_of
from msmc.build import SCHEMA_VERSION
from msmc.diagnostics import Failed
from msmc.stored import read_json
from msmc.target import Target


@dataclass(frozen=True)
class Detectable:
    primary: Primary
    items: list[int]
    """Empty where only a task of the author's can tell how many it has."""
    topics: list[int]
    seeds: int
    low: float | None
    expected: float | None
    """None: nobody knows how this measure varies."""
    origin: str
    """Where the variances are from."""

    def told(self) -> str:
        known = f"{_and(self.items)} items of {_and(self.topics)} topics" if self.items else "items that its task knows"
        head = f"detect    {self.primary.told()}: {known}, {self.seeds} seed{'s' * (self.seeds > 1)}"
        if self.expected is None or self.low is None:
            return f"{head}; nobody knows yet how `{self.primary.measure}` varies"
        unit = " nats" if self.primary.measure == "margin" else ""
        found = (
            f"{self.low:.2f}{unit} at best, {self.expected:.2f} expected (80 % power; variances as in {self.origin})"
        )
        one = "; one seed: of two models, not of the recipe" if self.seeds == 1 else ""
        return f"{head}; finds {found}{one}"

    def data(self) -> dict[str, Any]:
        return asdict(self) | {"primary": self.primary._asdict()}


def _and(numbers: list[int]) -> str:
    return " + ".join(map(str, numbers))


def detectable(plan: dict[str, Any], target: Target, runs: Path) -> Detectable | None:
    """Of arms.json's plan. Variances are those of an earlier comparison of the same ablation and target in `runs` where it has
    two seeds or more, else those that msmc ships. None: there is no primary."""
    primary = primary_of(plan["runs"], plan["evals"], plan["primary"])
    if primary is None:
        return None
    names = [name for name in (primary.own, primary.other) if name] or [primary.eval]
    asks = [asked(plan["evals"][name], target.evaluate.limit) for name in names]
    sizes = [of for of in asks if of is not None]
    items, topics = [sum(of.values()) for of in sizes], [len(of) for of in sizes]
    low, expected, origin = _components(primary, names, plan, target, runs)
    if not low or not expected or len(sizes) < len(names) or min(items) < 2:
        return Detectable(primary, items, topics, plan["seeds"], None, None, origin)
    least, most = (minimum_detectable(variances, sizes, plan["seeds"]) for variances in (low, expected))
    return Detectable(primary, items, topics, plan["seeds"], least, most, origin)


def _components(
    primary: Primary, names: list[str], plan: dict[str, Any], target: Target, runs: Path
) -> tuple[Components | None, Components | None, str]:
    place = runs / plan["spec"] / target.name / str(plan["ablation"]) / "comparison.json"
    if found := _earlier(primary, names, place, target):
        without_seeds = Components(found.topics, found.items, 0.0, found.cells, found.noise)
        return without_seeds, found, f"{place}"
    low, expected = SHIPPED.get(primary.measure, (None, None))
    return low, expected, ORIGIN


def _earlier(primary: Primary, names: list[str], place: Path, target: Target) -> Components | None:
    """As the rows of an earlier comparison vary; None where there is none of the same model, or it has one seed."""
    if not place.is_file():
        return None
    try:
        comparison = read_json(place)
        if comparison["schema_version"] != SCHEMA_VERSION or comparison["target"]["model"] != target.model.model_dump(
            mode="json"
        ):
            return None
        folders = {(run["name"], run["seed"]): place.parents[3] / run["folder"] for run in comparison["runs"]}
        seeds = [seed for name, seed in folders if name == primary.run and (primary.minus, seed) in folders]
        of = [folders[name, seed] for name in (primary.run, primary.minus) for seed in seeds]
        every = measured([items_of(folder) for folder in of])
        models = list(range(len(seeds)))
        panels = [every[n].difference(primary.measure, models, [m + len(seeds) for m in models]) for n in names]
        found = [one for panel in panels if panel and (one := components(panel))]
    except (Failed, KeyError, TypeError, AttributeError):
        return None  # of an earlier msmc, or no longer whole: no more than a forecast is lost
    return Components.mean(found) if len(found) == len(names) else None
