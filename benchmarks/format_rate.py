"""`msmc fmt` of a generated spec of 8,000 clauses, nearly all prose, in kB of source per second; the bar is 1 MB/s.

Ours is the whole process: start, read, parse, lay out, prove that nothing but white space changed, and write. Every line of the
spec is indented otherwise than fmt would, so every line changes. Beside it lark alone, with the same grammar: parsing the text
once, in a process that is timed from its first token, and doing nothing with the tree.
"""

import re
import tempfile
from pathlib import Path

from prose import spec
from runner import BIN, ROOT, Bench, Compared, Ran, compare, python, script

CLAUSES = 8000
BAR = 1000


def measure() -> list[Compared]:
    text = re.sub(r"^ +", lambda match: "\t" + 3 * match[0], spec(CLAUSES), flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "large.msm"
        source.write_text(text, "utf-8")
        ours = ["/bin/sh", "-c", f"exec {BIN}/msmc fmt - < {source} > {folder}/formatted.msm"]
        peer = python("peers/lark_parse.py", ROOT / "grammar/msm.lark", source)
        done = compare(Bench(f"format {len(text) / 1e6:.1f} MB", "kB/s", ours, peer, own_bar=BAR))
    return [Compared(done.bench, [_rate(ran, text) for ran in done.ours], [_rate(ran, text) for ran in done.peer])]


def _rate(ran: Ran, text: str) -> Ran:
    return ran._replace(figure=len(text.encode()) / 1000 / ran.figure)


if __name__ == "__main__":
    script(measure)
