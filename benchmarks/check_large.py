"""`msmc check` of a generated spec of 10,000 clauses and 5 MB: a fresh process; again after an edit; and its parse alone.

Beside each stands lark alone, with the same grammar: parsing the text once, timed from its first token, and doing nothing with
the tree. What is edited is a rule in the middle, within one process, as the language server checks it: its own text changes, and
everything below it moves. The parse is that of a file which was never read before.
"""

import tempfile
from pathlib import Path

from prose import spec
from runner import BIN, ROOT, Bench, Compared, compare, python, script

CLAUSES = 10_000
LENGTH = 1.8
"""Times the words of a usual clause."""
COLD, EDITED, MIB, PARSE = 8, 1, 500, 1.5


def measure() -> list[Compared]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "large.msm"
        source.write_text(spec(CLAUSES, LENGTH), "utf-8")
        size = f"{CLAUSES:,} clauses, {source.stat().st_size / 1e6:.1f} MB"
        lark = python("peers/lark_parse.py", ROOT / "grammar/msm.lark", source)
        cold = Bench(f"check {size}", "s", [str(BIN / "msmc"), "check", str(source)], lark, own_bar=COLD, most_mib=MIB)
        edited = Bench("… one clause edited", "s", python("check_session.py", "edit", source), lark, own_bar=EDITED)
        parsed = Bench("… its parse", "s", python("check_session.py", "parse", source), lark, PARSE)
        return [compare(bench) for bench in (cold, edited._replace(most_mib=MIB), parsed)]


if __name__ == "__main__":
    script(measure)
