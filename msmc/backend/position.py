"""A model's own leaning to the option that it is shown first."""

from collections.abc import Iterable
from typing import Any


def position(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each evaluation, from scored rows whose question shows its options in order:

    `nats` by which the first option is preferred, the mean over items of both orders; `first_rate`, the share of rows in which it
    is; `flipped`, the share of items of which each order has another answer preferred. An item without a score in both orders is
    left out, and an evaluation without any other has null figures.
    """
    leads: dict[str, dict[str, list[float | None]]] = {}
    for row in rows:
        if row["form"] != "cloze":
            first, second = row["logprobs"]
            lead = None if first is None or second is None else first - second
            leads.setdefault(row["eval"], {}).setdefault(row["item"], []).append(lead)
    return {name: _of(items.values()) for name, items in leads.items()}


def _of(items: Iterable[list[float | None]]) -> dict[str, Any]:
    both = [(a, b) for a, b in (item for item in items if len(item) == 2) if a is not None and b is not None]
    if not both:
        return {"nats": None, "first_rate": None, "flipped": None, "items": 0}
    n = len(both)
    return {
        "nats": sum(a + b for a, b in both) / (2 * n),
        "first_rate": sum(_first(a) + _first(b) for a, b in both) / (2 * n),
        # the same place in both orders is another answer in each
        "flipped": sum(a * b > 0 for a, b in both) / n,
        "items": n,
    }


def _first(lead: float) -> float:
    return 0.5 if lead == 0 else float(lead > 0)
