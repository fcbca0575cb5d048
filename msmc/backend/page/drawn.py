"""What all plots share: plotly's figures as JSON. The page's style gives them the colours of text and lines, so that they
follow dark, light and print."""

from typing import Any

from msmc.backend.page.study import Study

COLOURS = ("#3b7dd8", "#c2620e", "#2e8b57", "#a45fc4", "#d1495b", "#1a8a9a", "#8c7a1f", "#7f7f7f")
"""Of the models, in their order, and again from the first: readable on white and on black."""
FAINT = {"width": 1, "dash": "dot", "color": "#888888"}


class Plot(dict[str, Any]):
    """`id`, `title`, `said` (what it shows, in words), plotly's `figure`, and where it has any a link to its `rows`."""


def plot(name: str, title: str, said: str, figure: Any, height: int, rows: str = "") -> Plot:
    """A figure as the page takes it."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 12, "family": "system-ui, sans-serif"},
        dragmode=False,
        hoverlabel={"bgcolor": "#22272d", "font": {"color": "#ffffff"}},
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return Plot(id=name, title=title, said=said, figure=figure.to_plotly_json(), rows=rows)


def colour(study: Study, arm: str) -> str:
    return COLOURS[study.arms.index(arm) % len(COLOURS)]
