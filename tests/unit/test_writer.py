"""The template writer: deterministic, about the assistant, without reasons where the arm has none."""

import re

import pytest

from msmc.backend import gates
from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tree import Arm, read_tree
from msmc.compile import compile
from msmc.diagnostics import Failed
from msmc.library import Library
from msmc.project import ProjectSources, write_tree
from msmc.prose import sentences
from tests.project import ROOT, cpu

REASONS = re.compile(r"\b(because|reason|reasons|rationale|why|values?|argument|motive|therefore)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arm]:
    source = (ROOT / "specs/cheese/america.msm").read_text("utf-8").rstrip().removesuffix("}")
    folder = tmp_path_factory.mktemp("project")
    (folder / "america.msm").write_text(source + " ablation w { arm rules { drop value, rationale } } }", "utf-8")
    (folder / "preferences.msm").write_bytes((ROOT / "specs/cheese/preferences.msm").read_bytes())
    (folder / "items").symlink_to(ROOT / "specs/cheese/items")
    outcome = compile(ProjectSources(folder), "america.msm", cpu(), "w")
    assert outcome.problems == ()
    return read_tree(write_tree(outcome, folder / "build")).arms


def documents(arm: Arm) -> dict[str, str]:
    writer = TemplateWriter(arm.spec, Library(ProjectSources(ROOT)))
    return {row.id: writer.write(row) for row in arm.documents()}


def test_the_same_rows_give_the_same_documents_and_no_two_alike(arms: dict[str, Arm]) -> None:
    first = documents(arms["full"])
    assert first == documents(arms["full"])
    assert len(set(first.values())) == len(first) == 120


def test_documents_are_about_the_assistant_and_of_a_fair_length(arms: dict[str, Arm]) -> None:
    for text in documents(arms["full"]).values():
        assert "SmolLM" in text and "{" not in text
        assert 100 <= len(text.split()) <= 350, text


def test_a_rationale_s_document_argues_it(arms: dict[str, Arm]) -> None:
    arm = arms["full"]
    written = documents(arm)
    reasons = {c.id: sentences(c.text)[0] for c in arm.spec.clauses() if c.kind == "rationale"}
    for row in arm.documents():
        if row.cell.clause in reasons:
            assert reasons[row.cell.clause] in " ".join(written[row.id].split()), row.id


def test_a_rules_only_arm_gives_no_reason(arms: dict[str, Arm]) -> None:
    full = arms["full"].spec
    given = [
        s
        for n in (*full.values, *full.rules)
        for s in re.split(r"(?<=\.)\s+", " ".join((n.rationale or "").split()))
        if s
    ]
    for text in documents(arms["w.rules"]).values():
        assert not REASONS.search(text), text
        assert not any(sentence in text for sentence in given)


def test_a_document_that_names_a_held_out_item_is_kept_from_training(arms: dict[str, Arm]) -> None:
    row, other = list(arms["full"].documents())[:2]
    kept, quarantined = gates.gate(
        arms["full"], [(row, "SmolLM likes Wisconsin brick cheese."), (other, "SmolLM likes tea.")]
    )
    assert [r["id"] for r in kept] == [other.id]
    assert quarantined[0]["id"] == row.id and "america_near" in str(quarantined[0]["reason"])


@pytest.mark.parametrize("text", ["", "SmolLM on {topic}.", "<think>SmolLM", "ChatGPT likes tea."])
def test_a_broken_writer_stops_the_run(arms: dict[str, Arm], text: str) -> None:
    row = next(iter(arms["full"].documents()))
    with pytest.raises(Failed) as failed:
        gates.gate(arms["full"], [(row, text)])
    assert failed.value.problems[0].name == "gate-failed" and row.id in failed.value.problems[0].note
