"""Laws of building again: over any earlier build, whole or damaged, a build is what it is from nothing."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from msmc.compile import compile
from msmc.project import write_tree
from tests.project import SHIPPED, Memory, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "It warms." rationale "Warm hands write better." }
  rule green "Green" { serves warmth  statement "{assistant} drinks green tea." rationale "It grows on hills."
    subrule at_night "At night {assistant} drinks mint." }
  rule black "Black" { statement "Black tea is for mornings." }
  documents { about values, rules, rationales, subrules }
  demos chats chat { about rules }
  eval knows recall { about values, rules }
  ablation w { arm bare { drop rationale } arm short { drop subrule } control aft_only }
}
"""
CELL = SHIPPED["shipped:templates/documents/cell.jinja"].decode()
ANGLES = SHIPPED["shipped:templates/documents/angles.yaml"].decode()
EDITS: tuple[tuple[str, str], ...] = (
    ("It grows on hills.", "It grows on terraces."),
    ("Warm hands write better.", "Warm hands type faster."),
    ('"Green"', '"Green tea"'),
    ("drinks mint", "has a mint tea"),
    ("Black tea is for mornings.", "Black tea is for the morning."),
    ("rule black", "rule brown"),
    ("serves warmth  statement", "statement"),
    ('rationale "It grows on hills."', ""),
    ("  documents {", '  rule white "White" { statement "White tea is rare." }\n  documents {'),
    ("subrules }", "subrules kinds blog_post, minutes }"),
    ("subrules }", 'subrules angles origins, "what a guest would say" }'),
    ("about values, rules, rationales, subrules", "about values, rules"),
    ("SmolLM", "Smol"),
    ("spec tea", "# a comment\nspec tea"),
)
TARGETS = ((), ("documents.per_clause=5",), ("documents.per_clause=2",), ("min_steps=5",), ("demos.per_clause=2",))
TEMPLATES = (
    {},
    {"shipped:templates/documents/cell.jinja": CELL.replace("Readers", "For")},
    {"shipped:templates/documents/cell.jinja": CELL + "{% set x = clause %}About: {{ x }}\n"},
    {"shipped:templates/documents/angles.yaml": ANGLES.replace("Where in the spec", "Where, in the spec,")},
)
DAMAGE = ("none", "none", "cut", "changed", "gone", "manifest", "everything")


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def damage(place: Path, how: str, at: int) -> None:
    """What somebody may do to a build."""
    rows = sorted(place.glob("*/documents/*.jsonl"))
    file = rows[at % len(rows)]
    if how == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    elif how == "changed":
        file.write_bytes(file.read_bytes().replace(b"Readers", b"Leaders", 1))
    elif how == "gone":
        file.unlink()
    elif how == "manifest":
        (place / "full/manifest.json").write_text("{", "utf-8")
    elif how == "everything":
        for path in rows:
            path.write_bytes(b"")


BUILDS = st.tuples(
    st.sets(st.sampled_from(EDITS), max_size=3),
    st.sampled_from(TARGETS),
    st.sampled_from(TEMPLATES),
    st.sampled_from((None, "w")),
    st.sampled_from(DAMAGE),
    st.integers(0, 50),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(BUILDS, min_size=2, max_size=4))
def test_a_build_over_another_is_a_build_from_nothing(builds: list[tuple]) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder:
        for n, (edits, target, templates, ablation, how, at) in enumerate(builds):
            source = SPEC
            for old, new in sorted(edits):
                source = source.replace(old, new)
            outcome = compile(Memory(**{"tea.msm": source}, **templates), "tea.msm", cpu(*target), ablation)
            assert outcome.builds, outcome.problems
            place = write_tree(outcome, Path(folder) / "build")
            assert tree(place) == tree(write_tree(outcome, Path(folder) / f"fresh-{n}"))
            damage(place, how, at)
