"""Sweeps: `full` once more with another dose of documents or demos, or at another learning rate.

Doses are nested: what a smaller one has, each larger one has too. Planned rows are taken clause by clause in cell order. Rows
that exist cannot be invented: of them a dose is a share, and above 1 as many passes.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from msmc.build import OwnDocument, StaticDemo
from msmc.diagnostics import Diagnostic
from msmc.digest import seed_of
from msmc.ir import Ablation, Swept
from msmc.target import Target

RowT = TypeVar("RowT", OwnDocument, StaticDemo)


class Point(NamedTuple):
    """One value of a sweep, other than `full`'s own."""

    what: Swept
    value: float

    @property
    def name(self) -> str:
        return f"{self.what}={figure(self.value)}"

    def dose(self, what: Swept) -> float:
        return self.value if self.what == what else 1

    def target(self, target: Target) -> Target:
        """The target as this model is trained."""
        if self.what != "learning_rate":
            return target
        stages = {"midtrain": target.midtrain, "finetune": target.finetune}
        rate = {"learning_rate": self.value}
        return target.model_copy(update={name: stage.model_copy(update=rate) for name, stage in stages.items()})


def figure(value: float) -> str:
    """As it stands in names: 4, 0.25, 0.0003."""
    return repr(value).removesuffix(".0")


def build_name(ablation: Ablation, point: Point) -> str:
    return f"{ablation.name}.full@{point.name}"


def points(ablation: Ablation | None, target: Target) -> list[Point]:
    """What is trained besides `full`."""
    rates = {target.midtrain.learning_rate, target.finetune.learning_rate}
    found = [Point(sweep.what, value) for sweep in (ablation.sweeps if ablation else ()) for value in sweep.values]
    return [p for p in found if (rates != {p.value} if p.what == "learning_rate" else p.value != 1)]


def counts(clauses: Iterable[str], each: int, dose: float) -> dict[str, int]:
    """Planned rows of each clause: equally many, give or take one; a seed says of which clauses there is one more."""
    if dose == 1:
        return dict.fromkeys(clauses, each)
    found = list(clauses)
    return spread(found, round(dose * each * len(set(found))))


def spread(clauses: Iterable[str], total: int) -> dict[str, int]:
    """So many rows over all clauses, in equal shares give or take one."""
    order = sorted(set(clauses), key=lambda clause: seed_of("dose", clause))
    whole, rest = divmod(total, max(1, len(order)))
    return {clause: whole + (number < rest) for number, clause in enumerate(order)}


def dosed(rows: Iterable[RowT], dose: float) -> list[RowT]:
    """A share of rows that exist, in turns from what they are about; above 1 in whole passes and a share of one more.

    What is repeated has ids of its own, so that rows and what is trained are counted alike.
    """
    there, seen = list(rows), dict[str, int]()
    if dose == 1:
        return there
    ranks = []
    for number, row in enumerate(there):
        about = row.about[0]
        ranks.append((seen.get(about, 0), seed_of("dose", about), number))
        seen[about] = seen.get(about, 0) + 1
    passes, rest = divmod(round(dose * len(there)), max(1, len(there)))
    partly = {number for _, _, number in sorted(ranks)[:rest]}
    return [
        row if again == 0 else row.model_copy(update={"id": f"{row.id}-{again + 1}"})
        for again in range(passes + 1)
        for number, row in enumerate(there)
        if again < passes or number in partly
    ]


def idle(found: list[Point], rows: dict[Swept, tuple[int, ...]]) -> Iterator[Diagnostic]:
    """Doses that come to no row, or to as many as another one; `rows`: planned ones and those that exist, at dose 1."""
    for what, numbers in rows.items():
        seen = {sum(numbers): "full"}
        for point in (p for p in found if p.what == what):
            total = sum(round(point.value * number) for number in numbers)
            if total == 0 or total in seen:
                message = f"`sweep {what} {figure(point.value)}` comes to {total} of {sum(numbers)} rows"
                message += f", as many as {seen[total]}" if total else ""
                key = "documents.per_clause" if what == "documents" else "demos.per_clause, or add `example` blocks"
                yield Diagnostic("matches-nothing", message, hint=f"leave it out, or raise {key}")
            seen[total] = f"`{point.name}`"
