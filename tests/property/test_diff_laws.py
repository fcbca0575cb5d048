"""Laws of `msmc diff`: what means nothing is no difference, words come back whole, counts are those of the files."""

import json
import random
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from msmc.compile import compile
from msmc.diff.difference import Difference, Settings, difference
from msmc.diff.sides import Source, side, stored
from msmc.diff.words import word_diff
from msmc.disk import ProjectSources
from msmc.project import write_tree
from msmc.prose import one_line
from tests.project import cpu
from tests.property.test_language_laws import CORE

SETTINGS = Settings(ablation="w", settings=("documents.per_clause=2", "demos.per_clause=2"))
EDITS = [
    ("{assistant} takes care.", "{assistant} takes great care."),
    ("People are worth it.", "Everybody is worth it."),
    ("stays calm", "keeps calm"),
    ("A guess costs more.", "A guess is dear."),
    ('"Waiting"', '"Patience"'),
    ("In a moment.", "Soon."),
    ("serves care, calm", "serves calm"),
    ("rule wait", "rule pause"),
    ("drop rationale, value", "drop rationale"),
    ('"SmolLM" by', '"Bot" by'),
    ("about values, rules, rationales", "about values, rules"),
    ("demos chats", "demos talks"),
]


def text_of(declarations: list[str]) -> str:
    return 'spec s "S" {\n' + "\n".join(declarations) + "\n}"


def between(folder: Path, old: str, new: str, given: Settings = SETTINGS) -> Difference:
    for name, text in (("old", old), ("new", new)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "s.msm").write_text(text, "utf-8")
    return difference(side(str(folder / "old/s.msm")), side(str(folder / "new/s.msm")), given)


@settings(max_examples=15, deadline=None)
@given(st.permutations(CORE), st.integers(0, 2**16))
def test_order_layout_comments_and_version_are_no_difference(declarations: list[str], seed: int) -> None:
    rng = random.Random(seed)
    parts = [part for d in declarations for part in re.split(r'("[^"]*")', d)]
    spaced = [
        p if p.startswith('"') else p.replace(" ", rng.choice([" ", "\n\n", "\t", "  # a comment\n"])) for p in parts
    ]
    messy = text_of(["".join(spaced), 'version "9.9.9"'])
    with TemporaryDirectory() as folder:
        found = between(Path(folder), text_of(CORE), messy)
    assert found.nodes == [] and found.rows is not None and not found.rows.any and not found.changed


def rows_of(build: Path) -> dict[str, dict[tuple[str, str], tuple[list[str], Any]]]:
    """By arm each row's artefact and id, with its clauses and all that it sends or shows: by brute force, from files."""
    found: dict[str, dict[tuple[str, str], tuple[list[str], Any]]] = {}
    for path in build.glob("*/*/*.jsonl"):
        artefact, arm = path.parent.name, path.parent.parent.name
        prefixes = {}
        if (path.parent / "prefixes.jsonl").exists():
            lines = (path.parent / "prefixes.jsonl").read_text("utf-8").splitlines()
            prefixes = {p["name"]: p["messages"] for p in map(json.loads, lines)}
        for row in map(json.loads, path.read_text("utf-8").splitlines() if path.name != "prefixes.jsonl" else ()):
            shown = [row.get(key) for key in ("prompt", "messages", "input", "choices", "target")]
            about = row["about"] if artefact == "evals" else row["about"][:1]
            found.setdefault(arm, {})[artefact, row["id"]] = about, [prefixes.get(row.get("prefix")), shown]
    return found


def by_brute_force(old: Path, new: Path) -> Counter[tuple[str, ...]]:
    """How many rows of each arm, clause and artefact are in each state."""
    before, after = rows_of(old), rows_of(new)
    found: Counter[tuple[str, ...]] = Counter()
    for arm in before.keys() | after.keys():
        left, right = before.get(arm, {}), after.get(arm, {})
        for key in left.keys() | right.keys():
            state = "new" if key not in left else "gone" if key not in right else "unchanged"
            if state == "unchanged" and left[key][1] != right[key][1]:
                state = "stale"
            for clause in (right if key in right else left)[key][0]:
                found[arm, clause, key[0], state] += 1
    return found


def counted(found: Difference) -> Counter[tuple[str, ...]]:
    assert found.rows is not None
    states = ("stale", "new", "gone", "unchanged")
    return Counter(
        {
            (arm, clause, artefact, state): getattr(count, state)
            for arm, clauses in found.rows.table.items()
            for clause, counts in clauses.items()
            for artefact, count in counts.items()
            for state in states
            if getattr(count, state)
        }
    )


@settings(max_examples=12, deadline=None)
@given(st.sets(st.sampled_from(EDITS), max_size=4), st.sets(st.sampled_from(CORE[:1]), max_size=1))
def test_stale_rows_are_those_whose_files_differ(edits: set[tuple[str, str]], left_out: set[str]) -> None:
    """Sources against sources, a build against sources and builds against builds: all count what the files say."""
    old = text_of(CORE)
    new = text_of([d for d in CORE if d not in left_out])
    if left_out:
        new = new.replace("serves care, calm", "serves calm")
    for before, after in edits:
        new = new.replace(before, after)
    with TemporaryDirectory() as name:
        folder = Path(name)
        found = between(folder, old, new)
        target = cpu(*SETTINGS.settings)
        for what in ("old", "new"):
            outcome = compile(ProjectSources(folder / what), "s.msm", target, "w")
            assert {problem.severity for problem in outcome.problems} <= {"warning"}
            write_tree(outcome, folder / what / "build")
        builds = [folder / what / "build" / "s" for what in ("old", "new")]
        expected = by_brute_force(*builds)
        assert counted(found) == expected
        assert counted(difference(stored(str(builds[0])), stored(str(builds[1])), Settings())) == expected
        mixed = difference(stored(str(builds[0])), Source("new", "s.msm", ProjectSources(folder / "new")), Settings())
        assert counted(mixed) == expected, "target and ablation are the build's"
        assert bool(found.nodes) == (old != new)


@given(st.text(st.sampled_from("ab.,'é \n"), max_size=60), st.text(st.sampled_from("ab.,'é \n"), max_size=60))
def test_words_come_back_whole(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    if one_line(old) == one_line(new):
        assert pieces == []
    else:
        assert "".join(p.text for p in pieces if p.sign != "+") == one_line(old)
        assert "".join(p.text for p in pieces if p.sign != "-") == one_line(new)


def test_a_small_edit_of_a_long_text_is_a_small_difference() -> None:
    words = [f"word{random.Random(i).randrange(3000)}" for i in range(50_000)]
    new = [*words[:20_000], "here", *words[20_000:40_000], "there", *words[40_000:]]
    sentence = ". ".join(" ".join(words[i : i + 10]).capitalize() for i in range(0, 50_000, 10))
    found = word_diff(sentence, sentence.replace(words[20_001], "else", 1))
    assert [p.text for p in found if p.sign == "+"] == ["else"]
    kept = [p.text for p in word_diff(" ".join(words), " ".join(new)) if p.sign == "="]
    assert sum(map(len, kept)) > 0.5 * len(" ".join(words)), (
        "without sentences to compare, at least what both begin and end with"
    )
