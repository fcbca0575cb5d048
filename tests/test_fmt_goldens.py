"""`golden/fmt/<name>.msm`: a source, and below `# ---- formatted` what becomes of it; `identity.msm` is in the style already."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from msmc.source import SourceFile
from msmc.syntax import ast
from msmc.syntax.format import formatted
from msmc.syntax.parse import parse
from tests.project import ROOT

FOLDER = Path(__file__).parent / "golden" / "fmt"
CASES = sorted(set(FOLDER.glob("*.msm")) - {FOLDER / "identity.msm"})
MARK = "\n# ---- formatted\n"


def fmt(text: str) -> str:
    found, problems = formatted(SourceFile("main.msm", text.encode()))
    assert found is not None and problems == []
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_format(case: Path, update_golden: bool) -> None:
    source, _, expected = case.read_text("utf-8").partition(MARK)
    found = fmt(source)
    if update_golden:
        case.write_text(f"{source}{MARK}{found}", "utf-8")
        expected = found
    assert found == expected
    assert fmt(found) == found


@pytest.mark.parametrize(
    "path", [FOLDER / "identity.msm", *sorted(ROOT.glob("specs/**/*.msm"))], ids=lambda path: path.stem
)
def test_what_is_in_the_style_stays_as_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert fmt(text) == text


def test_every_construct_stands_in_the_identity_golden() -> None:
    tree, _ = parse(SourceFile("main.msm", (FOLDER / "identity.msm").read_bytes()))
    assert {cls.__name__ for cls in ast.Ast.__subclasses__()} - set(_classes(tree)) == set(), "how is it laid out?"


def _classes(node: object) -> Iterator[str]:
    if isinstance(node, ast.Ast):
        yield type(node).__name__
        node = tuple(vars(node).values())
    for part in node if isinstance(node, tuple) else ():
        yield from _classes(part)
