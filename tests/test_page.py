"""The page and the figures that `msmc report` prints: all of the rows, nothing that runs, and the same every time."""

import base64
import csv
import hashlib
import html.parser
import io
import json
import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from msmc.backend.comparison import compare
from msmc.backend.page.embedded import embedded, stratified
from msmc.backend.page.figures import behaviour
from msmc.backend.page.recall import recall
from msmc.backend.page.rows import rows
from msmc.backend.page.study import Study
from msmc.backend.page.texts import texts
from msmc.backend.report import render_page
from msmc.cli import main
from msmc.trace import trace_id
from tests.study import NASTY, make_study


class Page(html.parser.HTMLParser):
    """What a browser would make of it: scripts with their text, links, ids, headings and what loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.loads: list[str] = []
        self.policy = ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in, found = tag, dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        self.loads += [str(found[name]) for name in ("src", "srcset", "data", "action") if name in found]
        if tag == "a":
            self.links.append(found["href"] or "")
        elif tag == "link":
            self.loads.append(found["href"] or "")
        elif tag == "script":
            self.scripts.append((found, ""))
        elif found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif self._in == "h2":
            self.headings.append(data.strip())

    def data(self, name: str) -> Any:
        return next(json.loads(text) for found, text in self.scripts if found.get("id") == f"data-{name}")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def comparison(folders: list[Path]) -> dict[str, Any]:
    return compare(folders)


@pytest.fixture(scope="module")
def text(comparison: dict[str, Any], folders: list[Path]) -> str:
    return render_page(comparison, folders)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture(scope="module")
def study(comparison: dict[str, Any], folders: list[Path]) -> Study:
    return Study(comparison, folders)


# ---- nothing that runs ------------------------------------------------------------------------------------------------------


def test_what_models_and_specs_wrote_is_text(text: str, page: Page) -> None:
    """It stands in the title of a clause, in items, replies, transcripts, judges' replies and documents."""
    assert [found.get("id") for found, _ in page.scripts] == ["data-figures", "data-rows", "data-texts", None, None]
    assert NASTY not in text and not any("\u2028" in value for _, value in page.scripts)
    said = page.data("rows")["said"].values()
    assert any(NASTY in (one.get("reply") or "") for one in said)
    assert any(NASTY in json.dumps(one.get("judge"), ensure_ascii=False).replace('\\"', '"') for one in said)
    assert NASTY[:20] not in "".join(value for found, value in page.scripts if "type" not in found)


@pytest.mark.parametrize(
    "said", ["</script>", "<!--", "<script>", "]]>", "\u2028\u2029", "&lt;", '"\\', "\ud83e\uddc0"]
)
def test_embedded_data_ends_no_script_and_comes_back_whole(said: str) -> None:
    said = said.encode("utf-16", "surrogatepass").decode("utf-16")
    text = embedded({said: [said]})
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == {said: [said]}


def test_the_browser_may_run_these_scripts_and_fetch_nothing(page: Page) -> None:
    for script in (value for found, value in page.scripts if "type" not in found):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.policy
    assert "default-src 'none'" in page.policy and "unsafe-inline" not in page.policy.split("style-src")[0]
    assert page.loads == ["data:,"] and all(link.startswith("#") for link in page.links)


def test_every_link_within_the_page_leads_somewhere(page: Page) -> None:
    places = {link[1:].split("?")[0] for link in page.links}
    assert places <= set(page.ids), places - set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_the_page_is_the_same_every_time(text: str, comparison: dict[str, Any], folders: list[Path]) -> None:
    assert render_page(comparison, folders) == text


# ---- all of the rows --------------------------------------------------------------------------------------------------------


