"""The page: one self-contained HTML file that a sceptical reader can go through, from the headline to every row behind it."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from msmc.backend.comparison import question, read_run
from msmc.backend.heat_map import heat_map
from msmc.backend.judges import judge_lines
from msmc.backend.page import figures, health, recall, rows, texts
from msmc.backend.page.curves import curves
from msmc.backend.page.embedded import embedded
from msmc.backend.page.forests import forests
from msmc.backend.page.study import Study, rows_of
from msmc.diagnostics import fail
from msmc.shipped import shipped
from msmc.stored import read_json
from msmc.whole import whole_file


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
        # the folders around a run say whose it is, and a path from within them does not name them
        whole = [folder if len(folder.parents) > 4 else Path(os.path.abspath(folder)) for folder in folders]
        found += [folder for folder in whole if folder not in found]
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


def newest(folders: list[Path]) -> list[Path]:
    """Of runs of several ablations, targets or states of a spec those that answer what was asked last; of each model and seed
    the last."""
    runs = {folder: read_run(folder) for folder in folders}
    in_time = sorted(folders, key=lambda folder: (folder / "run.json").stat().st_mtime_ns)
    asked = question(runs[in_time[-1]])
    last = {(runs[f]["run"]["name"], runs[f]["seed"]): f for f in in_time if question(runs[f]) == asked}
    return [folder for folder in folders if folder in last.values()]


def render_page(comparison: dict[str, Any], folders: list[Path]) -> str:
    """The page's HTML. Everything from a spec or a model is escaped: as text by Jinja, as data by `embedded`."""
    place = shipped() / "templates" / "report"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(place),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"rows_of": rows_of, "difference": figures.difference}
    scripts = [_plotly(), (place / "page.js").read_text("utf-8")]
    return environment.get_template("report.html.jinja").render(
        sections(Study(comparison, folders)),
        style=Markup((place / "page.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
        embedded=embedded,
    )


def sections(study: Study) -> dict[str, Any]:
    """What the templates show, by the name of its partial."""
    written = texts.texts(study)
    over_tokens, by_eval, corpora = curves(study), forests(study), health.health(study)
    return {
        "comparison": study.comparison,
        "seeds": study.seeds,
        "headline": figures.headline(study),
        "rungs": figures.rungs(study),
        "forests": by_eval,
        "matrix": figures.matrix(study),
        "curves": over_tokens,
        "figures": {plot["id"]: plot["figure"] for plot in (*by_eval.values(), *over_tokens, *corpora["plots"])},
        "recall": recall.recall(study),
        "judging": judge_lines(study.comparison["judges"]),
        "behaviour": figures.behaviour(study),
        "controls": figures.controls(study),
        "trainings": figures.trainings(study),
        "coverage": heat_map(study.runs),
        "health": corpora,
        "clauses": texts.clauses(study, written),
        "rows": rows.rows(study),
        "texts": written,
    }


def _plotly() -> str:
    """Its whole source: a page asks no network for anything."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _policy(scripts: list[str]) -> str:
    """What the browser lets the page do: run these scripts, and fetch nothing."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
