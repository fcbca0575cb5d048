"""Evaluation memory is flat in the number of items: peak memory of scoring 20,000 rows beside that of 2,000.

Ours both times, on a model of one small layer with bytes for a vocabulary, so that what rows cost is seen beside little else:
rows are read and made requests of batch by batch, and written as they come. `python benchmarks/score_memory.py 100` scores 100
rows and ten times as many, to see that it works.
"""

import json
import sys
import tempfile
from pathlib import Path

from runner import ROOT, Bench, Compared, compare, python, script
from score_rate import rows

ROWS = 2000


def measure(number: int = ROWS) -> list[Compared]:
    template = ROOT / "templates/chat/smollm2.jinja"
    with tempfile.TemporaryDirectory() as folder:
        for name, times in (("few", 1), ("many", 10)):
            lines = (json.dumps(row) + "\n" for row in rows(times * number // 2))
            (Path(folder) / f"{name}.jsonl").write_text("".join(lines), "utf-8")
        many, few = (
            python("work/score_memory.py", template, f"{folder}/{name}.jsonl", f"{folder}/out.jsonl")
            for name in ("many", "few")
        )
        bench = Bench(f"memory of {10 * number:,} rows to {number:,}", "MiB", many, few, 1.05)
        return [compare(bench, 1, warm=False)]


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    script(lambda: measure(number))
