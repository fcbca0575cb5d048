"""Writing through a hosted model: replies per second against a bare loop of the same client, memory, and the first reply of many.

The server answers at once, in a process of its own, to the same requests of a shipped spec's length. Ours is `Ledger.replies`
over the pool of the writer `openai`: every request recorded before it is sent, every reply committed before it is handed on, and
read out of the ledger again. The peer, `peers/openai_loop.py`, keeps nothing. Memory is that of ten times as many replies
beside some, ours both times. Of 1,000 at a time the first reply must be readable by others within a second of its arrival.
`python benchmarks/writing_rate.py 10` does it with a tenth of the requests, to see that it works.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from runner import BENCHMARKS, Bench, Compared, Ran, compare, python, run, script

REPLIES, AT_ONCE, WORDS = 1500, 64, 200
MANY, FEW = 50_000, 5000
CELLS = 1000
ROUNDS = 5
RATIO, FLAT, FIRST = 0.8, 1.05, 1.0


def measure(part: int = 1) -> list[Compared]:
    with server() as port:
        ours, peer = (
            python(path, port, REPLIES // part, AT_ONCE) for path in ("work/writing.py", "peers/openai_loop.py")
        )
        rate = compare(Bench(f"write {REPLIES // part:,} replies", "replies/s", ours, peer, RATIO), ROUNDS)
        many, few = (python("work/writing.py", port, number // part, AT_ONCE) for number in (MANY, FEW))
        flat = Bench(f"memory of {MANY // part:,} replies to {FEW // part:,}", "MiB", many, few, FLAT)
        memory = Compared(flat, [_memory(many)], [_memory(few)])
        cells = python("work/writing.py", port, CELLS, CELLS)
        first = Bench(f"of {CELLS:,} at a time the first is on the disk", "s", cells, cells, own_bar=FIRST)
        waits = [ran._replace(figure=ran.said["first"]) for ran in (run(cells) for _ in range(3))]
    return [rate, memory, Compared(first, waits, waits)]


def _memory(command: list[str]) -> Ran:
    ran = run(command)
    return ran._replace(figure=ran.mib)


@contextmanager
def server() -> Iterator[int]:
    """Its port."""
    command = [sys.executable, str(BENCHMARKS / "work/instant_server.py"), str(WORDS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield int(process.stdout.readline())
        process.stdin.close()


if __name__ == "__main__":
    part = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    script(lambda: measure(part))
