"""The page of 20,000 rows: `msmc report` over twelve runs, with statistics, plots and every row, in at most 10 s.

The runs are those of the tests (`tests/study.py`): a compiled spec and written documents, scores drawn at random. The peer reads
the same rows and puts them into a page beside plotly's source, as they are: no figure, no interval, no documents. It is the
floor, so no ratio is asked for. `python benchmarks/report_rows.py 8` takes eight items of each evaluation, to see that it works.
"""

import sys
import tempfile
from pathlib import Path

from runner import BIN, ROOT, Bench, Compared, compare, python, script

sys.path.append(str(ROOT))
from tests.study import make_study

ITEMS = 285
"""Of each of three evaluations: two rows for each of twelve models."""
SECONDS, MIB = 10.0, 500.0


def measure(items: int = ITEMS) -> list[Compared]:
    with tempfile.TemporaryDirectory() as folder:
        runs = make_study(Path(folder), items=items)
        rows = sum(len((run / "scores/scores.jsonl").read_text("utf-8").splitlines()) for run in runs)
        ours = [str(BIN / "python"), "-m", "msmc", "report", f"{folder}/runs", "-o", f"{folder}/ours.html"]
        peer = python("peers/page_of_rows.py", f"{folder}/runs", f"{folder}/peer.html")
        bench = Bench(f"report, {rows:,} rows", "s", ours, peer, own_bar=SECONDS, most_mib=MIB)
        return [compare(bench, 1 if items < ITEMS else 5)]


if __name__ == "__main__":
    items = int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS
    script(lambda: measure(items))