def test_every_figure_can_be_counted_again_from_the_rows_on_the_page(page: Page, comparison: dict[str, Any]) -> None:
    data = page.data("rows")
    items: dict[tuple[int, str], dict[str, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    lines, asked = data["lines"], data["asked"]
    for model, row, value in zip(lines["model"], lines["row"], lines["value"], strict=True):
        name = data["words"]["eval"][asked["eval"][row]]
        item = asked["id"][row].rpartition("-")[0] if asked["order"][row] is not None else asked["id"][row]
        items[model, name][item].append(value)
    for number, run in enumerate(comparison["runs"]):
        for figure in run["figures"]:
            measure = comparison["evals"][figure["eval"]]["measure"]
            whole = [sum(v) / len(v) for v in items[number, figure["eval"]].values() if None not in v]
            assert len(whole) == figure["n"]
            assert len(items[number, figure["eval"]]) - len(whole) == figure["missing"]
            assert sum(whole) / len(whole) == pytest.approx(figure["measures"][measure]["mean"], abs=1e-4)


def test_every_document_and_demo_is_on_the_page_under_its_clause(page: Page, folders: list[Path]) -> None:
    data = page.data("texts")
    there = {
        (data["columns"]["id"][n], data["words"]["clause"][data["columns"]["clause"][n]])
        for n in range(len(data["columns"]["id"]))
    }
    for folder in folders:
        for path in (folder / "corpus" / "midtrain.jsonl", folder / "demos" / "finetune.jsonl"):
            for line in path.read_text("utf-8").splitlines() if path.exists() else ():
                row = json.loads(line)
                assert (row["id"], row["about"][0]) in there
                assert f"clause-{row['about'][0]}" in page.ids


def test_a_row_opens_to_its_question(page: Page) -> None:
    data = page.data("rows")
    for number, name in enumerate(data["words"]["eval"][index] for index in data["asked"]["eval"]):
        assert (str(number) in data["asked"]["question"]) == (name not in ("advice", "guard")), (
            "others have transcripts"
        )


def test_what_is_too_much_for_a_page_is_sampled_evenly_and_counted(study: Study) -> None:
    full, some = rows(study), rows(study, budget=60_000)
    assert full["left_out"] == 0
    assert some["left_out"] == len(full["said"]) - len(some["said"]) > 0
    assert some["lines"] == full["lines"], "scores are never left out"
    assert {some["lines"]["model"][int(n)] for n in some["said"]} == set(range(len(study.folders)))
    few = texts(study, budget=5_000)
    assert few["left_out"] and few["columns"] == texts(study)["columns"]


def test_strata_take_turns() -> None:
    sizes = [("a", 3), ("a", 3), ("a", 3), ("b", 3), ("c", 3), ("b", 3)]
    assert stratified(sizes, budget=11) == {0, 3, 4}
    assert stratified(sizes, budget=15) == {0, 1, 3, 4, 5}
    assert stratified(sizes, budget=0) == set() == stratified([], budget=5)


def test_trace_knows_every_row_and_text_of_the_page(page: Page, folders: list[Path]) -> None:
    root = folders[0].parents[4]
    data, written = page.data("rows"), page.data("texts")
    ids = {name: index for index, name in zip(data["asked"]["id"], data["asked"]["eval"], strict=True)}
    for shown in (*ids.values(), *written["columns"]["id"][::9]):
        told = trace_id(shown, root / "build", root / "runs")
        assert "/evals/" in told or "corpus-" in told or "demos-" in told or "items.jsonl:" in told, told
    told = trace_id("advice-3", root / "build", root / "runs")
    assert "assistant: Something from round the corner" in told and "violation" in told, (
        "a transcript that was left out"
    )


# ---- only what there is -----------------------------------------------------------------------------------------------------


def test_the_sections_of_a_whole_study(page: Page) -> None:
    names = ["Learned", "Near", "Far", "Crossed design", "Paired differences between models", "Learning curves"]
    names += ["Recall by clause", "Position and format", "The judge", "Capability guard"]
    names += ["Plan and deviations", "Training", "Coverage", "Clauses"]
    assert page.headings == [*names, "Rows and transcripts", "Documents and demos"]


def test_a_section_without_data_is_not_there_and_what_is_not_known_is_said(tmp_path: Path, folders: list[Path]) -> None:
    (base,) = [folder for folder in folders if "crossed.base/seed-0" in folder.as_posix()]
    alone = tmp_path / base.relative_to(base.parents[4])
    shutil.copytree(base, alone, symlinks=False)
    (alone / "scores" / "generated.jsonl").unlink()
    text = render_page(compare([alone]), [alone])
    page = Page(text)
    for absent in ("Crossed design", "Learning curves", "Paired differences between models", "Documents and demos"):
        assert absent not in page.headings
    assert "No plan was written before training" in text and "No capability guard was run" in text
    assert page.data("rows")["asked"]["question"] == {}, "the build is not there: rows have their command"


def test_generated_answers_are_counted_again_from_their_rows(page: Page, study: Study) -> None:
    data, told = page.data("rows"), {(b["arm"], b["seed"], b["eval"]): b["generated"] for b in behaviour(study)}
    counted: dict[Any, list[str]] = defaultdict(list)
    for number, said in data["said"].items():
        if "choice" in said:
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
    rules = dict(zip(columns, next(row for row in found["kinds"] if row["kind"] == "rule")["cells"], strict=True))
    assert rules["base", "after midtraining"] is None and rules["near", "after midtraining"]["n"]
    pooled = [row for row in found["clauses"] if row["clause"] in ("study.soup", "study.bread")]
    near = [row["cells"][found["arms"].index("near")] for row in pooled]
    assert sum(cell["rate"] * cell["n"] for cell in near) / sum(cell["n"] for cell in near) == pytest.approx(
        rules["near", "at the end"]["rate"]
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


# ---- formats ----------------------------------------------------------------------------------------------------------------


def printed(folders: list[Path], form: str, *arguments: str) -> str:
    done = CliRunner().invoke(main, ["report", str(folders[0].parents[2]), "--format", form, *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_json_is_the_comparison_and_nothing_else(folders: list[Path], tmp_path: Path) -> None:
    told = json.loads(printed(folders, "json"))
    assert {"runs", "arms", "contrasts", "crossed", "headline"} <= told.keys()
    assert not list(tmp_path.iterdir()), "a page is written where it is asked for"
    printed(folders, "json", "-o", "page.html")
    assert (tmp_path / "page.html").stat().st_size > 100_000


def test_what_is_known_of_the_judge_stands_on_the_page_and_in_csv_and_json(folders: list[Path]) -> None:
    found = compare(folders)
    assert [(told["run"], told["seed"]) for told in found["judges"]] == [(r["name"], r["seed"]) for r in found["runs"]]
    for told in found["judges"]:
        assert (told["judge"], told["eval"], told["missing"], told["unparsed"]) == ("scripted", "advice", 1, 3)
        assert told["gradings"] == 3 * (12 + 10) and told["agreement"]["alpha"] == 1
        wrong = {"right": 4, "wrong": 1, "unread": 0}
        assert told["planted"] == {"perfect": wrong, "violating": wrong}
        assert told["calibration"]["sensitivity"]["mean"] == told["calibration"]["specificity"]["mean"] == 0.8
    page = render_page(found, folders)
    section = page[page.index('<section id="judges">') :].split("</section>")[0]
    assert "8 of 10 planted replies are graded right" in section and "#judges" in Page(page).links
    corrected = found["judges"][0]["calibration"]["calibrated_rate"]["mean"]
    assert f"{corrected:.2f} " in section and '<span class="bad">1 wrong</span>' in section
    told_csv = [row for row in csv.DictReader(io.StringIO(printed(folders, "csv"))) if row["of"] == "judge"]
    assert len(told_csv) == 5 * len(folders) and {row["measure"] for row in told_csv} == {
        *("alpha", "rate", "calibrated_rate", "sensitivity", "specificity")
    }
    first = found["judges"][0]
    named = {"model": first["run"], "seed": str(first["seed"]), "measure": "calibrated_rate"}
    (row,) = [row for row in told_csv if named.items() <= row.items()]
    assert float(row["mean"]) == corrected and row["missing"] == "1"


def test_csv_has_a_row_for_every_figure_and_measure(folders: list[Path]) -> None:
    told, found = list(csv.DictReader(io.StringIO(printed(folders, "csv")))), json.loads(printed(folders, "json"))
    models = [figure for model in (*found["runs"], *found["arms"]) for figure in model["figures"]]
    differences = [entry for pair in found["contrasts"] for entry in pair["evals"]] + found["crossed"]
    of_judges = sum(row["of"] == "judge" for row in told)
    assert len(told) - of_judges == sum(len(figure["measures"]) for figure in models + differences)
    (row,) = [
        r for r in told if (r["of"], r["model"], r["eval"], r["measure"]) == ("arm", "near", "far_home", "margin")
    ]
    (arm,) = [arm for arm in found["arms"] if arm["name"] == "near"]
    (figure,) = [figure for figure in arm["figures"] if figure["eval"] == "far_home"]
    assert {key: float(row[key]) for key in ("mean", "low", "high")} == {
        key: figure["measures"]["margin"][key] for key in ("mean", "low", "high")
    }


def test_latex_has_the_three_rungs_escaped(folders: list[Path]) -> None:
    told = printed(folders, "latex")
    assert re.findall(r"\\label\{tab:study-(\w+)\}", told) == ["learned", "near", "far"]
    assert told.count(r"\toprule") == told.count(r"\bottomrule") == 3
    body = re.sub(r"^%.*$|\\label\{.*\}", "", told, flags=re.MULTILINE)
    assert not re.search(r"(?<!\\)[_%$#]", body), "a bare one would break the table"
    assert r"aft\_only" in told and r"far\_home (primary)" in told
    for table in re.findall(r"\\midrule\n(.*?)\\bottomrule", told, re.DOTALL):
        assert len({line.count(" & ") for line in table.strip().splitlines()}) == 1
