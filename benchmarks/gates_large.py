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
from itertools import islice
from pathlib import Path

from prose import sentences

from msmc.backend.drafting import Drafted
from msmc.backend.gates.written import Gates
from msmc.backend.tree import Arm, read_tree
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.project import load_target, store_tree

ROOT = Path(__file__).parents[1]
MOST_SECONDS, MOST_GB = 600.0, 3.0
WHOLE, WORDS, CLAUSES = 100_000, 600, 30


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as place:
        target = load_target("cpu", ROOT, (f"documents.per_clause={-(-options.documents // CLAUSES)}",))
        outcome = compile(ProjectSources(ROOT), "specs/cheese/america.msm", target)
        tree = read_tree(store_tree(outcome, Path(place) / "build", Path(place) / "runs"))
        corpus = Path(place) / "corpus"
        with corpus.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(text) + "\n" for text in _texts(tree.full, options.documents))
        started, before = time.perf_counter(), time.process_time()
        gates = Gates(tree.full)
        kept, taken = gates.written(_drafted(tree.full, gates, corpus))
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


def _texts(arm: Arm, number: int) -> Iterator[str]:
    """With the text of a planned row's clause in the middle."""
    draw, texts = random.Random(0), {clause.id: clause.text for clause in arm.spec.clauses()}
    for row in islice(arm.documents(), number):
        clause = texts[row.cell.clause]
        half = (WORDS - len(clause.split())) // 2
        yield f"{sentences(draw, half)} SmolLM and Hugging Face.\n\n{clause}\n\n{sentences(draw, half)}"


def _drafted(arm: Arm, gates: Gates, corpus: Path) -> Iterator[Drafted]:
    with corpus.open(encoding="utf-8") as file:
        for row, line in zip(arm.documents(), file, strict=False):
            text = json.loads(line)
            yield Drafted(row, text, gates.reason(row, text), {"writer": "template"})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=WHOLE)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
