"""Laws of the reserve: further cells of each clause, behind its planned ones in one sequence, the same in every arm."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from msmc.build import RESERVED, Build
from msmc.compile import compile
from tests.project import Memory, cpu

TEA = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It likes what warms." }
  rule green "Green tea" { serves warmth statement "It likes green tea." rationale "It warms hands." }
  rule black "Black tea" { serves warmth statement "It likes black tea." rationale "It wakes." subrule late "Not at night." }
  documents { about values, rules, rationales, subrules  kinds blog_post, letter  audiences engineers  angles origins, "cups" }
  ablation w { arm bare { drop rationale } arm few { keep green }  sweep documents 0.5 3 }
}
"""


def cells(build: Build) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Ids of planned rows and of those in reserve, by clause, in the order of the files."""
    planned, reserve = dict[str, list[str]](), dict[str, list[str]]()
    for artefact in build.artefacts:
        if artefact.path.startswith("documents/") and not artefact.path.endswith("prefixes.jsonl"):
            for row in map(json.loads, artefact):
                found = reserve if artefact.path.startswith(RESERVED) else planned
                found.setdefault(row["cell"]["clause"], []).append(row["id"])
    return planned, reserve


@given(st.integers(1, 6), st.floats(0, 2).map(lambda share: round(share, 2)))
@settings(max_examples=20, deadline=None)
def test_the_reserve_goes_on_where_the_plan_ends(per_clause: int, share: float) -> None:
    sources = Memory(**{"tea.msm": TEA})
    target = cpu(f"documents.per_clause={per_clause}", f"documents.reserve={share}")
    builds = {build.arm: build for build in compile(sources, "tea.msm", target, "w").builds}
    longest, _ = cells(compile(sources, "tea.msm", cpu("documents.per_clause=60"), "w").builds[0])
    full, spare = cells(builds["full"])
    assert builds.keys() > {"w.bare", "w.few"} and len(full) == 6
    for name, build in builds.items():
        planned, reserve = cells(build)
        for clause, ids in planned.items():
            further = reserve.get(clause, [])
            assert ids + further == longest[clause][: len(ids) + len(further)], "one sequence, no cell of it twice"
            assert len(further) == math.ceil(round(share * len(ids), 6))
            assert "@" in name or (ids, further) == (full[clause], spare.get(clause, [])), "whatever the arm"
        assert build.manifest["reserve"] == {clause: len(ids) for clause, ids in reserve.items()}
        assert all(build.manifest["coverage"][clause]["documents"] == len(ids) for clause, ids in planned.items())
