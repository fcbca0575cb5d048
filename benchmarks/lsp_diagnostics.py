"""`msmc lsp`: from a change in a file of 1,000 clauses to its diagnostics, against a server that answers without a look.

Both speak through pygls with the same client, which sends the whole text (290 kB) at each change, as editors do to a server that
asks for whole texts. One change at a time, then ten at once: what was superseded must not be waited for.
"""

import tempfile
from pathlib import Path

from prose import spec
from runner import BIN, Bench, Compared, compare, python, script

CLAUSES = 1000
LIMIT = 0.1
SERVER = [str(BIN / "msmc"), "lsp"]
ECHO = python("peers/lsp_echo.py")


def measure() -> list[Compared]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "large.msm"
        source.write_text(spec(CLAUSES), "utf-8")
        return [
            compare(
                Bench(
                    f"lsp, {CLAUSES:,} clauses, {what}",
                    "s",
                    python("lsp_session.py", source, fast, *SERVER),
                    python("lsp_session.py", source, fast, *ECHO),
                    own_bar=LIMIT if fast == 1 else None,
                )
            )
            for what, fast in (("a change", 1), ("ten changes at once", 10))
        ]


if __name__ == "__main__":
    script(measure)
