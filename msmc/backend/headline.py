"""The answer to an ablation's question, in sentences: the primary first, then the three rungs. A null says what it would have
found, one seed that it is of two models and not of a recipe, and an arm that has not learned has no answer."""

from typing import Any

from msmc.backend.learned import least_learned
from msmc.backend.primary import Primary

Figure = dict[str, Any]
ONE_SEED = "with one seed this holds for these two models, not for the recipe"


def headline(comparison: dict[str, Any], primary: Primary | None) -> list[str]:
    """Of a whole comparison."""
    if primary is None:
        return [*_learned(comparison), *_exploratory(comparison)]
    if withheld := [
        told for told in comparison["not_learned"] if told.startswith((f"{primary.run} (", f"{primary.minus} ("))
    ]:
        told = "; ".join(withheld)
        return [
            "Headline withheld: what is not shown to have learned says nothing about generalisation, not even a null"
            f" ({told}; the interval must lie above 0.5)."
        ]
    return [_primary(comparison, primary), *_learned(comparison), *_rungs(comparison, primary)]


def _primary(comparison: dict[str, Any], primary: Primary) -> str:
    found = _figure(comparison, primary, primary.eval, primary.own, primary.other)
    if found is None:
        return f"Headline: there is no figure for the primary, {primary.told()}."
    of, entry = found
    margin, rate = entry["measures"].get(primary.measure), entry["measures"].get("rate")
    if margin is None:
        return f"Headline: the primary, {primary.told()}, has no value: every item misses it."
    beside = f", and by {interval(rate, '+')} in the rate of preferences" if rate and primary.measure != "rate" else ""
    if primary.own:
        leans = f"leans to {primary.own} rather than {primary.other} by {interval(margin, '+')}{_unit(primary)} more"
        what, how = f"{primary.run} {leans} than {primary.minus} does{beside}", "difference in differences"
    else:
        what = (
            f"on {primary.eval}, {primary.run} minus {primary.minus} is {interval(margin, '+')}{_unit(primary)}{beside}"
        )
        how = "paired by item and seed"
    n = " and ".join(map(str, entry["n"])) if primary.own else entry["n"]
    seeds = ", ".join(map(str, of["seeds"]))
    lacking = f", {margin['seeds']} with a value" if margin["seeds"] < len(of["seeds"]) else ""
    known = (
        f"({how}, n {n}, seed{'s' if len(of['seeds']) > 1 else ''} {seeds}{lacking}, {_tested(entry, primary.measure)})"
    )
    caveat = f"; {ONE_SEED}" if margin["seeds"] == 1 else ""
    return f"Headline: {what} {known}: {verdict(entry, primary.measure, bool(primary.own))}{caveat}."


def _unit(primary: Primary) -> str:
    return " nats" if primary.measure == "margin" else f" in {primary.measure}"


def _tested(entry: Figure, measure: str) -> str:
    p, mde = entry["p"].get(measure), entry["mde"].get(measure)
    return f"p {of_p(p)}, MDE {number(mde, '.2f')}"


def _figure(
    comparison: dict[str, Any], primary: Primary, name: str, own: str | None, other: str | None
) -> tuple[Figure, Figure] | None:
    """What holds the seeds, and the figure itself: of the primary's arms, on one evaluation or two opposite ones."""
    pair = (primary.run, primary.minus)
    if own:
        crosses = (
            c for c in comparison["crossed"] if (c["run"], c["minus"], c["own"], c["other"]) == (*pair, own, other)
        )
        return next(((c, c) for c in crosses), None)
    contrasts = (c for c in comparison["contrasts"] if (c["run"], c["minus"]) == pair)
    return next(((c, e) for c in contrasts for e in c["evals"] if e["eval"] == name), None)


def _learned(comparison: dict[str, Any]) -> list[str]:
    """Whether what was trained is held, by every model that was fine-tuned."""
    least = least_learned([model for model in comparison["runs"] if not model["swept"]], comparison["evals"])
    if least is None:
        return ["Learned: no trained items were asked."] if comparison["contrasts"] else []
    if comparison["not_learned"]:
        return [f"Learned: not shown for {'; '.join(comparison['not_learned'])}."]
    return [f"Learned: every fine-tuned model holds what it was trained on; least {least}."]


