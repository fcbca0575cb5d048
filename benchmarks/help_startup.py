"""`msmc --help`, the whole process, against a process that imports pydantic and lark and does nothing."""

from check_startup import PEER
from runner import BIN, Bench, Compared, compare, script


def measure() -> list[Compared]:
    return [compare(Bench("msmc --help", "s", [str(BIN / "msmc"), "--help"], PEER, 1.5))]


if __name__ == "__main__":
    script(measure)
