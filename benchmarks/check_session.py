"""One process that parses a file, or checks it again after each of some edits. `check_session.py parse|edit FILE`

Prints the seconds of the parse, or the median of 7 checks, as `{"figure": …}`.
"""

import gc
import json
import statistics
import sys
import time
from pathlib import Path

from msmc.check import check
from msmc.source import SourceFile
from msmc.syntax.parse import parse

TIMES = 7


def parsed(text: str) -> float:
    parse(SourceFile("small.msm", b'spec s "S" { }'))  # the tables are loaded, as the peer's are
    source = SourceFile("large.msm", text.encode())
    started = time.perf_counter()
    parse(source)
    return time.perf_counter() - started


def edited(text: str) -> float:
    check("large.msm", {"large.msm": text.encode()})
    rule = text.rindex("\n  rule ", 0, len(text) // 2)
    middle = text.index("statement", rule) + len('statement "')
    seconds = []
    for _ in range(TIMES):
        text = f"{text[:middle]}Word {text[middle:]}"
        content = text.encode()
        started = time.perf_counter()
        checked = check("large.msm", {"large.msm": content})
        seconds.append(time.perf_counter() - started)
        assert not checked.problems
    return statistics.median(seconds)


if __name__ == "__main__":
    gc.set_threshold(100_000)  # as the commands, the language server and the peer have it
    figure = {"parse": parsed, "edit": edited}[sys.argv[1]](Path(sys.argv[2]).read_text("utf-8"))
    print(json.dumps({"figure": figure}))
