"""A comparison as other programs take it: one tidy row a figure as CSV, the three rungs as LaTeX tables."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from msmc.backend.judges import rates
from msmc.backend.page.study import OWN, RUNGS

ESTIMATE = ("mean", "low", "high", "se", "n", "clusters", "seeds", "df")
TESTED = ("mde", "p")
COLUMNS = (
    *("of", "model", "minus", "seed", "rung", "eval", "minus_eval", "by", "group", "measure"),
    *(*ESTIMATE, "missing", *TESTED, "p_holm", "primary"),
)
"""`of`: run (one seed), arm (all seeds of a model), contrast (model minus another), crossed (also an evaluation minus another),
judge (what is known of a run's judge: its alpha, its rate raw and corrected, and of planted replies the shares it gets right).
`by` and `group`: of a run or an arm also the items of one topic, value, clause or form, with their mean and number alone. What
there is none of is empty."""
GROUPS = ("topic", "value", "clause", "form")
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for a formula, at the beginning of a text."""
Figure = dict[str, Any]


def as_csv(comparison: dict[str, Any]) -> str:
    """A header, then a row for each measure of each figure."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for named, figure in _figures(comparison):
        missing = {"missing": figure["missing"]} if "missing" in figure else {}
        own = comparison["evals"][named["eval"]]["measure"]
        for measure, estimate in figure["measures"].items():
            tested = {key: figure[key].get(measure) for key in TESTED if key in figure}
            # of an evaluation's own measure alone: the others are not corrected, and none of them is primary
            known = missing | {
                k: figure[k] for k in ("p_holm", "primary") if measure == own and figure.get(k) is not None
            }
            figures = {key: estimate[key] for key in ESTIMATE if key in estimate}
            writer.writerow(_harmless(named | known | tested | {"measure": measure} | figures))
        writer.writerows(_harmless(named | group) for group in _groups(figure))
    return text.getvalue()


def _groups(figure: Figure) -> Iterator[dict[str, Any]]:
    for by in GROUPS:
        for group, entry in figure.get(f"by_{by}", {}).items():
            for measure, mean in entry["measures"].items():
                yield {"by": by, "group": group, "measure": measure, "mean": mean, "n": entry["n"]}


def _harmless(row: dict[str, Any]) -> dict[str, Any]:
    """Texts on one line, and marked as texts where they begin like a formula: names and topics are an author's, or of a data
    set."""
    return {key: _text(value) if isinstance(value, str) else value for key, value in row.items()}


def _text(told: str) -> str:
    line = " ".join(told.split())
    return f"'{line}" if line.startswith(FORMULA) else line


def _figures(comparison: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Figure]]:
    """All of a comparison, each with what it is of."""
    for of, models in (("run", comparison["runs"]), ("arm", comparison["arms"])):
        for model in models:
            for figure in model["figures"]:
                named = {"of": of, "model": model["name"], "seed": model.get("seed", "")}
                yield named | {"rung": figure["rung"], "eval": figure["eval"]}, figure
    for of, pairs in (("contrast", comparison["contrasts"]), ("crossed", comparison["crossed"])):
        for pair in pairs:
            named = {"of": of, "model": pair["run"], "minus": pair["minus"]}
            if of == "crossed":
                yield named | {"rung": pair["rung"], "eval": pair["own"], "minus_eval": pair["other"]}, pair
            else:
                for figure in pair["evals"]:
                    rung = comparison["evals"][figure["eval"]]["rung"]
                    yield named | {"rung": rung, "eval": figure["eval"]}, figure
    for told in comparison["judges"]:
        named = {"of": "judge", "model": told["run"], "seed": told["seed"], "eval": told["eval"]}
        alpha, rung = told["agreement"]["alpha"], comparison["evals"][told["eval"]]["rung"]
        known = {"alpha": {"mean": alpha}} if alpha is not None else {}
        yield named | {"rung": rung}, {"missing": told["missing"], "measures": known | rates(told)}


# ---- LaTeX ------------------------------------------------------------------------------------------------------------------

CAPTIONS = {rung: f"{rung.capitalize()}: {what}" for rung, what in RUNGS.items()}
CAPTIONS |= {OWN: "The author's own: evaluations on none of the three rungs"}


def as_latex(comparison: dict[str, Any]) -> str:
    """A booktabs table for each rung: models by evaluations, each with n, its rate or primary measure, and the interval."""
    head = "% from msmc report --format latex; needs \\usepackage{booktabs}\n"
    lines = (*comparison["stamps"], *(f"NOT SHOWN TO HAVE LEARNED: {line}" for line in comparison["not_learned"]))
    stamps = "".join(f"% {' '.join(line.split())}\n" for line in lines)
    return head + stamps + "\n".join(_table(comparison, rung) for rung in CAPTIONS if _names(comparison, rung))


def _names(comparison: dict[str, Any], rung: str) -> list[str]:
    return [name for name, block in comparison["evals"].items() if (block["rung"] or OWN) == rung]


def _table(comparison: dict[str, Any], rung: str) -> str:
    import pandas as pd

    names = _names(comparison, rung)
    rows = []
    for arm in comparison["arms"]:
        figures = {figure["eval"]: figure for figure in arm["figures"]}
        cells = (cell for name in names for cell in _cells(comparison, name, figures.get(name)))
        rows.append([arm["name"], *cells])
    columns = [("", "model")]
    for name in names:
        marked = f"{name} (primary)" if name == comparison["primary"] else name
        columns += [(marked, "n"), *((marked, measure.replace("_", " ")) for measure in _measures(comparison, name))]
    caption = f"{comparison['title']} {CAPTIONS[rung]}. 95 % intervals, topics and seeds as clusters."
    if comparison["stamps"]:
        caption = f"{' '.join(comparison['stamps'])}. {caption}"
    made = pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns))
    return str(
        made.to_latex(
            index=False,
            escape=True,
            column_format="l" + "".join("r" + "l" * len(_measures(comparison, name)) for name in names),
            multicolumn_format="c",
            caption=_escaped(caption),
            label=f"tab:{comparison['spec']}-{rung}",
        )
    )


def _measures(comparison: dict[str, Any], name: str) -> list[str]:
    """The evaluation's own, behind the rate where it has one."""
    own = comparison["evals"][name]["measure"]
    return ["rate", own] if own == "margin" else [own]


def _cells(comparison: dict[str, Any], name: str, figure: Figure | None) -> list[str]:
    measures = _measures(comparison, name)
    if figure is None or not figure["n"]:
        return ["missing", *("" for _ in measures)]
    missing = f" (+{figure['missing']} missing)" if figure["missing"] else ""
    return [f"{figure['n']}{missing}", *(_interval(figure["measures"].get(measure)) for measure in measures)]


def _interval(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return "missing"
    if estimate["low"] is None:
        return f"{estimate['mean']:.2f} [?]"
    return f"{estimate['mean']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}


def _escaped(text: str) -> str:
    """A caption, on one line since an empty one would end it: pandas escapes cells and headings alone."""
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))
