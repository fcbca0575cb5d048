"""`msmc check` on the cheese spec, the whole process, against a process that imports pydantic and lark and does nothing.

Fresh processes, warm files. Ours also imports click, loads the kept grammar tables, parses 630 lines in two files, resolves
them, makes every arm and looks for held-out items in its texts. The folder, four specs at once, is told without a bar.
"""

from runner import BIN, ROOT, Bench, Compared, compare, script

PEER = [str(BIN / "python"), "-c", "import pydantic, lark"]


def measure() -> list[Compared]:
    msmc = str(BIN / "msmc")
    return [
        compare(Bench("check america.msm", "s", [msmc, "check", str(ROOT / "specs/cheese/america.msm")], PEER, 2.2)),
        compare(Bench("check specs/cheese", "s", [msmc, "check", str(ROOT / "specs/cheese")], PEER)),
    ]


if __name__ == "__main__":
    script(measure)
