"""What the page says, from the headline to a mean of one topic: each figure with its interval, its number and its rows."""

import html
import re
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from msmc.backend.comparison import compare
from msmc.backend.page.figures import behaviour, controls
from msmc.backend.page.recall import recall
from msmc.backend.page.study import Study
from msmc.backend.report import render_page
from tests.read_page import Page, came_to, led_to
from tests.study import make_study

pytest_plugins = ("tests.drawn_page",)

ASKED_BY_THE_BUILD = ("knows", "trained", "near_home", "far_home", "far_thrift")
INTERVAL = r"[+-]?\d+\.\d\d \[[+-]?\d+\.\d\d [+-]?\d+\.\d\d\]"


def test_every_figure_can_be_counted_again_from_the_rows_on_the_page(page: Page, comparison: dict[str, Any]) -> None:
    data = page.data("rows")
    items: dict[tuple[int, str], dict[str, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    lines, asked = data["lines"], data["asked"]
    for model, when, row, value in zip(*(lines[name] for name in ("model", "when", "row", "value")), strict=True):
        name = data["words"]["eval"][asked["eval"][row]]
        item = asked["id"][row].rpartition("-")[0] if asked["order"][row] is not None else asked["id"][row]
        if data["words"]["when"][when] == "at the end":
            items[model, name][item].append(value)
    for number, run in enumerate(comparison["runs"]):
        for figure in run["figures"]:
            measure = comparison["evals"][figure["eval"]]["measure"]
            whole = [sum(v) / len(v) for v in items[number, figure["eval"]].values() if None not in v]
            assert len(whole) == figure["n"]
            assert len(items[number, figure["eval"]]) - len(whole) == figure["missing"]
            assert sum(whole) / len(whole) == pytest.approx(figure["measures"][measure]["mean"], abs=1e-4)


def test_every_figure_leads_to_the_rows_that_it_can_be_counted_again_from(text: str, page: Page) -> None:
    data, counted = page.data("rows"), defaultdict[str, int](int)
    for measure, link, told in set(re.findall(r'<a class="figure" data-measure="(.*?)" href="(.*?)">(.*?)</a>', text)):
        query = parse_qs(html.unescape(link).removeprefix("#rows?"))
        assert led_to(data, query), link
        if measure in ("rate", "margin", "violation", "exact_match", "loss", "instructions"):
            assert float(told) == pytest.approx(came_to(data, query, measure), abs=0.0051), link
            counted[f"{measure}, {len(query['arm'])} models, {len(query['eval'])} evaluations"] += 1
        else:
            counted[measure] += 1
    single = {f"{m}, 1 models, 1 evaluations" for m in ("rate", "margin", "violation", "exact_match", "loss")}
    assert single <= counted.keys() and "margin, 2 models, 2 evaluations" in counted
    others = {"margin, 2 models, 1 evaluations", "margin_per_token", "position", "generated", "control", "curve"}
    assert others | {"rate by letter", "margin by letter", "loss lost", "loss of base"} <= counted.keys()


def test_a_headline_leads_to_the_rows_of_both_models_in_both_evaluations(
    text: str, page: Page, comparison: dict[str, Any]
) -> None:
    (link,) = re.findall(r'<p class="headline first">.*? <a href="(.*?)">Its rows</a></p>', text)
    query, data = parse_qs(html.unescape(link).removeprefix("#rows?")), page.data("rows")
    (cross,) = [cross for cross in comparison["crossed"] if cross["primary"]]
    assert query["arm"] == [cross["run"], cross["minus"]] and query["eval"] == [cross["own"], cross["other"]]
    assert came_to(data, query, "margin") == pytest.approx(cross["measures"]["margin"]["mean"], abs=1e-3)


def test_a_headline_has_its_figure_and_interval(text: str, comparison: dict[str, Any]) -> None:
    first = comparison["headline"][0]
    assert re.match(f"Headline: near leans to .*{INTERVAL} nats", first) and not comparison["not_learned"]
    shown = re.search('<p class="headline first">(.*?) <a', text)
    assert shown and html.unescape(shown[1]) == first


def test_a_headline_is_withheld_where_nothing_shows_that_the_trained_items_were_learned(tmp_path: Path) -> None:
    runs = make_study(tmp_path, items=2, seeds=1, trained=2)
    comparison = compare(runs)
    text = render_page(comparison, runs)
    assert comparison["headline"][0].startswith("Headline withheld")
    shown = re.search('<p class="headline first">(.*?)</p>', text)
    assert shown and "Headline withheld" in shown[1] and 'href="#rung-learned"' in shown[1]
    assert text.count("NOT SHOWN TO HAVE LEARNED: ") == len(comparison["not_learned"]) > 0


def test_a_capability_that_was_lost_is_stamped_on_the_page(
    text: str, folders: list[Path], comparison: dict[str, Any]
) -> None:
    lost = [drop for drop in comparison["guard"] if drop["beyond"]]
    stamps = re.findall("<p>CAPABILITY LOST: (.*?)</p>", text)
    assert len(stamps) == len(lost) > 0
    for drop, stamp in zip(lost, stamps, strict=True):
        assert f"{drop['run']} (seed {drop['seed']}), {drop['what']}: " in stamp and f">{drop['drop']:.2f}</a>" in stamp
    held = comparison | {"guard": [drop | {"beyond": False} for drop in comparison["guard"]]}
    assert "CAPABILITY LOST" not in render_page(held, folders)


def test_means_of_topics_values_and_forms_stand_below_each_evaluation(text: str, comparison: dict[str, Any]) -> None:
    below = re.search('<h3 id="eval-far_home">.*?(?=<h3)', text, re.DOTALL)
    recall = re.search('<h3 id="eval-knows">.*?(?=<h3)', text, re.DOTALL)
    assert below and recall and {"question", "cloze"} <= set(re.findall(r'<th scope="row">(\w+)</th>', recall[0]))
    (figure,) = [
        f for arm in comparison["arms"] if arm["name"] == "near" for f in arm["figures"] if f["eval"] == "far_home"
    ]
    link = r'href="#rows\?when=at\+the\+end&amp;arm=near&amp;eval=far_home&amp;{}={}">{}</a>'
    assert set(figure["by_topic"]) and set(figure["by_value"]) == {"study.home"}
    for by, name, entry in [
        *(("topic", *e) for e in figure["by_topic"].items()),
        *(("value", *e) for e in figure["by_value"].items()),
    ]:
        for told in (f"{entry['measures']['rate']:.2f}", f"{entry['measures']['margin']:+.2f}"):
            assert re.search(link.format(by, name.replace(" ", r"\+"), re.escape(told)), below[0]), (name, told)
    assert all(f"of {entry['n']}<" in below[0] for entry in figure["by_topic"].values())


def test_letters_are_told_where_a_model_can_answer_by_letter(text: str, study: Study) -> None:
    lettered = {(c["arm"], c["seed"]): c["letters"] for c in controls(study) if c["letters"]}
    assert (
        set(lettered) == {("near", 0), ("near", 1)} == {(c["arm"], c["seed"]) for c in controls(study) if c["passed"]}
    )
    for letters in lettered.values():
        assert {entry["eval"] for entry in letters} == set(ASKED_BY_THE_BUILD)
        for entry in letters:
            assert entry["measures"].keys() == {"rate", "margin"} and entry["n"] == entry["measures"]["rate"]["n"]
            assert entry["measures"]["margin"]["low"] < entry["measures"]["margin"]["high"]
    (shown,) = re.findall("<h4>By letter</h4>.*?</table>", text, re.DOTALL)
    assert shown.count('<tr><th scope="row">') == 2 * len(ASKED_BY_THE_BUILD) and shown.count('class="ci">[') == 20


def test_a_p_value_says_what_it_was_corrected_for(text: str, comparison: dict[str, Any]) -> None:
    for name in ("contrasts", "crossed"):
        shown = re.search(f'<section id="{name}">.*?</section>', text, re.DOTALL)
        assert shown
        entries = (
            comparison["crossed"] if name == "crossed" else [e for c in comparison["contrasts"] for e in c["evals"]]
        )
        kinds = ["primary" if e["primary"] else "uncorrected" if e["p_holm"] is None else "Holm" for e in entries]
        told = re.findall(r'<span class="tested">[<\d.?&lt;]+ <\w+ class="\w+">(\w+)</\w+></span>', shown[0])
        assert told == kinds
    assert {"uncorrected", "Holm"} <= {k for k in told} | {"uncorrected"}


def test_the_authors_own_evaluations_stand_apart_from_the_rungs(text: str, page: Page) -> None:
    shown = re.search('<section id="rung-own">.*?<section id="crossed">', text, re.DOTALL)
    assert shown and 'id="eval-sums"' in shown[0] and "Other" not in page.headings
    assert 'id="eval-sums"' not in text.split('<section id="rung-own">')[0]


def test_generated_answers_are_counted_again_from_their_rows(page: Page, study: Study) -> None:
    data, told = page.data("rows"), {(b["arm"], b["seed"], b["eval"]): b["generated"] for b in behaviour(study)}
    counted: dict[Any, list[str]] = defaultdict(list)
    for number, said in data["said"].items():
        if "choice" in said and data["words"]["when"][data["lines"]["when"][int(number)]] == "at the end":
            row, model = data["lines"]["row"][int(number)], data["models"][data["lines"]["model"][int(number)]]
            right = "AB"[data["asked"]["question"][str(row)]["target"]]
            name = data["words"]["eval"][data["asked"]["eval"][row]]
            what = "unparsed" if said["choice"] not in "AB" else str(said["choice"] == right)
            counted[model["arm"], model["seed"], name].append(what)
    assert counted.keys() == {key for key, generated in told.items() if generated}
    for key, found in counted.items():
        assert told[key]["unparsed"] == found.count("unparsed")
        assert told[key]["rate"] == found.count("True") / (len(found) - found.count("unparsed"))


def test_recall_is_told_after_each_training_and_by_clause(study: Study) -> None:
    found = recall(study)
    assert found and found["moments"] == ["after midtraining", "at the end"]
    assert {row["kind"] for row in found["kinds"]} == {"rule", "rationale"}, (
        "of one value there is nothing to tell it from"
    )
    columns = [(arm, moment) for arm in found["arms"] for moment in found["moments"]]
    cloze = next(row for row in found["kinds"] if (row["kind"], row["form"]) == ("rule", "cloze"))
    rules = dict(zip(columns, cloze["cells"], strict=True))
    assert rules["base", "after midtraining"] is None and rules["near", "after midtraining"]["n"]
    pooled = [
        row for row in found["clauses"] if row["clause"] in ("study.soup", "study.bread") and row["form"] == "cloze"
    ]
    near = [row["cells"][found["arms"].index("near")] for row in pooled]
    whole = rules["near", "at the end"]
    assert sum(cell["mean"] * cell["n"] for cell in near) / whole["n"] == pytest.approx(whole["mean"], abs=1e-3)
    assert whole["low"] <= whole["mean"] <= whole["high"] > whole["low"] and all(
        {"low", "high", "n"} <= cell.keys() for cell in near
    )


def test_every_deviation_from_the_plan_is_told(text: str, comparison: dict[str, Any]) -> None:
    deviations = comparison["preregistration"]["deviations"]
    shown = re.search('<section id="plan">.*?</section>', text, re.DOTALL)
    assert deviations and shown and f"{len(deviations)} deviations from it" in shown[0]
    assert all(f"<li>{line}</li>" in shown[0] for line in deviations)


def test_missing_is_said_as_missing(text: str, comparison: dict[str, Any]) -> None:
    missing = sum(figure["missing"] for arm in comparison["arms"] for figure in arm["figures"])
    shown = re.search('<section id="rung-learned">.*?<section id="(?!rung)', text, re.DOTALL)
    assert shown and missing
    pooled = re.sub("<details>.*?</details>", "", shown[0], flags=re.DOTALL)
    assert sum(map(int, re.findall(r"\+(\d+) missing", pooled))) == missing
