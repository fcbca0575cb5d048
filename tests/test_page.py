"""The page and the figures that `msmc report` prints: all of the rows, nothing that runs, and the same every time."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from msmc.backend.comparison import compare
from msmc.backend.page.embedded import embedded, stratified
from msmc.backend.page.rows import rows
from msmc.backend.page.study import Study
from msmc.backend.page.texts import texts
from msmc.backend.report import render_page
from msmc.stored import read_jsonl
from msmc.trace import trace_id
from tests.read_page import Page, led_to
from tests.study import NASTY

pytest_plugins = ("tests.drawn_page",)

ASKED_BY_THE_BUILD = ("knows", "trained", "near_home", "far_home", "far_thrift")


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


def test_what_was_asked_before_fine_tuning_is_on_the_page(page: Page, study: Study) -> None:
    data = page.data("rows")
    before = led_to(data, {"when": ["after midtraining"]})
    asked = [row for n in range(len(study.folders)) for _, row in study.stage_rows(n, "scores-after-*/scores.jsonl")]
    models = {data["lines"]["model"][line] for line in before}
    assert len(before) == len(asked) + 40 * len(models), "and forty rows of the format control of each"
    assert {data["models"][model]["arm"] for model in models} == {"near", "thrifty"}


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
        assert (str(number) in data["asked"]["question"]) == (name in ASKED_BY_THE_BUILD), "others have transcripts"


def test_what_is_too_much_for_a_page_is_sampled_evenly_and_counted(study: Study) -> None:
    full, some = rows(study), rows(study, budget=60_000)
    assert full["left_out"] == 0
    assert some["left_out"] == len(full["said"]) - len(some["said"]) > 0
    assert some["lines"] == full["lines"], "scores are never left out"
    assert {some["lines"]["model"][int(n)] for n in some["said"]} == set(range(len(study.folders)))
    few = texts(study, budget=5_000)
    assert few["left_out"] and few["columns"] == texts(study)["columns"]


def test_no_more_than_twenty_million_bytes_of_transcripts_as_they_stand_in_the_page(
    folders: list[Path], tmp_path: Path
) -> None:
    """Of the constant itself, and of characters that take several bytes or are escaped."""
    place = tmp_path / "project"
    shutil.copytree(folders[0].parents[4], place, symlinks=True)
    some = place / folders[0].relative_to(folders[0].parents[4])
    items = some / "judged-advice" / "items.jsonl"
    row = next(read_jsonl(items))
    said = {"messages": [{"role": "assistant", "content": "<é>" * 100_000}]}  # 300,000 characters are 1.4 MB
    with items.open("w", encoding="utf-8") as lines:
        for n in range(20):
            lines.write(json.dumps(row | {"id": f"advice-{n}", "item": str(n), "transcript": said}) + "\n")
    found = rows(Study(compare([some]), [some]))
    size = len(embedded([found["said"], found["asked"]["question"]]).encode())
    assert found["left_out"] and 18_000_000 < size <= 20_000_000


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
        places = ("/evals/", "corpus-", "demos-", "items.jsonl:")
        control = shown.startswith("format_control-")  # of no spec: it has its scores
        assert ("mean margin" in told) if control else any(place in told for place in places), told
    told = trace_id("advice-3", root / "build", root / "runs")
    assert "assistant: Something from round the corner" in told and "violation" in told, (
        "a transcript that was left out"
    )


# ---- only what there is -----------------------------------------------------------------------------------------------------


def test_the_sections_of_a_whole_study(page: Page) -> None:
    names = [
        "Learned",
        "Near",
        "Far",
        "The author's own",
        "Crossed design",
        "Paired differences between models",
        "Learning curves",
    ]
    names += ["Recall by clause", "Position and format", "The judge", "Capability guard"]
    names += ["Plan and deviations", "Training", "Coverage", "Health of the corpora", "Clauses"]
    assert page.headings == [*names, "Rows and transcripts", "Documents and demos"]


def test_what_is_known_of_the_judge_stands_on_the_page(text: str, page: Page, comparison: dict[str, Any]) -> None:
    section = text[text.index('<section id="judges">') :].split("</section>")[0]
    assert "8 of 10 planted replies are graded right" in section and "#judges" in page.links
    corrected = comparison["judges"][0]["calibration"]["calibrated_rate"]["mean"]
    assert f"{corrected:.2f} " in section and '<span class="bad">1 wrong</span>' in section


def test_every_corpus_has_its_health_once(text: str, page: Page, folders: list[Path]) -> None:
    section = text[text.index('<section id="health">') :].split("</section>")[0]
    corpora = {(folder / "corpus").resolve() for folder in folders if (folder / "corpus").is_dir()}
    shown = [min(20, len(list(read_jsonl(corpus / "midtrain.jsonl")))) for corpus in corpora]
    assert section.count('class="read"') == sum(shown)
    assert "#health" in page.links and "document-lengths" in page.data("figures")
    for corpus in corpora:
        told = json.loads((corpus / "health.json").read_text("utf-8"))
        spent = json.loads((corpus / "timing.json").read_text("utf-8"))
        assert f"{told['repetition']['distinct'][1]:.3f}" in section and f"{told['lengths']['total']:,}" in section
        assert told["documents"] == len(list(read_jsonl(corpus / "midtrain.jsonl"))) and spent["seconds"] > 0
        for document in told["drawn"]:
            assert document["id"] in section and f'href="#clause-{document["cell"]["clause"]}"' in section
    assert len(page.data("figures")["document-lengths"]["data"]) == len(corpora)


def test_a_section_without_data_is_not_there_and_what_is_not_known_is_said(tmp_path: Path, folders: list[Path]) -> None:
    (base,) = [folder for folder in folders if "crossed.base/seed-0" in folder.as_posix()]
    alone = tmp_path / base.relative_to(base.parents[4])
    shutil.copytree(base, alone, symlinks=False)
    (alone / "scores" / "generated.jsonl").unlink()
    text = render_page(compare([alone]), [alone])
    page = Page(text)
    named = ("Crossed design", "Learning curves", "Paired differences between models", "Documents and demos")
    for absent in (*named, "Health of the corpora"):
        assert absent not in page.headings
    assert "the file of what was registered is gone" in text and "No capability guard was run" in text
    assert page.data("rows")["asked"]["question"] == {}, "the build is not there: rows have their command"
