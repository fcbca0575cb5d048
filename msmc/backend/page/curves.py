"""Learning curves: loss over tokens, and behaviour over tokens where a training stage measured it on its way."""

from collections.abc import Iterator
from typing import Any

from msmc.backend.page.drawn import FAINT, Plot, colour, plot
from msmc.backend.page.study import MOMENTS, Study, rows_of
from msmc.stored import read_jsonl

STAGES = {"midtrain": "midtraining", "finetune": "fine-tuning"}
POINTS = 120
"""Of a curve: more cannot be told apart on a page."""
DASHES = ("solid", "dash", "dot")
"""Of seeds."""
Points = list[tuple[float, float]]


def curves(study: Study) -> list[Plot]:
    """Of each stage of training the loss, and of each evaluation the rate, a line for each model that it was done for."""
    return [plot for draw in (_losses, _behaviours) for stage in STAGES for plot in draw(study, stage)]


def _trained(study: Study, stage: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The models by number; what several share is the first one's."""
    seen = set()
    for number, run in enumerate(study.comparison["runs"]):
        folder = study.runs[number]["stages"].get(stage, {}).get("folder")
        if folder and folder not in seen:
            seen.add(folder)
            yield number, run


def _losses(study: Study, stage: str) -> Iterator[Plot]:
    import plotly.graph_objects as go

    figure, ends = go.Figure(), []
    for number, run in _trained(study, stage):
        log = study.folders[number] / stage / "log.jsonl"
        points = _thinned([(row["tokens"], row["loss"]) for row in read_jsonl(log)]) if log.is_file() else []
        if points:
            _line(figure, study, run, points, "loss")
            ends.append(f"{_named(study, run)} {points[0][1]:.2f} to {points[-1][1]:.2f}")
    if ends:
        figure.update_yaxes(title={"text": "nats per token"})
        yield _over_tokens(f"loss-{stage}", f"Loss of {STAGES[stage]}", "; ".join(ends), figure)


def _behaviours(study: Study, stage: str) -> Iterator[Plot]:
    import plotly.graph_objects as go

    figures: dict[tuple[str, str], go.Figure] = {}
    for number, run in _trained(study, stage):
        by_eval: dict[tuple[str, str], Points] = {}
        for _, row in study.stage_rows(number, f"{stage}/curves.jsonl"):
            if row["rate"] is not None:
                by_eval.setdefault((row["eval"], row.get("form") or ""), []).append((row["tokens"], row["rate"]))
        for key, points in by_eval.items():
            _line(figures.setdefault(key, go.Figure()), study, run, points, "rate")
    for (of, form), figure in figures.items():
        name = f"{of} {form}".strip()
        figure.update_yaxes(title={"text": "rate"}, range=[0, 1])
        figure.add_hline(y=0.5, line=FAINT)
        said = f"the rate of {name} over tokens, a line for each model"
        arms = list(dict.fromkeys(line.name for line in figure.data))
        rows = rows_of(arm=arms, eval=of, **({"form": form} if form else {}), when=_moments(study, stage))
        title = f"{name} during {STAGES[stage]}"
        yield _over_tokens(f"curve-{stage}-{name.replace(' ', '-')}", title, said, figure, rows)


def _moments(study: Study, stage: str) -> list[str]:
    """When the models were asked all that a curve shows some of: after its stage, and at the end."""
    after = f"scores-after-{stage}"
    return [when for link, when in MOMENTS.items() if link in (after, "scores") and study.asked(link)]


def _line(figure: Any, study: Study, run: dict[str, Any], points: Points, what: str) -> None:
    name = run["name"]
    figure.add_scatter(
        x=[x for x, _ in points],
        y=[round(y, 4) for _, y in points],
        name=name,
        legendgroup=name,
        showlegend=not any(line.legendgroup == name for line in figure.data),
        mode="lines+markers" if what == "rate" else "lines",
        line={"width": 1.6, "color": colour(study, name), "dash": DASHES[study.seeds.index(run["seed"]) % len(DASHES)]},
        marker={"size": 5},
        hovertemplate=f"{_named(study, run)}<br>{what} %{{y:.2f}} after %{{x:,}} tokens<extra></extra>",
    )


def _thinned(points: Points) -> Points:
    """Means of neighbours, as many as can be told apart."""
    size = -(-len(points) // POINTS)
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


def _over_tokens(name: str, title: str, said: str, figure: Any, rows: str = "") -> Plot:
    figure.update_xaxes(title={"text": "tokens", "standoff": 8}, rangemode="tozero")
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0})
    return plot(name, title, said, figure, 290, rows)


def _named(study: Study, run: dict[str, Any]) -> str:
    return str(run["name"]) + (f", seed {run['seed']}" if len(study.seeds) > 1 else "")
