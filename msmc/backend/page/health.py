"""Health of the corpora on the page: each corpus once, with what it is made of, its figures, and documents to read."""

from itertools import groupby
from pathlib import Path
from typing import Any

from msmc.backend.gates.duplicates import SIZE
from msmc.backend.health import AN_OCTAVE, HEALTH, edge
from msmc.backend.page.drawn import Plot, colour, plot
from msmc.backend.page.study import Study
from msmc.backend.spent import read_spent
from msmc.mention import WORD
from msmc.stored import read_json

AXES = {
    "kind": "kinds",
    "audience": "audiences",
    "angle": "angles",
    "cell": "cells",
    "source": "sources",
    "domain": "domains",
    "term": "terms",
}
"""What documents spread over, with the word for several; cells are kind × audience × angle."""
TICKS = 8
"""At most, of an axis of lengths."""


def health(study: Study) -> dict[str, Any]:
    """Of each corpus a row; the spreads that any has; the plot of lengths. No corpora where no model was trained on documents."""
    corpora = [_corpus(study, arm, folder) for arm, folder in _corpora(study)]
    over = {found["over"] for corpus in corpora for found in corpus["spread"].values()}
    return {
        "corpora": corpora,
        "axes": {axis: word for axis, word in AXES.items() if axis in over},
        "reasons": any(corpus["quarantined"] for corpus in corpora),
        "plots": [_plot(study, corpora)] if corpora else [],
    }


def _corpora(study: Study) -> list[tuple[str, Path]]:
    """What several models share is of the arm that it is written for. A corpus of an earlier msmc has no figures."""
    found: dict[str, tuple[str, Path]] = {}
    for run, folder in zip(study.runs, study.folders, strict=True):
        stage = run["stages"].get("corpus")
        if stage and (folder / "corpus" / HEALTH).is_file():
            found.setdefault(stage["folder"], (run["run"]["documents"], folder / "corpus"))
    return list(found.values())


def _corpus(study: Study, arm: str, folder: Path) -> dict[str, Any]:
    told = read_json(folder / HEALTH)
    return told | {
        "arm": arm,
        "quarantined": dict(sorted(told["quarantined"].items(), key=lambda entry: (-entry[1], entry[0]))),
        "clauses": [
            {"id": clause, "place": study.places.get(clause, ""), **counts}
            for clause, counts in sorted(told["clauses"].items())
        ],
        "spread": {found["over"]: found for found in told["spread"]},
        "spent": read_spent(folder),
        "drawn": [document | {"places": _places(study, document)} for document in told["drawn"]],
        "pairs": [_pair(study, pair) for pair in told["alike"]["pairs"]],
    }


def _pair(study: Study, pair: dict[str, Any]) -> dict[str, Any]:
    """Both documents, each with its text in parts, of which the other one has some."""
    texts = [document["text"] for document in pair["documents"]]
    parts = [marked(*texts), marked(*reversed(texts))]
    sides = [
        document | {"places": _places(study, document), "parts": side}
        for document, side in zip(pair["documents"], parts, strict=True)
    ]
    return pair | {"documents": sides}


def marked(text: str, other: str) -> list[tuple[str, bool]]:
    """A text in parts, and of each whether it is of phrases that the other text has too, whatever stands between their words."""
    found = list(WORD.finditer(text))
    own, theirs = ([word.group().casefold() for word in WORD.finditer(said)] for said in (text, other))
    there = {tuple(theirs[at : at + SIZE]) for at in range(len(theirs) - SIZE + 1)}
    shared = {n for at in range(len(own)) if tuple(own[at : at + SIZE]) in there for n in range(at, at + SIZE)}
    parts, end = list[tuple[str, bool]](), 0
    for is_shared, run in groupby(range(len(found)), key=shared.__contains__):
        numbers = list(run)
        start, stop = found[numbers[0]].start(), found[numbers[-1]].end()
        parts += [(text[end:start], False)] * (end < start) + [(text[start:stop], is_shared)]
        end = stop
    return parts + [(text[end:], False)] * (end < len(text))


def _places(study: Study, document: dict[str, Any]) -> dict[str, str]:
    """The clauses that a document was written for, each with its line."""
    about = [document["cell"]["clause"]] if "cell" in document else document["about"]
    return {clause: study.places.get(clause, "") for clause in about}


def _plot(study: Study, corpora: list[dict[str, Any]]) -> Plot:
    """Of each corpus the share of its documents by tokens, on a logarithmic axis."""
    import plotly.graph_objects as go

    figure, edges = go.Figure(), set[int]()
    for corpus in corpora:
        bins = {int(number): count for number, count in corpus["lengths"]["bins"].items()}
        if not bins:
            continue
        every = range(min(bins) - 1, max(bins) + 2)
        edges |= {round(edge(number)) for number in every}
        figure.add_scatter(
            x=[round(edge(number)) for number in every],
            y=[bins.get(number, 0) / corpus["documents"] for number in every],
            name=corpus["arm"],
            line={"shape": "hv", "color": _colour(study, corpus["arm"]), "width": 2},
            hovertemplate="%{y:.1%} from %{x:,} tokens on",
        )
    # plotly would write `2` at 200
    ticks = sorted(edges)[:: -(-len(edges) // TICKS) or 1]
    figure.update_xaxes(type="log", title={"text": "tokens of a document", "standoff": 8}, tickvals=ticks)
    figure.update_yaxes(title={"text": "share of documents"}, tickformat=".0%", rangemode="tozero")
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0})
    said = f"a line for each corpus; a step is a bin of a {AN_OCTAVE}th of an octave"
    return plot("document-lengths", "Lengths of documents", said, figure, 300)


def _colour(study: Study, arm: str) -> str:
    """Of the model of this name, where there is one: `neutral_documents` is `ABLATION.neutral_documents` as an arm."""
    name = arm.rpartition(".")[2]
    return colour(study, name if name in study.arms else study.arms[0])
