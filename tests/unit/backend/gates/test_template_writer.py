"""The offline writer passes the gates that stop a run: what they found in its texts would be a mistake of theirs or of its."""

from pathlib import Path

from msmc.backend.gates import Gates
from msmc.backend.gates.written import OF_THE_WRITER
from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tree import read_tree
from msmc.compile import compile
from msmc.digest import seed_of
from msmc.disk import ProjectSources
from msmc.library import Library
from msmc.project import store_tree
from tests.project import ROOT, cpu

TRIES = 3


def test_no_text_of_template_stops_a_run_in_any_of_its_tries_nor_from_the_reserve(tmp_path: Path) -> None:
    sources = ProjectSources(ROOT)
    outcome = compile(sources, "specs/cheese/america.msm", cpu())
    arm = read_tree(store_tree(outcome, tmp_path / "build", tmp_path / "runs")).full
    gates, writer = Gates(arm), TemplateWriter(arm.spec, Library(sources))
    rows = [*arm.documents(), *(row for rows in arm.reserve().values() for row in rows)]
    tries = [
        row.model_copy(update={"seed": seed_of("attempt", row.seed, n)}) if n else row
        for row in rows
        for n in range(TRIES)
    ]
    found = [(row.id, one) for row in tries if (one := gates.find(writer.write(row), row.cell))]
    assert len(tries) >= 300
    assert not [(id, one) for id, one in found if one.gate in OF_THE_WRITER]
    assert len(found) <= 0.02 * len(tries), "others take few"
