"""A million rows: `msmc compile` of a generated spec of 1,000 clauses with 1,000 documents each, in one arm; and, in the build
that this leaves, `msmc compile` again after one rationale was edited, and `msmc plan`.

Ours is the whole process each time, from nothing but the source for the first. The floor has the same rows in memory, and is
timed from the first `orjson.dumps` to the last byte handed over. Rows are as long as they are where an author names readers and
angles in words of their own, a line each: 700 bytes and more. The edit's peer and the plan's is the first compile.
"""

import json
import random
import shutil
import tempfile
from pathlib import Path

from prose import sentences, spec
from runner import BIN, Bench, Compared, Ran, compare, python, run, script

CLAUSES = PER_CLAUSE = 1000
READERS, ANGLES, WORDS = 40, 80, 11
ROUNDS = 3
LEAST_BYTES = 700
SECONDS, MIB, RATIO, EDIT, PLAN = 60, 400 / 2, 4, 2, 5
"""Memory is measured of the larger one of two processes: each may have half."""
ABOUT = "about values, rules, rationales, subrules"


def measure() -> list[Compared]:
    with tempfile.TemporaryDirectory() as folder:
        source, build = Path(folder) / "large.msm", Path(folder) / "build"
        source.write_text(large(), "utf-8")
        # no finetuning worth the name: the spec has no chats, which `plan` would not let pass
        asked = ["-o", str(build), "--set", f"documents.per_clause={PER_CLAUSE}", "--set", "documents.reserve=0"]
        asked += ["--set", "min_steps=1"]
        ours = [str(BIN / "msmc"), "compile", str(source), *asked, "--quiet"]
        peer = python("peers/dump_orjson.py", build / "large/full", f"{folder}/floor")
        bench = Bench(f"compile {CLAUSES * PER_CLAUSE:,} rows", "s", ours, peer, RATIO, SECONDS, MIB)
        whole = compare(bench, ROUNDS, warm=False, before=lambda: shutil.rmtree(build, ignore_errors=True))
        said = whole.peer[0].said
        assert said["rows"] >= CLAUSES * PER_CLAUSE and said["bytes"] >= said["rows"] * LEAST_BYTES, said
        edits = [edited(source, number, ours, build) for number in range(ROUNDS)]
        planned = [str(BIN / "msmc"), "plan", str(source), *asked]
        plans = [run(planned) for _ in range(ROUNDS)]
    edit = Bench("… one rationale edited", "s", ours, ours, own_bar=EDIT, most_mib=MIB)
    plan = Bench("… msmc plan of it", "s", planned, ours, own_bar=PLAN)
    return [whole, Compared(edit, edits, whole.ours), Compared(plan, plans, whole.ours)]


def large() -> str:
    """The spec, with readers and angles in its author's words."""
    draw = random.Random(CLAUSES)
    readers, angles = ([sentences(draw, WORDS).rstrip(".") for _ in range(size)] for size in (READERS, ANGLES))
    lists = (
        f"{axis} {', '.join(map(json.dumps, texts))}" for axis, texts in (("audiences", readers), ("angles", angles))
    )
    return spec(CLAUSES).replace(f"documents {{ {ABOUT} }}", f"documents {{ {ABOUT} {' '.join(lists)} }}")


def edited(source: Path, number: int, command: list[str], build: Path) -> Ran:
    """The same command after a word was added to a rationale in the middle; it must have come into the build."""
    text = source.read_text("utf-8")
    at = text.index('rationale "', text.index("rule rule_120 ")) + len('rationale "')
    source.write_text(f"{text[:at]}Edited {number} times. {text[at:]}", "utf-8")
    ran = run(command)
    assert f"Edited {number} times." in (build / "large/full/documents/prefixes.jsonl").read_text("utf-8")
    return ran


if __name__ == "__main__":
    script(measure)