def _rungs(comparison: dict[str, Any], primary: Primary) -> list[str]:
    """What the primary's arms differ by on the near and the far rung, besides the primary itself, corrected by Holm; and of a
    rung that nothing was asked on, that it was not."""
    return [f"{rung.capitalize()}: {_rung(comparison, primary, rung)}." for rung in ("near", "far")]


def _rung(comparison: dict[str, Any], primary: Primary, rung: str) -> str:
    evals: dict[str, Figure] = comparison["evals"]
    names = [n for n, block in evals.items() if block["rung"] == rung and block["kind"] != "recall"]
    figures: list[tuple[str, Figure, str, bool]] = []
    for cross in comparison["crossed"] if primary.own else ():
        if (cross["run"], cross["minus"], cross["rung"]) == (primary.run, primary.minus, rung):
            told = f"{cross['own']} rather than {cross['other']}"
            figures.append((told, cross, evals[cross["own"]]["measure"], True))
    # what is crossed is told as one difference of differences
    told_crossed = {name for _, figure, _, _ in figures for name in (figure["own"], figure["other"])}
    for name in (name for name in names if name not in told_crossed):
        if of := _figure(comparison, primary, name, None, None):
            figures.append((name, of[1], evals[name]["measure"], False))
    others = [_short(*figure) for figure in figures if not figure[1]["primary"]]
    if others:
        return f"{primary.run} minus {primary.minus}, {'; '.join(others)}"
    if figures:
        return "asked by the primary alone"
    return "no figure of both models" if names else "not asked"


def _short(name: str, entry: Figure, measure: str, leaning: bool) -> str:
    if measure not in entry["measures"]:
        return f"{name} has no value"
    said, p = verdict(entry, measure, leaning, entry["p_holm"]), of_p(entry["p_holm"])
    tested = f"p {p} after Holm, MDE {number(entry['mde'][measure], '.2f')}"
    return f"{name} {interval(entry['measures'][measure], '+')} ({tested}): {said}"


def _exploratory(comparison: dict[str, Any]) -> list[str]:
    """Where nothing was declared, how many differences were looked at on each rung, and how many stand after correction."""
    looked = [(c["rung"], c) for c in comparison["crossed"]]
    looked += [(comparison["evals"][e["eval"]]["rung"], e) for c in comparison["contrasts"] for e in c["evals"]]
    corrected = [(rung, entry["p_holm"]) for rung, entry in looked if entry["p_holm"] is not None]
    if not corrected:
        return []
    stand = sum(p < 0.05 for _, p in corrected)
    told = []
    for rung in ("learned", "near", "far", None):
        if of := [p < 0.05 for on, p in corrected if on == rung]:
            told.append(f"{rung or 'on no rung'} {sum(of)} of {len(of)}")
        elif rung:
            told.append(f"{rung} none")
    found = f"{stand} of {len(corrected)} differences stand at 5 % after Holm's correction ({', '.join(told)})"
    return [f"No primary was declared: {found}."]


def verdict(entry: Figure, measure: str, leaning: bool, corrected: float | None = None) -> str:
    """What a difference comes to. Whoever tells a null tells its minimum detectable effect beside it."""
    found, p = entry["measures"][measure], entry["p"][measure] if corrected is None else corrected
    if p is None:
        return "no verdict: its error is not known"
    if p >= 0.05:
        return "null at this resolution"
    if leaning:
        return "each leans to its own value" if found["mean"] > 0 else "each leans to the other's value"
    return "higher" if found["mean"] > 0 else "lower"


def interval(estimate: Figure, sign: str = "") -> str:
    """`0.52 [0.41 0.63]`; `0.52 [?]` where nothing is known of its error."""
    if estimate["low"] is None:
        return f"{estimate['mean']:{sign}.2f} [?]"
    return f"{estimate['mean']:{sign}.2f} [{estimate['low']:{sign}.2f} {estimate['high']:{sign}.2f}]"


def number(value: float | None, form: str) -> str:
    return "?" if value is None else format(value, form)


def of_p(value: float | None) -> str:
    """No p is nothing: what is below a thousandth is told as that."""
    return "<0.001" if value is not None and value < 0.001 else number(value, ".3f")
