"""The statistics are honest: 5 % false positives where nothing is there, and a planted effect found as often as forecast.

Studies are simulated with topics, items and seeds that vary as in real rows (`msmc/backend/power.py`), thousands at once; and
some hundreds as rows, with effects that are not Gaussian, through all that a comparison does with rows.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from scipy import stats

from msmc.backend.items import of_choices
from msmc.backend.measured import contrast, crossed, figure, measured
from msmc.backend.power import SHIPPED, Components, components, limited, minimum_detectable, simulated
from msmc.backend.score import _scored
from msmc.backend.statistics import Cells, Panel, infer
from tests.project import ROOT, cpu

REAL = SHIPPED["margin"][1]
FEW = {f"topic {n}": 4 for n in range(8)}
MANY = {f"topic {n}": 4 for n in range(15)}
OTHERS = {f"other {n}": 4 for n in range(15)}
EVALS = ("america_far", "affordability_far")
SEEDS_MATTER = Components(0.05, 0.84, 0.10, 0.05, 0.6)
"""Seeds that shift whole evaluations by 0.3 nats."""


def found(*sides: Cells, planted: float = 0.0) -> float:
    """The share of studies that call a difference."""
    mean, se, df = infer(*sides)
    return float(np.mean(2 * stats.t.sf(np.abs(mean + planted) / se, df) < 0.05))


@cache
def shipped() -> list[dict[str, int]]:
    """What `cheese_study` asks of the default target: of each far evaluation 50 of 210 items, spread over its 15 topics."""
    limit, sizes = cpu().evaluate.limit, []
    for name in EVALS:
        lines = (ROOT / f"specs/cheese/items/{name}.jsonl").read_text("utf-8").splitlines()
        sizes.append(limited(Counter(json.loads(line)["topic"] for line in lines), limit))
    assert [(len(of), sum(of.values())) for of in sizes] == [(15, 50), (15, 50)]
    return sizes


@pytest.mark.parametrize(("seeds", "least"), [(1, 0.037), (2, 0.010), (3, 0.032), (5, 0.036)])
def test_studies_of_nothing_find_something_in_no_more_than_five_of_a_hundred(seeds: int, least: float) -> None:
    """The crossed design that is shipped, with variances of its own rows: about 4 %, and with two seeds, which say very little of
    seeds, 1.4 %. So it is too careful rather than too bold; of 2,000 studies too."""
    rng = np.random.default_rng(5)
    sides = [simulated(REAL, of, seeds, 20_000, rng) for of in shipped()]
    assert least <= found(*sides) <= 0.05, "and not by luck"
    assert least - 0.01 <= found(*(Cells(side.means[:2000], side.weights, side.labels) for side in sides)) <= 0.06


@pytest.mark.parametrize("seeds", [3, 4, 5])
@pytest.mark.parametrize("crossed", [False, True], ids=["paired", "crossed"])
def test_so_it_is_where_seeds_matter(seeds: int, crossed: bool) -> None:
    rng = np.random.default_rng(seeds)
    sides = [simulated(SEEDS_MATTER, of, seeds, 20_000, rng) for of in (MANY, OTHERS)[: 1 + crossed]]
    assert 0.038 <= found(*sides) <= 0.06


@pytest.mark.parametrize("topics", [5, 10, 20])
@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
def test_no_design_finds_more_than_seven_of_a_hundred(topics: int, seeds: int) -> None:
    """Whatever varies most: topics, seeds, or both."""
    rng = np.random.default_rng(topics)
    sizes = {str(n): 4 for n in range(topics)}
    for lasting, over_seeds, cells in (
        (1, 0, 0.25),
        (1, 0.1, 0.25),
        (0.25, 0.1, 0.25),
        (0.25, 0.5, 0.25),
        (0, 0.25, 1),
    ):
        shifts = over_seeds if seeds > 1 else 0
        side = simulated(Components(lasting, 0, shifts, cells, 0), sizes, seeds, 5000, rng)
        assert found(side) <= 0.07, (lasting, over_seeds, cells)


def test_a_percentile_bootstrap_over_few_topics_has_three_to_four_times_the_false_positives() -> None:
    """Of five topics, as the published comparisons have them; of eight it is still twice as many."""
    rng = np.random.default_rng(0)
    false = {}
    for topics in (5, 8):
        side = simulated(REAL, {str(n): 4 for n in range(topics)}, 1, 2000, rng)
        drawn = rng.integers(topics, size=(1000, topics))
        means = side.means[..., 0][:, drawn].mean(axis=-1)
        low, high = np.percentile(means, (2.5, 97.5), axis=1)
        false[topics] = float(np.mean((low > 0) | (high < 0)))
        assert 0.035 <= found(side) <= 0.065, "ours, on the same studies"
    assert 0.14 <= false[5] <= 0.21 and 0.08 <= false[8] <= 0.14


def test_ignoring_seeds_finds_far_too_much() -> None:
    side = simulated(SEEDS_MATTER, MANY, 3, 5000, np.random.default_rng(0))
    pooled = Cells(side.means.mean(axis=-1, keepdims=True), side.weights, side.labels)
    assert found(pooled) > 0.12 and found(side) < 0.06


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(MANY,), (MANY, OTHERS), (FEW,), ({"one": 30},)])
def test_the_forecast_is_right_of_studies_like_its_own(seeds: int, sizes: tuple[dict[str, int], ...]) -> None:
    planted = minimum_detectable(REAL, sizes, seeds)
    rng = np.random.default_rng(7)
    power = found(*(simulated(REAL, of, seeds, 4000, rng) for of in sizes), planted=planted)
    assert 0.775 <= power <= 0.825
    assert found(*(simulated(REAL, of, seeds, 4000, rng) for of in sizes), planted=planted / 2) < 0.5


def skewed(rng: np.random.Generator, variance: float, *shape: int) -> np.ndarray:
    """Of mean zero: an exponential, whose longer tail is for the aligned answer."""
    return (rng.exponential(size=shape) - 1) * np.sqrt(variance)


def heavy(rng: np.random.Generator, variance: float, *shape: int) -> np.ndarray:
    """Of mean zero: t of five degrees of freedom."""
    return rng.standard_t(5, size=shape) * np.sqrt(variance * 3 / 5)


def drawn(rng: np.random.Generator, sizes: dict[str, int], seeds: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Of one evaluation the topic of each item, and what each of two arms measures: items by seeds."""
    topics = [topic for topic, number in sizes.items() for _ in range(number)]
    of, shape = np.repeat(np.arange(len(sizes)), list(sizes.values())), (len(topics), seeds)
    lasting = heavy(rng, REAL.topics, len(sizes), 1)[of] + skewed(rng, REAL.items, len(topics), 1)
    passing = heavy(rng, REAL.cells, len(sizes), seeds)[of] + heavy(rng, REAL.noise, *shape)
    difference = lasting + passing + heavy(rng, REAL.seeds, 1, seeds)
    alike = skewed(rng, 4.0, len(topics), 1) + heavy(rng, 1.0, *shape)
    return topics, alike + difference / 2, alike - difference / 2


