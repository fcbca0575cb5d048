"""The floor of a compilation: BUILD's rows, already in memory, dumped and written to OUT."""

import json
import sys
import time
from pathlib import Path

build, out = map(Path, sys.argv[1:])
files = {path.relative_to(build): path.read_text("utf-8").splitlines() for path in sorted(build.rglob("*.jsonl"))}
rows = {path: [json.loads(line) for line in lines] for path, lines in files.items()}
for path in rows:
    (out / path).parent.mkdir(parents=True, exist_ok=True)
dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
started = time.perf_counter()
for path, content in rows.items():
    with (out / path).open("w", encoding="utf-8", buffering=1 << 20) as stream:
        for row in content:
            stream.write(dumps(row) + "\n")
print(json.dumps({"figure": time.perf_counter() - started, "rows": sum(map(len, rows.values()))}))
