"""lark alone: the seconds it takes to parse a file with a grammar, once that is loaded."""

import gc
import json
import sys
import time
from pathlib import Path

import lark


class Names:
    """The words of `msm.lark` may be names anywhere."""

    always_accept = ("NAME",)

    def process(self, stream):
        return stream


grammar = lark.Lark(
    Path(sys.argv[1]).read_text("utf-8"),
    parser="lalr",
    propagate_positions=True,
    maybe_placeholders=True,
    postlex=Names(),
)
text = Path(sys.argv[2]).read_text("utf-8")
gc.set_threshold(100_000)
started = time.perf_counter()
grammar.parse(text)
print(json.dumps({"figure": time.perf_counter() - started}))
