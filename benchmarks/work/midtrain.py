"""Ours in `train_throughput.py`: msmc's midtraining stage, timed from the end of its first update to the end of its last."""

import json
import shutil
import sys
import time
from pathlib import Path

from msmc.backend.midtrain import midtrain

model, rows, plan, out = map(Path, sys.argv[1:])
shutil.rmtree(out, ignore_errors=True)
ends: list[float] = []
result = midtrain(plan, rows, model, None, out, 0, 1, lambda *_: ends.append(time.perf_counter()))
seen = [json.loads(line)["tokens"] for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
print(json.dumps({"figure": (seen[-1] - seen[0]) / (ends[-1] - ends[0]), "tokens": result.tokens}))
