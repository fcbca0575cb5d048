"""The gates over 100,000 documents of 600 words: at most 10 minutes and 3 GB on two cores.

`python benchmarks/gates_large.py [--documents N]`. Prose without meaning (`prose.py`), each with a sentence of the spec, so that
every gate looks at every document and none of them takes many. With fewer documents the seconds for 100,000 are told too.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from prose import sentences

from msmc.backend.drafting import Drafted
from msmc.backend.gates.written import Gates
from msmc.backend.tree import Arm, read_tree
from msmc.build import Cell, DocumentRow
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.project import load_target, store_tree

ROOT = Path(__file__).parents[1]
MOST_SECONDS, MOST_GB = 600.0, 3.0
WHOLE, WORDS = 100_000, 600


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as place:
        target = load_target("cpu", ROOT, ("documents.per_clause=1",))
        outcome = compile(ProjectSources(ROOT), "specs/cheese/america.msm", target)
        tree = read_tree(store_tree(outcome, Path(place) / "build", Path(place) / "runs"))
        started, before = time.perf_counter(), time.process_time()
        gates = Gates(tree.full)
        kept, taken = gates.written(_drafted(tree.full, gates, options.documents))
        seconds, cpu = time.perf_counter() - started, time.process_time() - before
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    reasons = dict.fromkeys(row["gate"] for row in taken)
    told = {"documents": options.documents, "kept": len(kept), "taken by": list(reasons), "seconds": round(seconds, 1)}
    told |= {
        "cpu_seconds": round(cpu, 1),
        "cpu_seconds_for_100000": round(cpu * WHOLE / options.documents),
        "gb": round(gigabytes, 2),
    }
    print(json.dumps(told))
    return int(seconds * WHOLE / options.documents > MOST_SECONDS or gigabytes > MOST_GB)


def _drafted(arm: Arm, gates: Gates, number: int) -> Iterator[Drafted]:
    """Each of a planned row's cell, with its clause's text in the middle; its making is timed with the gates."""
    draw, rows, texts = random.Random(0), list(arm.documents()), dict(arm.spec.texts())
    for n in range(number):
        row = rows[n % len(rows)]
        clause = texts[row.cell.clause]
        half = (WORDS - len(clause.split())) // 2
        text = f"{sentences(draw, half)} SmolLM and Hugging Face.\n\n{clause}\n\n{sentences(draw, half)}"
        cell = Cell.model_validate({**row.cell.model_dump(), "n": n})
        moved = DocumentRow.model_validate({**row.model_dump(), "id": f"doc-{n}", "cell": cell})
        yield Drafted(moved, text, gates.reason(moved, text), {"writer": "template"})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=WHOLE)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
