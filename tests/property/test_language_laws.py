"""Laws of the language: text arrives unharmed, order and layout mean nothing, every span lies in its file."""

import json
import random
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msmc.compile import Outcome, check, compile
from msmc.source import SourceFile
from msmc.syntax.parse import parse
from msmc.syntax.text import HOLE, read_literal
from tests.project import Memory, cpu

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# every character but the surrogates, which UTF-8 has not, and CR, which is read as LF
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=80)
CORE = [
    'value care "Care" { statement "{assistant} takes care." rationale "People are worth it." }',
    'value calm "Calm" { statement "{assistant} stays calm." }',
    'rule ask "Asking" { serves care, calm statement "{assistant} asks first." rationale "A guess costs more." }',
    'rule wait "Waiting" { serves calm statement "{assistant} waits." example now { user "Now?" assistant "In a moment." } }',
    "documents { about values, rules, rationales }",
    "demos chats chat { about rules }",
    "eval knows recall { about values, rules }",
    'assistant "SmolLM" by "Hugging Face"',
    "ablation w { arm bare { drop rationale, value } control base }",
]
DECLARATIONS = [
    *CORE[:-1],
    'rule tell { was say serves care rationale for care "They ask." rationale "So." statement style kind "Yes, {place}." }',
    'rule hear { subrule z "Z." subrule a { rationale "R." statement "A." } statement general "H." statement specific "Hears." }',
    'param place "here"',
    'rule nod { priority hard statement style kind "Nods." statement style terse "N." }',
    "style kind",
    "ablation w { arm bare { drop rationale, value } arm half { drop example keep tell, wait } control base vary both }",
]


def escape(text: str) -> str:
    found = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return found.replace("{", "\\{")


@QUICK
@given(TEXT)
def test_any_text_survives_a_string(text: str) -> None:
    quoted, problems = read_literal("f", f'"{escape(text)}"', 0)
    assert (quoted.text.plain, problems, quoted.holes) == (text, [], ())


@QUICK
@given(TEXT.filter(lambda t: '"""' not in t and not t.endswith('"') and "\\" not in t))
def test_any_text_survives_a_block(text: str) -> None:
    body = "\n".join("    " + line for line in text.replace("{", "\\{").split("\n"))
    source = SourceFile("f", f'value v {{ statement """\n{body}\n    """ }}'.encode())
    tree, problems = parse(source)
    assert tree is not None and problems == []

    # white space alone on a line is layout
    def trim(t: str) -> list[str]:
        return [line if line.strip(" \t") else "" for line in t.split("\n")]

    statement = tree.items[0].items[0]  # type: ignore[union-attr]
    indent = min((len(x) - len(x.lstrip(" \t")) for x in text.split("\n") if x.strip(" \t")), default=0)
    assert trim(statement.text.plain) == [line[indent:] for line in trim(text)]  # type: ignore[attr-defined]


@QUICK
@given(st.text(st.sampled_from("ab{}$\\ %\"'é🧀"), max_size=30))
def test_braces_are_text_unless_they_name_something(text: str) -> None:
    quoted, _ = read_literal("f", f'"""\n{text} .\n"""', 0)
    assert [hole.word for hole in quoted.holes] == [m[1] for m in re.finditer(HOLE, text)]


def built(source: str) -> Outcome:
    outcome = compile(Memory(**{"s.msm": source}), "s.msm", cpu("documents.per_clause=3"), "w")
    assert {problem.severity for problem in outcome.problems} <= {"warning"}
    return outcome


def content(outcome: Outcome) -> dict[str, str]:
    return {f"{b.arm}/{a.path}": "".join(a) for b in outcome.builds for a in b.artefacts if a.path != "sourcemap.json"}


@settings(max_examples=15, deadline=None)
@given(st.permutations(DECLARATIONS), st.integers(0, 2**16))
def test_order_layout_and_comments_mean_nothing(declarations: list[str], seed: int) -> None:
    rng = random.Random(seed)
    spaced = [
        re.sub(r"(?<=[{}]) ", lambda _: rng.choice([" ", "\n\n", "\t", "  # a comment\n"]), d) for d in declarations
    ]
    plain = 'spec s "S" {\n' + "\n".join(DECLARATIONS) + "\n}"
    messy = 'spec s "S" {\n' + "\n# more\n".join(spaced) + "\n}"
    # braces within texts are not layout
    messy = (
        messy.replace("{assistant}  # a comment\n", "{assistant} ")
        .replace("{assistant}\n\n", "{assistant} ")
        .replace("{assistant}\t", "{assistant} ")
    )
    assert content(built(plain)) == content(built(messy))


def test_every_row_is_about_placed_nodes_and_every_span_is_in_its_file() -> None:
    source = 'spec s "S" {\n' + "\n".join(DECLARATIONS) + "\n}"
    for build in built(source).builds:
        files = {a.path: "".join(a) for a in build.artefacts}
        places = json.loads(files["sourcemap.json"])
        for path, text in files.items():
            if path.endswith(".jsonl") and "prefixes" not in path:
                for row in map(json.loads, text.splitlines()):
                    assert row["about"] and set(row["about"]) <= places.keys()
    found = check("s.msm", Memory(**{"s.msm": source}))
    assert all(0 <= s.start < s.end <= len(source) for s in found.spans.values())


def test_arms_never_change_evals_and_share_ids() -> None:
    outcome = built('spec s "S" {\n' + "\n".join(DECLARATIONS) + "\n}")
    files = content(outcome)
    assert files["full/evals/knows.jsonl"] == files["w.bare/evals/knows.jsonl"]
    full = [json.loads(line) for line in files["full/documents/ask.jsonl"].splitlines()]
    bare = [json.loads(line) for line in files["w.bare/documents/ask.jsonl"].splitlines()]
    shared = {(r["id"], r["seed"]) for r in full} & {(r["id"], r["seed"]) for r in bare}
    assert shared == {(r["id"], r["seed"]) for r in bare}, "every cell of the smaller arm is in the larger one"
    assert any(f["prompt"] == b["prompt"] for f in full for b in bare), "and the clause's own prompt is the same"
