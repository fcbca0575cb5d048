"""The page: one self-contained HTML file with the plot, the tables, the items and the documents."""

from pathlib import Path
from typing import Any

import jinja2

from msmc.backend.comparison import read_run
from msmc.backend.heat_map import heat_map
from msmc.backend.items import read_items
from msmc.diagnostics import fail
from msmc.shipped import shipped
from msmc.stored import read_json, read_jsonl
from msmc.whole import whole_file

RUNGS = {
    "learned": "what the models were trained on: the spec's own text and the trained items",
    "near": "unseen items of the trained domain",
    "far": "items of other domains",
}


def find_runs(places: tuple[Path, ...]) -> list[Path]:
    """Run folders at or below the given places, each once, in order of their names. Raises Failed `not-a-run`.

    not-a-run: A folder that holds no finished run, or runs that cannot be compared.

    Runs of one table are of one spec and were scored on the same items.

    Bad:
        $ msmc report build/tea

    Good:
        $ msmc report runs/tea
    """
    found: list[Path] = []
    for place in places:
        folders = (
            [place] if (place / "run.json").is_file() else sorted(p.parent for p in place.glob("**/seed-*/run.json"))
        )
        if not folders:
            raise fail(
                "not-a-run", f"there is no run in `{place}`", "name a folder such as runs/SPEC/TARGET/ARM/seed-0-…"
            )
        found += [folder for folder in folders if folder not in found]
    specs = {read_run(folder)["spec"] for folder in found}
    if len(specs) > 1:
        raise fail(
            "not-a-run", f"these runs are of different specs: {', '.join(sorted(specs))}", "name runs of one spec"
        )
    return found


def write_page(place: Path) -> Path:
    """Writes report.html beside comparison.json."""
    comparison = read_json(place / "comparison.json")
    folders = [place.parents[2] / run["folder"] for run in comparison["runs"]]
    page = place / "report.html"
    whole_file(page, render_page(comparison, folders))
    return page


def render_page(comparison: dict[str, Any], folders: list[Path]) -> str:
    """The page's HTML. Everything from a spec or a model is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(shipped() / "templates" / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    evals = comparison["evals"]
    rungs = [(rung, RUNGS[rung], [n for n in evals if evals[n]["rung"] == rung]) for rung in RUNGS]
    return environment.get_template("report.html.jinja").render(
        comparison=comparison,
        rungs=[entry for entry in rungs if entry[2]],
        figures=[{f["eval"]: f for f in run["figures"]} for run in comparison["runs"]],
        plot=_plot(comparison),
        items=_items(comparison, folders),
        corpora=_corpora(folders),
        coverage=heat_map([read_run(folder) for folder in folders]),
    )


def _plot(comparison: dict[str, Any]) -> str:
    """A forest plot: one panel for each evaluation, the models below each other, margins with their intervals."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    evals = sorted(comparison["evals"], key=lambda n: list(RUNGS).index(comparison["evals"][n]["rung"]))
    names = [
        f"{run['name']}" + (f" · seed {run['seed']}" if _several_seeds(comparison) else "")
        for run in comparison["runs"]
    ]
    columns = 2
    rows = -(-len(evals) // columns)
    titles = [f"{name} ({comparison['evals'][name]['rung']})" for name in evals]
    figure = make_subplots(
        rows, columns, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04, vertical_spacing=0.3 / rows
    )
    for number, name in enumerate(evals):
        points = [
            (label, f)
            for label, run in zip(names, comparison["runs"], strict=True)
            for f in run["figures"]
            if f["eval"] == name and f["measures"].get("margin", {}).get("low") is not None
        ]
        margins = [f["measures"]["margin"] for _, f in points]
        figure.add_trace(
            go.Scatter(
                x=[m["mean"] for m in margins],
                y=[label for label, _ in points],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [m["high"] - m["mean"] for m in margins],
                    "arrayminus": [m["mean"] - m["low"] for m in margins],
                },
                mode="markers",
                marker={"size": 9, "color": "#3b6ea8"},
                customdata=[
                    [f["measures"]["rate"]["mean"], f["n"], m["low"], m["high"]]
                    for (_, f), m in zip(points, margins, strict=True)
                ],
                hovertemplate="%{y}<br>margin %{x:+.2f} [%{customdata[2]:+.2f} %{customdata[3]:+.2f}]"
                "<br>rate %{customdata[0]:.2f}, n %{customdata[1]}<extra></extra>",
                showlegend=False,
            ),
            row=number // columns + 1,
            col=number % columns + 1,
        )
        figure.add_vline(
            x=0, line={"width": 1, "dash": "dot", "color": "#888"}, row=number // columns + 1, col=number % columns + 1
        )
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names)
    figure.update_xaxes(gridcolor="rgba(128,128,128,.25)", zeroline=False)
    figure.update_layout(
        height=130 + rows * (70 + 26 * len(names)),
        margin={"l": 10, "r": 10, "t": 40, "b": 30},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#777", "size": 12},
    )
    html: str = figure.to_html(
        full_html=False, include_plotlyjs="inline", config={"displayModeBar": False, "responsive": True}
    )
    return html


def _several_seeds(comparison: dict[str, Any]) -> bool:
    return len({run["seed"] for run in comparison["runs"]}) > 1


def _items(comparison: dict[str, Any], folders: list[Path]) -> list[dict[str, Any]]:
    """For each evaluation its items with every model's margin."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for number, folder in enumerate(folders):
        build = read_run(folder)["sourcemaps"]["full"]
        for item in read_items(folder / "scores"):
            entry = found.setdefault(item["eval"], {}).setdefault(
                item["id"],
                {
                    "id": item["id"],
                    "topic": item["topic"],
                    "about": [(a, _place(build.get(a))) for a in item["about"][:3]],
                    "margins": [None] * len(folders),
                },
            )
            entry["margins"][number] = item["measures"]["margin"]
    return [{"eval": name, "items": list(found[name].values())} for name in comparison["evals"] if name in found]


def _corpora(folders: list[Path]) -> list[dict[str, Any]]:
    """Each corpus once: its clauses with text and place, and the documents about them."""
    corpora: dict[str, dict[str, Any]] = {}
    for folder in folders:
        run = read_run(folder)
        if "corpus" not in run["stages"] or run["stages"]["corpus"]["folder"] in corpora:
            continue
        arm = run["run"]["documents"]
        texts, places = run["clauses"][arm], run["sourcemaps"][arm]
        documents: dict[str, list[dict[str, Any]]] = {}
        for row in read_jsonl(folder / "corpus" / "midtrain.jsonl"):
            documents.setdefault(row["about"][0], []).append(row)
        corpora[run["stages"]["corpus"]["folder"]] = {
            "arm": arm,
            "name": run["run"]["name"],
            "stage": run["stages"]["corpus"],
            "clauses": [
                # the author's own documents may be about the whole spec, which has no text of its own
                {"id": node, "text": texts.get(node, ""), "place": _place(places.get(node)), "documents": rows}
                for node, rows in documents.items()
            ],
        }
    return list(corpora.values())


def _place(place: dict[str, Any] | None) -> str:
    return f"{place['file']}:{place['line']}" if place else ""
