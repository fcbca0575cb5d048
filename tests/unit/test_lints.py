"""Lints: each is told where it is meant to be and nowhere else; what the one that reads prose promises, it keeps."""

import re

import pytest

from msmc.check import check
from msmc.lint.texts import demo_gives_reason, gives_reason
from tests.project import ROOT, Memory

PROSE = ROOT / "tests" / "golden" / "lints" / "demo_gives_reason.txt"
HEAD = 'assistant "SmolLM" by "Hugging Face"'
TEA = 'rule green "Green tea" { statement "{assistant} likes green tea." %s }'
RULES = " ".join(f'rule r{n} "R" {{ statement "{{assistant}} does {n}." %s }}' for n in range(3))


def told(*items: str, **files: str) -> list[str]:
    """The names of what is told of a spec with these declarations."""
    source = "\n".join(['import "lib.msm" as lib'] * bool(files) + ['spec s "S" {', HEAD, *items, "}"])
    others = {name.replace("_", "."): text for name, text in files.items()}
    return [problem.name for problem in check("main.msm", Memory(**{"main.msm": source, **others})).problems]


def replies() -> list[tuple[str, bool, bool]]:
    """Each reply of the golden: whether it gives a reason, and whether the lint is marked as wrong about it."""
    gives, innocent = PROSE.read_text("utf-8").partition("\ngives\n")[2].split("\ninnocent\n")
    lines = [(line, kind) for part, kind in ((gives, True), (innocent, False)) for line in part.split("\n") if line]
    return [(line.removesuffix(" !"), kind, line.endswith(" !")) for line, kind in lines]


def test_the_lint_of_reasons_is_as_right_as_its_docstring_says() -> None:
    found = replies()
    assert sum(gives for _, gives, _ in found) >= 20 and sum(not gives for _, gives, _ in found) >= 20
    hits = sum(gives and gives_reason(reply) is not None for reply, gives, _ in found)
    flagged = sum(gives_reason(reply) is not None for reply, _, _ in found)
    precision, recall = hits / flagged, hits / sum(gives for _, gives, _ in found)
    assert precision >= 0.9
    promised = re.search(r"Precision ([\d.]+), recall ([\d.]+)", demo_gives_reason.__doc__ or "")
    assert promised and (f"{precision:.2f}", f"{recall:.2f}") == promised.groups()


@pytest.mark.parametrize(("reply", "gives", "wrong"), replies())
def test_the_marks_say_where_the_lint_of_reasons_is_wrong(reply: str, gives: bool, wrong: bool) -> None:
    assert (gives_reason(reply) is not None) == (gives != wrong)
