"""Forest plots: of each evaluation all models below each other with their intervals."""

from collections.abc import Iterator
from typing import Any

from msmc.backend.page.drawn import FAINT, Plot, colour, plot
from msmc.backend.page.study import Study

UNITS = {"margin": "margin, nats", "margin_per_token": "margin per token, nats"}
CHANCE = {"margin": 0.0, "margin_per_token": 0.0, "rate": 0.5}


def forests(study: Study) -> dict[str, Plot]:
    """By evaluation that any model has a figure of."""
    return {n: _forest(study, n) for n in study.evals if any(study.estimate(arm, n) for arm in study.arms)}


def _forest(study: Study, name: str) -> Plot:
    import plotly.graph_objects as go

    measure = study.evals[name]["measure"]
    pooled = {arm: _known(found) for arm in study.arms if (found := study.estimate(arm, name))}
    labels = {arm: _broken(arm) for arm in pooled}
    figure = go.Figure()
    if len(study.seeds) > 1:
        dots = list(_of_seeds(study, name, measure))
        figure.add_scatter(
            x=[value for _, _, value in dots],
            y=[labels[arm] for arm, _, _ in dots],
            customdata=[[arm, seed] for arm, seed, _ in dots],
            mode="markers",
            marker={"size": 5, "opacity": 0.45, "color": [colour(study, arm) for arm, _, _ in dots]},
            hovertemplate="%{customdata[0]}, seed %{customdata[1]}: %{x:.2f}<extra></extra>",
        )
    figure.add_scatter(
        x=[e["mean"] for e in pooled.values()],
        y=list(labels.values()),
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [e["high"] - e["mean"] for e in pooled.values()],
            "arrayminus": [e["mean"] - e["low"] for e in pooled.values()],
            "color": "#808080",
            "thickness": 1.5,
            "width": 5,
        },
        customdata=[[arm, e["low"], e["high"], e["n"]] for arm, e in pooled.items()],
        mode="markers",
        marker={"size": 10, "symbol": "diamond", "color": [colour(study, arm) for arm in pooled]},
        hovertemplate="%{customdata[0]}<br>%{x:.2f} [%{customdata[1]:.2f} %{customdata[2]:.2f}], "
        "n %{customdata[3]}<extra></extra>",
    )
    if measure in CHANCE:
        figure.add_vline(x=CHANCE[measure], line=FAINT)
    figure.update_yaxes(
        categoryorder="array", categoryarray=list(labels.values())[::-1], automargin=True, showgrid=False
    )
    figure.update_xaxes(title={"text": UNITS.get(measure, measure.replace("_", " ")), "standoff": 8})
    figure.update_layout(showlegend=False)
    said = "; ".join(f"{arm} {e['mean']:.2f} [{e['low']:.2f} {e['high']:.2f}]" for arm, e in pooled.items())
    return plot(f"forest-{name}", name, said, figure, 84 + 34 * len(pooled))


def _known(estimate: dict[str, Any]) -> dict[str, Any]:
    """With an interval of no width where none is known."""
    return estimate if estimate["low"] is not None else estimate | {"low": estimate["mean"], "high": estimate["mean"]}


def _of_seeds(study: Study, name: str, measure: str) -> Iterator[tuple[str, int, float]]:
    for run in study.comparison["runs"]:
        for figure in run["figures"]:
            if figure["eval"] == name and measure in figure["measures"]:
                yield run["name"], run["seed"], figure["measures"][measure]["mean"]


def _broken(arm: str) -> str:
    """A long name on two lines."""
    return arm.replace(".", "<br>.") if len(arm) > 14 else arm
