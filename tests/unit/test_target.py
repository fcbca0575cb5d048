"""Targets: every mistake has its place and a next step."""

import pytest

from msmc.diagnostics import Diagnostic
from msmc.source import SourceFile
from msmc.target import Target, read_target
from tests.project import ROOT, cpu

GOOD = (ROOT / "targets" / "cpu.yaml").read_text("utf-8")


def mistakes(text: str, *settings: str) -> list[Diagnostic]:
    found = read_target("cpu", SourceFile("cpu.yaml", text.encode()), settings)
    assert isinstance(found, list)
    return found


def place(problem: Diagnostic, text: str) -> str:
    assert problem.primary
    return text[problem.primary.span.start : problem.primary.span.end]


def test_the_shipped_target_reads() -> None:
    assert cpu().min_steps == 200
    assert cpu("documents.per_clause=50").documents.per_clause == 50
    assert cpu("evaluate.limit=3").evaluate.limit == 3


def test_a_misspelt_key_is_placed_and_has_a_suggestion() -> None:
    text = GOOD.replace("learning_rate", "learning_rat", 1)
    problems = mistakes(text)
    assert {p.name for p in problems} == {"target-invalid"}
    unknown = next(p for p in problems if "not a key" in p.message)
    assert place(unknown, text) == "learning_rat"
    assert unknown.hint == "did you mean `learning_rate`?"


def test_a_wrong_value_says_what_it_is() -> None:
    (problem,) = mistakes(GOOD.replace("per_clause: 3", "per_clause: many"))
    assert problem.message.startswith("`documents.per_clause` takes") and problem.note == "it is `many`"


@pytest.mark.parametrize("text", ["model: [", "- a\n- b\n", "", "just words"])
def test_what_is_no_yaml_mapping(text: str) -> None:
    (problem,) = mistakes(text)
    assert problem.name == "target-not-yaml"


@pytest.mark.parametrize(
    "setting", ["min_steps", "=3", "min_step=3", "model.nam=x", "min_steps.x=1", "documents=3", "min_steps=[1"]
)
def test_bad_settings(setting: str) -> None:
    assert {p.name for p in mistakes(GOOD, setting)} == {"target-invalid"}


def test_the_name_is_not_the_file_s_to_say() -> None:
    target = read_target("mine", SourceFile("x", GOOD.encode()))
    assert isinstance(target, Target) and target.name == "mine"


def test_a_served_writer_is_keys_and_the_template_a_name() -> None:
    assert cpu().served is None and cpu().writer_name == "template" and cpu().price
    target = cpu("writer.kind=openai", "writer.model=m", "writer.price={input: 1, output: 2, date: 2026-11-01}")
    assert target.served and target.writer_name == "m" and target.price and target.price.date == "2026-11-01"
    assert Target.model_validate(target.model_dump(mode="json")) == target
    assert cpu("writer.kind=openai", "writer.model=m").price is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (["writer.kind=openai"], "writer.model"),
        (["writer.model=m"], "writer.kind"),
        (["writer={kind: openai}"], "writer.model"),
        (["writer.kind=openai", "writer.model=m", "writer.price.input=1"], "writer.price.output"),
    ],
)
def test_a_key_that_settings_lack_is_given_by_another_setting(settings: list[str], key: str) -> None:
    (problem,) = mistakes(GOOD, *settings)
    assert problem.message == f"`{key}` is missing" and problem.primary is None
    assert problem.hint == f"give it too: --set {key}={'openai' if key == 'writer.kind' else '…'}"


def test_a_key_that_the_file_lacks_is_added_there() -> None:
    text = GOOD.replace("writer: template", "writer: {kind: openai}")
    (problem,) = mistakes(text, "writer.temperature=0.5")
    assert place(problem, text) == "writer" and problem.hint == "add: model: …"


def test_a_misspelt_key_of_a_writer_has_a_suggestion_at_any_depth() -> None:
    served = ("writer.kind=openai", "writer.model=m")
    (problem,) = mistakes(GOOD, *served, "writer.temprature=1")
    assert problem.hint == "did you mean `temperature`?"
    assert "did you mean `input`?" in {p.hint for p in mistakes(GOOD, *served, "writer.price.inptu=1")}


def test_a_key_that_stands_where_its_name_belongs_is_not_told() -> None:
    (problem,) = mistakes(GOOD, "writer.kind=openai", "writer.model=m", "writer.key=sk-secret")
    assert "sk-secret" not in f"{problem}" and "environment variable" in problem.message
