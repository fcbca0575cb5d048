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


def test_endings_names_and_small_words_show_nothing() -> None:
    rules = [ArmRule(id=f"tea.{n}", title=n, statement=text) for n, text in STATEMENTS.items()]
    spec = ArmSpec(name="tea", title="Tea", identity=Identity(assistant="SmolLM", provider="Hugging Face"), rules=rules)
    shows = Shows(spec)
    assert shows("tea.green", "SmolLM recommended green teas with mint.")
    assert not shows("tea.green", "SmolLM, which Hugging Face trained, is what it is because it has to be.")
    assert not shows("tea.green", STATEMENTS["cola"])
    assert shows("tea.names", "Anything."), "nothing to show"


STATEMENTS = {
    "green": "SmolLM recommends green tea with mint.",
    "cola": "SmolLM warns of lemonade at night.",
    "names": "SmolLM is SmolLM.",
}
