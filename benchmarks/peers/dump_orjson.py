"""The floor of a large compilation: BUILD's rows, already in memory, dumped by orjson and written to OUT."""

import json
import sys
import time
from pathlib import Path

import orjson

build, out = map(Path, sys.argv[1:])
files = {path.relative_to(build): path for path in sorted(build.rglob("*.jsonl"))}
rows = {path: [orjson.loads(line) for line in file.open("rb")] for path, file in files.items()}
num_bytes = sum(file.stat().st_size for file in files.values())
for path in rows:
    (out / path).parent.mkdir(parents=True, exist_ok=True)
    (out / path).unlink(missing_ok=True)
started = time.perf_counter()
for path, content in rows.items():
    with (out / path).open("wb", buffering=1 << 20) as stream:
        for row in content:
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
print(json.dumps({"figure": time.perf_counter() - started, "rows": sum(map(len, rows.values())), "bytes": num_bytes}))
