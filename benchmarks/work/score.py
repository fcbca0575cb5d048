"""Ours in `score_rate.py`: from rows on the disk to scores on the disk, without loading the model."""

import json
import sys
import time
from pathlib import Path

from msmc.backend.eval_rows import StoredRows
from msmc.backend.score import language_model, score_with
from msmc.backend.training import quiet

model, rows, out = map(Path, sys.argv[1:])
with quiet():
    loaded = language_model(model, None, 8)
    started = time.perf_counter()
    asked = StoredRows([rows])
    score_with(loaded, asked, out, lambda done, total: None)
    seconds = time.perf_counter() - started
logprobs = [logprob for line in out.read_text("utf-8").splitlines() for logprob in json.loads(line)["logprobs"]]
print(json.dumps({"figure": len(asked) / 2 / seconds, "logprobs": logprobs}))
