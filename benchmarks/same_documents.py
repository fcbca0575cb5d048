"""A real A/A: models of one arm that differ in nothing but their seed, held against each other as if they were two arms.

`python benchmarks/same_documents.py runs/cheese_study/cpu/crossed.america` takes the newest run of each seed there.
All ways to deal 2k seeds into two sides of k are studies of nothing; they share seeds, so they are fewer than they look.
"""

import argparse
from itertools import combinations
from pathlib import Path

from rich.console import Console
from rich.table import Table

from msmc.backend.comparison import items_of, read_run
from msmc.backend.headline import interval
from msmc.backend.measured import Asked, contrast, measured
from msmc.backend.power import components


def seeds_of(place: Path) -> dict[int, Path]:
    """The newest run folder of each seed."""
    folders = sorted(
        (path.parent for path in place.glob("seed-*/run.json")), key=lambda p: (p / "run.json").stat().st_mtime
    )
    return dict(sorted({int(read_run(folder)["seed"]): folder for folder in folders}.items()))


def studies(asked: Asked, seeds: int) -> list[dict[str, object]]:
    """Every way to deal the seeds into two equal sides, each once."""
    side = seeds // 2
    every = range(2 * side)
    dealt = [first for first in combinations(every, side) if 0 in first]
    found = (contrast(asked, first, [seed for seed in every if seed not in first]) for first in dealt)
    return [study for study in found if study]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", type=Path)
    place = parser.parse_args().place
    folders = seeds_of(place)
    if len(folders) < 2:
        raise SystemExit(f"{place} has {len(folders)} seeds: an A/A wants two or more, best six")
    table = Table(
        title=f"{place}: seeds {', '.join(map(str, folders))} against each other, by margin", title_justify="left"
    )
    for column in ("evaluation", "studies", "found at 5 %", "smallest p", "first study", "variance of seeds"):
        table.add_column(column, justify="left" if column in ("evaluation", "first study") else "right")
    for asked in measured([items_of(folder) for folder in folders.values()]).values():
        if "margin" not in asked.measures:
            continue
        done = studies(asked, len(folders))
        ps = [study["p"]["margin"] for study in done]  # type: ignore[index]
        panel = asked.of("margin", range(len(folders)))
        varies = components(panel) if panel else None
        first = interval(done[0]["measures"]["margin"], "+")  # type: ignore[index]
        found = sum(p is not None and p < 0.05 for p in ps)
        seeds = f"{varies.seeds:.3f}" if varies else "?"
        table.add_row(asked.name, str(len(ps)), str(found), f"{min(p for p in ps if p is not None):.3f}", first, seeds)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