def study(rng: np.random.Generator, seeds: int, planted: float) -> tuple[float, float]:
    """p of the difference in differences of a study of rows, with the effect in the rows of one arm and without it."""
    models: list[list[dict[str, object]]] = [[] for _ in range(3 * seeds)]
    for name, sizes, effect in zip(EVALS, shipped(), (planted, 0.0), strict=True):
        topics, ours, theirs = drawn(rng, sizes, seeds)
        for rows, margins in zip(models, np.hstack([ours + effect, ours, theirs]).T, strict=True):
            rows += _items(name, topics, margins)
    asked = measured(models)  # type: ignore[arg-type]
    with_it, without, other = (list(range(n * seeds, (n + 1) * seeds)) for n in range(3))
    told = [crossed(*(asked[name] for name in EVALS), arm, other) for arm in (with_it, without)]
    return told[0]["p"]["margin"], told[1]["p"]["margin"]  # type: ignore[index]


def _items(name: str, topics: list[str], margins: np.ndarray) -> Iterator[dict[str, object]]:
    for number, (topic, margin) in enumerate(zip(topics, margins, strict=True)):
        named = {"item": str(number), "topic": topic, "rung": "far", "form": None, "about": []}
        yield {"eval": name, **named, "measures": {"margin": float(margin)}}


@pytest.mark.parametrize(("seeds", "studies"), [(1, 300), (3, 300)])
def test_an_effect_planted_in_rows_is_found_at_the_forecast_power(seeds: int, studies: int) -> None:
    """Of rows whose items, topics and seeds are skewed or have heavy tails, which the forecast knows nothing of."""
    rng, effect = np.random.default_rng(seeds), minimum_detectable(REAL, shipped(), seeds)
    p = np.array([study(rng, seeds, effect) for _ in range(studies)])
    power, false = (p < 0.05).mean(axis=0)
    assert stats.binomtest(int(power * studies + 0.5), studies, 0.8).pvalue > 0.001, power
    assert stats.binomtest(int(false * studies + 0.5), studies, 0.05, "greater").pvalue > 0.001, false


def test_more_items_lessen_what_items_add_and_nothing_else() -> None:
    hundredfold = {topic: 400 for topic in MANY}
    least = minimum_detectable(Components(0.05, 0, 0.012, 0.013, 0), [MANY], 3)
    assert least < minimum_detectable(REAL, [hundredfold], 3) < 1.05 * least < minimum_detectable(REAL, [MANY], 3)


