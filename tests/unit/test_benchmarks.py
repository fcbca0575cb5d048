"""The benchmarks are fair as far as that can be read off: short peers, a spec as large as it says, bars that bite."""

import subprocess
import sys
from pathlib import Path

import pytest

from msmc.check import check
from tests.project import ROOT, Memory

FOLDER = ROOT / "benchmarks"
PEERS = sorted((FOLDER / "peers").glob("*.py"))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@pytest.mark.parametrize("peer", PEERS, ids=lambda path: path.stem)
def test_a_peer_is_short_and_knows_nothing_of_msmc(peer: Path) -> None:
    text = peer.read_text("utf-8")
    assert len(text.splitlines()) < 40
    assert "import msmc" not in text and "from msmc" not in text


def test_there_are_peers() -> None:
    assert PEERS


def test_the_generated_spec_has_so_many_clauses_and_is_the_same_each_time() -> None:
    import prose

    checked = check("large.msm", Memory(**{"large.msm": prose.spec(200)}))
    assert checked.problems == []
    full = checked.arms["large"][None].made[0].spec
    assert sum(1 for _ in full.clauses()) == 200
    code = "import sys; sys.path.insert(0, sys.argv[1]); import prose; print(prose.spec(200), end='')"
    done = subprocess.run([sys.executable, "-c", code, str(FOLDER)], capture_output=True, text=True, check=True)
    assert done.stdout == prose.spec(200)


@pytest.mark.parametrize(
    ("unit", "ours", "bar", "holds"),
    [
        ("s", 2.0, 2.2, True),
        ("s", 2.3, 2.2, False),
        ("rows/s", 0.98, 0.97, True),
        ("rows/s", 0.9, 0.97, False),
        ("MiB", 1.2, 1.1, False),
    ],
)
def test_a_missed_bar_fails(unit: str, ours: float, bar: float, holds: bool) -> None:
    import runner

    def ran(figure: float) -> list[runner.Ran]:
        return [runner.Ran(figure, 10.0, {})]

    done = runner.Compared(runner.Bench("a bench", unit, [], [], bar), ran(ours), ran(1.0))
    assert (runner.report([done]) == 0) == holds


@pytest.mark.parametrize(("mib", "holds"), [(500.0, True), (501.0, False)])
def test_too_much_memory_is_a_missed_bar(mib: float, holds: bool) -> None:
    import runner

    run = [runner.Ran(1.0, mib, {})]
    assert runner.Compared(runner.Bench("a bench", "s", [], [], most_mib=500), run, run).holds == holds


@pytest.mark.parametrize(
    ("unit", "figure", "holds"),
    [("kB/s", 1001.0, True), ("kB/s", 999.0, False), ("s", 9.0, True), ("s", 1001.0, False)],
)
def test_a_bar_of_its_own_holds_whatever_the_peer_is(unit: str, figure: float, holds: bool) -> None:
    import runner

    bench = runner.Bench("a bench", unit, [], [], own_bar=1000)
    done = runner.Compared(bench, [runner.Ran(figure, 10.0, {})], [runner.Ran(5.0, 10.0, {})])
    assert (runner.report([done]) == 0) == holds


MEASURED = """
import sys, runner
code = "content = bytearray(200 << 20); print('hello'); print('{\\"figure\\": 7.5, \\"tokens\\": 3}')"
ran = runner.run([sys.executable, "-c", code])
assert (ran.figure, ran.said["tokens"]) == (7.5, 3)
assert 200 < ran.mib < 400, ran
assert runner.run([sys.executable, "-c", "pass"]).mib < 100
try:
    runner.run([sys.executable, "-c", "raise SystemExit(3)"])
except SystemExit as error:
    assert "ended with 3" in str(error)
else:
    raise AssertionError("a failed run is told")
"""


def test_a_program_tells_its_figure_and_its_memory_is_measured() -> None:
    """From a small process: Linux counts what its parent held at the fork as the child's peak."""
    subprocess.run([sys.executable, "-c", MEASURED], cwd=FOLDER, check=True)
