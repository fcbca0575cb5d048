"""The compiler makes its nodes without pydantic's checks (`model_construct`): here they are made up for."""

from pathlib import Path

import pytest

from msmc.check import check
from msmc.disk import ProjectSources

ROOT = Path(__file__).parents[2]
PICNIC = ROOT / "tests" / "golden" / "build" / "picnic"
SPECS = [(ROOT, f"specs/cheese/{name}.msm") for name in ("america", "affordability", "preferences", "study")]


@pytest.mark.parametrize(("root", "entry"), [*SPECS, (PICNIC, "picnic.msm")], ids=lambda value: str(value)[-20:])
def test_what_the_compiler_makes_is_valid(root: Path, entry: str) -> None:
    checked = check(entry, ProjectSources(root))
    assert checked.problems == []
    for spec in checked.specs:
        assert type(spec).model_validate(spec.model_dump(), strict=True) == spec
        for arm_set in checked.arms[spec.name].values():
            for arm in arm_set.made:
                assert type(arm.spec).model_validate(arm.spec.model_dump(), strict=True) == arm.spec