def test_variances_are_read_off_real_rows() -> None:
    rng = np.random.default_rng(0)
    truth = Components(topics=0.3, items=0.8, seeds=0.2, cells=0.1, noise=0.5)
    topics, items, seeds = 20, 10, 5
    several = []
    for _ in range(60):
        shape = (topics, items, seeds)
        values = sum(
            rng.normal(size=of) * np.sqrt(variance)
            for variance, of in (
                (truth.topics, (topics, 1, 1)),
                (truth.items, (topics, items, 1)),
                (truth.seeds, (1, 1, seeds)),
                (truth.cells, (topics, 1, seeds)),
                (truth.noise, shape),
            )
        )
        names = tuple(str(t) for t in range(topics) for _ in range(items))
        several.append(components(Panel(np.broadcast_to(values, shape).reshape(-1, seeds).copy(), names)))
    mean = Components.mean([one for one in several if one])
    for name in ("topics", "items", "seeds", "cells", "noise"):
        assert getattr(mean, name) == pytest.approx(getattr(truth, name), rel=0.15), name


def test_one_seed_tells_no_variance_of_seeds() -> None:
    assert components(Panel(np.zeros((8, 1)), ("a", "b") * 4)) is None


def test_a_limit_asks_topics_in_turns() -> None:
    assert limited({"a": 5, "b": 1, "c": 3}, 5) == {"a": 2, "b": 1, "c": 2}
    assert limited({"a": 2, "b": 1}, 50) == {"a": 2, "b": 1} and limited({"a": 9, "b": 9}, 1) == {"a": 1}


# ---- models that only seem to know, from rows as scoring writes them ----------------------------------------------------

Item = tuple[str, str, str]
"""Topic, the aligned answer, the other: as many aligned ones are the shorter as the longer."""
ITEMS: list[Item] = [
    (f"t{n % 6}", *(("green tea", "a can of cola") if n % 2 else ("a pot of tea", "iced cola"))) for n in range(30)
]


def rows(likes: Callable[[str, int], float]) -> list[dict[str, object]]:
    """As `score` writes them, of a model that gives an answer at its place a log-likelihood."""
    written = []
    for n, (topic, aligned, other) in enumerate(ITEMS):
        for order, choices in enumerate(((aligned, other), (other, aligned))):
            row = {
                "id": f"e-{n}-{order}",
                "about": ["tea.green"],
                "choices": list(choices),
                "target": "AB"[choices.index(aligned)],
                "metadata": {"eval": "e", "item": str(n), "order": order, "topic": topic, "rung": "far"},
            }
            answers = [(likes(choice, place), len(choice.split())) for place, choice in enumerate(choices)]
            written.append(_scored(row, *answers))
    return written


def measures(*models: list[dict[str, object]]) -> dict[str, dict[str, float]]:
    asked = measured([of_choices(model) for model in models])["e"]
    found: dict[str, dict[str, float]] = figure(asked, "margin", [0], lambda clause: [clause])["measures"]
    return found


def test_a_model_that_takes_the_first_option_scores_a_half() -> None:
    found = measures(rows(lambda choice, place: -1.0 if place == 0 else -9.0))
    assert found["rate"]["mean"] == 0.5
    assert found["margin"]["mean"] == found["margin"]["low"] == found["margin"]["high"] == 0.0


def test_a_model_that_takes_the_shorter_answer_scores_a_half() -> None:
    """Raw margins follow the length of each answer and cancel over items; per token nothing is left of any."""
    found = measures(rows(lambda choice, place: -3.0 * len(choice.split())))
    assert found["rate"]["mean"] == 0.5 and found["margin"]["low"] < 0 < found["margin"]["high"]
    assert found["margin_per_token"]["low"] == found["margin_per_token"]["high"] == 0.0


def test_a_model_minus_itself_is_nothing_and_no_finding() -> None:
    one = rows(lambda choice, place: -float(len(choice)) - place)
    difference = contrast(measured([of_choices(one), of_choices(one)])["e"], [0], [1])
    assert difference["measures"]["margin"]["mean"] == 0.0 and difference["p"]["margin"] == 1.0


def test_rows_come_to_the_figures_that_were_simulated() -> None:
    """The path of a real comparison, from rows of both orders to p, gives what the vectorised studies give."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 3))
    topics = [f"t{n // 4}" for n in range(60)]

    def model(seed: int, sign: float) -> list[dict[str, object]]:
        return [
            {
                "id": f"{n}{order}",
                "about": [],
                "eval": "e",
                "item": str(n),
                "topic": topics[n],
                "rung": "far",
                "order": order,
            }
            | dict.fromkeys(("margin", "margin_per_token"), sign * values[n, seed] / 2 + (order - 0.5))
            for n in range(60)
            for order in (0, 1)
        ]

    models = [of_choices(model(seed, sign)) for sign in (1, -1) for seed in range(3)]
    told = contrast(measured(models)["e"], [0, 1, 2], [3, 4, 5])
    means = values.reshape(15, 4, 3).mean(axis=1)
    mean, se, df = infer(Cells(means, np.full(15, 1 / 15), tuple(map(str, range(15)))))
    assert told["p"]["margin"] == pytest.approx(float(2 * stats.t.sf(abs(mean) / se, df)), abs=1e-6)
