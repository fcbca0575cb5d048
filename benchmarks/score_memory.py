"""Evaluation memory is flat in the number of items: peak memory of ten times as many rows beside that of some.

Ours both times, on a model of one small layer with bytes for a vocabulary, so that what rows cost is seen beside little else.
Forced choice as `msmc run` has it (`Evaluation.run`: all rows scored, some answered, the format control), 20,000 rows and 2,000;
a judged evaluation from the replies to the items, 2,000 questions with long rubrics and 200, graded by a server on loopback.
`python benchmarks/score_memory.py 100` does it with 100 rows and 10 questions, to see that it works.
"""

import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from runner import ROOT, Bench, Compared, compare, python, script
from score_rate import rows

ROWS = 2000
LONG = 16_000
"""Characters of a rubric: rows that were kept would show."""


def questions(number: int) -> list[dict[str, object]]:
    found = []
    for n in range(number):
        meta = {"eval": "open", "item": str(n), "topic": str(n % 20), "rung": "far", "kind": "own"}
        rubric = f"{n} says {'something or other ' * (LONG // 19)}"
        asked = {"id": f"open-{n}", "about": [], "input": f"What do you drink at hour {n}?", "target": rubric}
        found.append(asked | {"metadata": meta})
    return found


def measure(number: int = ROWS) -> list[Compared]:
    template = ROOT / "templates/chat/smollm2.jinja"
    with tempfile.TemporaryDirectory() as folder, judge() as url:
        done = []
        for what, few, made in (("choice", number, lambda n: rows(n // 2)), ("judged", number // 10, questions)):
            commands = {}
            for name, times in (("many", 10), ("few", 1)):
                place = Path(folder) / what / name
                place.mkdir(parents=True)
                lines = (json.dumps(row) + "\n" for row in made(times * few))
                (place / "rows.jsonl").write_text("".join(lines), "utf-8")
                commands[name] = python("work/score_memory.py", what, template, place, url)
            title = {"choice": "rows of forced choice", "judged": "judged questions"}[what]
            bench = Bench(f"memory of {10 * few:,} {title} to {few:,}", "MiB", commands["many"], commands["few"], 1.05)
            done.append(compare(bench, 1, warm=False))
    return done


@contextmanager
def judge() -> Iterator[str]:
    """A judge that likes everything."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            message = {"role": "assistant", "content": "GRADE: 1"}
            told = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
            content = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    script(lambda: measure(number))
