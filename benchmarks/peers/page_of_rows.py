"""The least that a page of all rows takes: reads them, and writes them beside plotly's source."""

import json
import sys
from pathlib import Path

from plotly.offline import get_plotlyjs

runs, page = Path(sys.argv[1]), Path(sys.argv[2])
rows = {}
for path in sorted(runs.glob("*/*/*/seed-*/scores/*.jsonl")):
    with path.open(encoding="utf-8") as lines:
        rows[path.relative_to(runs).as_posix()] = [json.loads(line) for line in lines]
data = json.dumps(rows).replace("<", "\\u003c")
page.write_text(f"<script>{get_plotlyjs()}</script><script type='application/json'>{data}</script>", "utf-8")
