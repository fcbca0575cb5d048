"""`golden/build/<case>/`: sources, and under `expect/` the whole build tree, byte for byte."""

import shutil
from pathlib import Path

import pytest

from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.project import write_tree
from tests.project import cpu

FOLDER = Path(__file__).parent / "golden" / "build"
SMALL = ("documents.per_clause=2", "demos.per_clause=1")
SETTINGS = {"demos": ("demos.per_clause=5",), "context": ("context=spec",)}
"""Of single cases: five chats have all shapes."""


def tree(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text("utf-8") for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("case", sorted(p for p in FOLDER.iterdir()), ids=lambda p: p.name)
def test_build(case: Path, tmp_path: Path, update_golden: bool) -> None:
    outcome = compile(ProjectSources(case), f"{case.name}.msm", cpu(*SMALL, *SETTINGS.get(case.name, ())), "reasons")
    assert outcome.builds, outcome.problems
    built = write_tree(outcome, tmp_path)
    # digests of the templates and the library would change this golden with every passage; what they make is compared below
    for manifest in built.glob("*/manifest.json"):
        lines = manifest.read_text("utf-8").splitlines(True)
        lines = [line for line in lines if '"templates":' not in line and '"inputs":' not in line]
        manifest.write_text("".join(lines), "utf-8")
    if update_golden:
        shutil.rmtree(case / "expect", ignore_errors=True)
        shutil.copytree(built, case / "expect")
    assert tree(built) == tree(case / "expect")
