"""`msmc compile` of a generated spec of 1,000 clauses, in rows per second, against writing the same rows and nothing else.

Ours is the whole process: start, parse, resolve, check, plan, render and hash, and write 12,000 rows with their prefixes. The
floor has the rows in memory and is timed from the first `json.dumps` to the last byte handed over, through one buffered
stream per file. No bar: the figure to watch is the ratio.
"""

import json
import shutil
import tempfile
from pathlib import Path

from prose import spec
from runner import BIN, Bench, Compared, Ran, compare, python, script

CLAUSES = 1000
PER_CLAUSE = 10


def measure() -> list[Compared]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "large.msm"
        source.write_text(spec(CLAUSES), "utf-8")
        options = ["-o", f"{folder}/build", "--set", f"documents.per_clause={PER_CLAUSE}", "--quiet"]
        ours = [str(BIN / "msmc"), "compile", str(source), *options]
        peer = python("peers/dump_rows.py", f"{folder}/build/large/full", f"{folder}/floor")
        build = Path(folder) / "build"
        bench = Bench(f"compile {CLAUSES:,} clauses", "s", ours, peer)
        done = compare(bench, before=lambda: shutil.rmtree(build, ignore_errors=True))
        manifest = json.loads((Path(folder) / "build/large/full/manifest.json").read_text("utf-8"))
    num_rows = sum(entry.get("rows", 0) for entry in manifest["files"].values())
    assert all(ran.said["rows"] == num_rows for ran in done.peer)
    bench = done.bench._replace(unit="rows/s")
    return [Compared(bench, _rates(done.ours, num_rows), _rates(done.peer, num_rows))]


def _rates(runs: list[Ran], num_rows: int) -> list[Ran]:
    return [ran._replace(figure=num_rows / ran.figure) for ran in runs]


if __name__ == "__main__":
    script(measure)
