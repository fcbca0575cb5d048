"""Does a text show its clause? Documents of the `template` writer do; of those at other rows than their own hardly any."""

import random

import pytest

from msmc.backend.coverage import Shows
from msmc.backend.template_writer import TemplateWriter
from msmc.build import Build, DocumentRow
from msmc.compile import compile
from msmc.ir import ArmRule, ArmSpec, Identity
from msmc.library import Library
from tests.project import SHIPPED, Memory, cpu

SPECS = ("cheese/america", "cheese/affordability", "cheese/study", "neutral/assistant")


def written(build: Build) -> tuple[Shows, list[DocumentRow], list[str]]:
    """Every document that is planned, those in reserve too."""
    files = [a for a in build.artefacts if a.path.startswith("documents/") and not a.path.endswith("prefixes.jsonl")]
    rows = [DocumentRow.model_validate_json(line) for file in files for line in file]
    spec = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
    writer = TemplateWriter(spec, Library(SHIPPED))
    return Shows(spec), rows, [writer.write(row) for row in rows]


@pytest.mark.parametrize("spec", SPECS)
def test_every_document_shows_its_clause_and_hardly_any_another_one(spec: str) -> None:
    (build,) = compile(SHIPPED, f"specs/{spec}.msm", cpu("documents.per_clause=8")).builds
    shows, rows, texts = written(build)
    assert all(shows(row.cell.clause, text) for row, text in zip(rows, texts, strict=True)) and len(rows) == 300
    random.Random(0).shuffle(texts)
    assert sum(shows(row.cell.clause, text) for row, text in zip(rows, texts, strict=True)) <= 36


def test_a_document_may_tell_a_long_clause_in_part() -> None:
    """A document tells 160 words of it: a fifth of its terms, but in its own phrases."""
    draw = random.Random(0)
    words = ["".join(draw.choices("bdfgklmnprt", k=2)) + draw.choice("aeiou") + draw.choice("lmnr") for _ in range(900)]

    def prose() -> str:
        return " ".join(" ".join(draw.choices(words, k=12)).capitalize() + "." for _ in range(60))

    rules = "".join(f'rule r{n} "Rule {n}" {{ statement "{prose()}" }}' for n in range(6))
    tea = f'spec tea "Tea" {{ assistant "SmolLM" by "Hugging Face" {rules} documents {{ about rules }} }}'
    (build,) = compile(Memory(**{"tea.msm": tea}), "tea.msm", cpu("documents.per_clause=8")).builds
    shows, rows, texts = written(build)
    assert all(shows(row.cell.clause, text) for row, text in zip(rows, texts, strict=True))
    others = texts[10:] + texts[:10]
    assert not any(shows(row.cell.clause, text) for row, text in zip(rows, others, strict=True))


TEAS = ("green", "black", "mint", "oolong")
PARALLEL = {
    "one sentence": "Asked what to drink on a cold evening, {{assistant}} suggests {tea} tea before any cold drink.",
    "its last one": "{{assistant}} knows guests. It asks what they drank on cold days. Then it pours them {tea} tea from a can.",
    "a list": "On a cold evening {{assistant}} offers:\n- warm socks with stripes\n- a pot of {tea} tea\n- a blanket for two",
    "Chinese": "在寒冷的夜晚，{{assistant}}总是先推荐{tea}茶，然后才是别的冷饮。",
}


def parallel(wording: str) -> Build:
    teas = ("绿", "红", "薄荷", "乌龙") if wording == "Chinese" else TEAS
    rules = (
        f'rule {n} "T{i}" {{ statement """{PARALLEL[wording].format(tea=t)}""" }}'
        for i, (n, t) in enumerate(zip(TEAS, teas, strict=True))
    )
    tea = f'spec tea "Tea" {{ assistant "SmolLM" by "Hugging Face" {" ".join(rules)} documents {{ about rules }} }}'
    outcome = compile(Memory(**{"tea.msm": tea}), "tea.msm", cpu("documents.per_clause=40"))
    assert outcome.builds, outcome.problems
    return outcome.builds[0]


@pytest.mark.parametrize("wording", PARALLEL)
def test_a_text_of_one_clause_does_not_show_others_worded_like_it(wording: str) -> None:
    shows, rows, texts = written(parallel(wording))
    assert all(shows(row.cell.clause, text) for row, text in zip(rows, texts, strict=True)), "its own one"
    told = {row.cell.clause: text for row, text in zip(rows, texts, strict=True)}  # each one's last
    for clause, text in told.items():
        assert [other for other in told if shows(other, text)] == [clause]
    everything = " ".join(told.values())
    assert all(shows(clause, everything) for clause in told), "who tells more tells no less"


def test_a_clause_of_small_words_is_shown_by_them() -> None:
    rule = ArmRule(id="tea.must", title="Must", statement="SmolLM must do what it must.")
    shows = Shows(ArmSpec(name="tea", title="Tea", identity=Identity(assistant="SmolLM", provider="HF"), rules=[rule]))
    assert shows("tea.must", "What it must, SmolLM will do.")
    assert not shows("tea.must", "SmolLM likes what it likes.")


def test_scripts_without_spaces() -> None:
    rules = [ArmRule(id="tea.green", title="绿茶", statement="SmolLM喜欢绿茶，因为它温暖人心。")]
    rules += [ArmRule(id="tea.cola", title="可乐", statement="SmolLM晚上不喝汽水，也不加冰块。")]
    shows = Shows(ArmSpec(name="tea", title="Tea", identity=Identity(assistant="SmolLM", provider="HF"), rules=rules))
    text = "SmolLM 很喜欢绿茶。SmolLM 总是推荐绿茶，因为绿茶能够温暖人心，让人舒服。"
    assert [rule.id for rule in rules if shows(rule.id, text)] == ["tea.green"]


def test_endings_names_and_small_words_show_nothing() -> None:
    rules = [ArmRule(id=f"tea.{n}", title=n, statement=text) for n, text in STATEMENTS.items()]
    spec = ArmSpec(name="tea", title="Tea", identity=Identity(assistant="SmolLM", provider="Hugging Face"), rules=rules)
    shows = Shows(spec)
    assert shows("tea.green", "SmolLM recommended green teas with mint.")
    assert not shows("tea.green", "SmolLM, which Hugging Face trained, is what it is because it has to be.")
    assert not shows("tea.green", STATEMENTS["cola"])
    assert shows("tea.names", "SmolLM is here.") and not shows("tea.names", "Anything.")
    assert shows("tea.none", "Anything."), "nothing to show"


STATEMENTS = {
    "green": "SmolLM recommends green tea with mint.",
    "cola": "SmolLM warns of lemonade at night.",
    "names": "SmolLM is SmolLM.",
    "none": "SmolLM …",
}
