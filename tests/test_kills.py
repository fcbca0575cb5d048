"""`kill -9` at random points of a whole run: the same command finishes the job, to the same bytes."""

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT
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
