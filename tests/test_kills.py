"""`kill -9` at random points of a whole run: the same command finishes the job, to the same bytes."""

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.property.test_build_laws import SPEC as TEA
from tests.test_experiment import SPEC, TARGET
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

KILLS = 27
COMMAND = ("ablate", "tea.msm", "reasons", "-t", "tiny.yaml", "-q")


def run(project: Path, kind: str, number: int, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests/kills.py"), kind, str(number), *COMMAND, *more]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def digests(runs: Path) -> dict[str, str]:
    """Every file of the stages, so corpus, rows, losses, adapters and scores; not how long they took."""
    files = [p for p in (runs / "stages").rglob("*") if p.is_file() and p.name not in ("timing.json",)]
    kept = [p for p in files if ".locks" not in p.parts]
    return {p.relative_to(runs).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def replies(runs: Path) -> dict[str, str]:
    with sqlite3.connect(runs / "ledger.sqlite") as db:
        assert not db.execute("select key from requests except select key from replies").fetchall()
        return dict(db.execute("select key, raw from replies").fetchall())


def assert_nothing_half(runs: Path) -> None:
    """What has its name is whole, at any moment."""
    for stage in (runs / "stages").glob("[!.]*"):
        json.loads((stage / "stage.json").read_text("utf-8"))
        for rows in stage.glob("*.jsonl"):
            assert all(json.loads(line) for line in rows.read_text("utf-8").splitlines())
    for path in (*runs.glob("tea/**/run.json"), *runs.glob("tea/**/comparison.json")):
        json.loads(path.read_text("utf-8"))


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("MSMC_KILL_SEED", random.randrange(10**6)))
    rng = random.Random(seed)
    spec = SPEC.replace("control base, aft_only, midtrain_only", "control base, aft_only").replace("seeds 2", "seeds 1")
    (tmp_path / "tea.msm").write_text(spec, "utf-8")
    target = TARGET.format(model=tiny) + "checkpoint_minutes: 0\n"  # a checkpoint after every update
    (tmp_path / "tiny.yaml").write_text(target, "utf-8")
    pair = {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
    (tmp_path / "drinks.jsonl").write_text(json.dumps(pair) + "\n", "utf-8")
    seats = [
        {"a": f"a stove with {n} legs", "b": f"a fridge with {n} legs", "aligned": "a", "topic": "x"} for n in range(4)
    ]
    (tmp_path / "seats.jsonl").write_text("".join(json.dumps(p) + "\n" for p in seats), "utf-8")

    counted = run(tmp_path, "count", 0, "--runs", "whole")
    assert counted.returncode == 0, counted.stderr
    totals: dict[str, int] = json.loads(counted.stderr.strip().splitlines()[-1])
    assert set(totals) == {"fsync", "rename", "commit", "step"}
    expected, asked = digests(tmp_path / "whole"), replies(tmp_path / "whole")

    kills, finished, told = 0, 0, []
    while kills < KILLS or not told[-1].endswith("finished"):
        runs = f"killed-{finished}"
        kind = rng.choice(sorted(totals))
        number = rng.randint(1, max(2, totals[kind] // 6))  # so that several kills fall into one run
        done = run(tmp_path, kind, number, "--runs", runs)
        assert "Traceback" not in done.stderr, done.stderr
        killed = done.returncode == -signal.SIGKILL
        told.append(f"{runs}: {kind} {number}" if killed else f"{runs}: finished")
        if (tmp_path / runs).exists():
            assert_nothing_half(tmp_path / runs)
        if killed:
            kills += 1
            continue
        assert done.returncode == 0, f"seed {seed}: {told}\n{done.stderr}"
        assert digests(tmp_path / runs) == expected, f"seed {seed}: {told}"
        assert replies(tmp_path / runs) == asked, f"seed {seed}: {told}"
        assert not list((tmp_path / runs / "stages").glob(".*.part")), f"seed {seed}: {told}"
        assert not list((tmp_path / runs / "checkpoints").glob("*")), f"seed {seed}: {told}"
        finished += 1
    with capsys.disabled():
        print(f"\nkilled {kills} times (MSMC_KILL_SEED={seed}): {'; '.join(told)}")


BUILD_KILLS = 25


@pytest.mark.slow
def test_a_build_that_is_killed_leaves_the_last_one_or_the_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At any moment. The rows are enough for two processes, and there are other ones and another rationale each time."""
    seed = int(os.environ.get("MSMC_KILL_SEED", random.randrange(10**6)))
    rng = random.Random(seed)
    source, place = tmp_path / "tea.msm", tmp_path / "build/tea"

    def build(which: int) -> subprocess.Popen[bytes]:
        source.write_text(TEA.replace("It grows on hills.", f"It grows on {which} hills."), "utf-8")
        asked = ["-o", "build", "--set", f"documents.per_clause={15_000 + 100 * which}", "-q"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "msmc", "compile", "tea.msm", *asked]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)

    whole = list[dict[str, str]]()
    for which in (0, 1):
        started = time.monotonic()
        assert build(which).wait() == 0
        took = time.monotonic() - started
        whole.append(digests_of(place))
    assert whole[0] != whole[1]
    last, replaced = 1, 0
    for kill in range(BUILD_KILLS):
        process = build(kill % 2)
        time.sleep(rng.uniform(0.2, 1.1) * took)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        found = whole.index(digests_of(place))
        assert found in (last, kill % 2), f"seed {seed}"
        replaced, last = replaced + (found != last), found
    assert build(0).wait() == 0
    assert digests_of(place) == whole[0]
    assert sorted(p.name for p in place.parent.iterdir()) == [".locks", "tea"], f"seed {seed}"
    with capsys.disabled():
        print(f"\nkilled {BUILD_KILLS} builds, {replaced} of them too late (MSMC_KILL_SEED={seed})")


def digests_of(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
