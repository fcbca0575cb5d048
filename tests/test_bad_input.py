"""What msmc says of bad input: `golden/bad_input/<area>/<case>.txt`, a shell script with what stands below each command.

A case is a few lines `# why`, then commands as a user types them. Below a command stand its exit code and all of its standard
error, where the one is not 0 or the other is not empty. `-- NAME --` at the end begins a file that the case needs, `(escaped)`
after its name says that backslashes in it are bytes. Every case finds `tea.msm` and `tiny.yaml` of `golden/bad_input/files`.
Its folder is shown as `FOLDER`. Settings among the first lines:

    # leaves: build runs     what a failing command may leave behind besides what it found, none of it half-written
    # errors: 2              how many mistakes are told, where it is not one a failing command
    # disk: runs 300k        a folder on a disk of its own that is so small
    # fine                   nothing is told: this is as it should be
    # slow                   runs in `make test-slow` only

Commands may use `$TINY` (a whole, tiny model), `$DONE` (a finished run of `tea.msm` on it), `$HUB` (a server that has the model
`someone/tiny`), `$BREAKING` (the same, but it breaks off in the middle of the weights) and `$NOWHERE` (no server).
`pytest --update-golden` rewrites what stands below the commands; read the diff as prose.
"""

import codecs
import ctypes
import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from msmc.cli import main
from msmc.diagnostics import CODES
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

FOLDER = Path(__file__).parent / "golden" / "bad_input"
BIN = Path(sys.executable).parent
HEAD = re.compile(r"^error\[([a-z0-9-]+)\]: .*   \(MSM\d{3}\)$", re.MULTILINE)
NEVER = re.compile(
    r"Traceback|\b[A-Z][a-z]\w*(Error|Exception)\b|<class|object at 0x|NoneType|\bdict\b|\bstr\b|PosixPath|pydantic"
    r"|validation error|Exception ignored|\b_NL\b|\b[LR](BRACE|PAR|SQB)\b|\b__ANON|\$END|Token\(|0x[0-9a-f]{6}"
)
"""What no message shows: tracebacks, names of Python's types, terminals of the grammar."""
DIGESTS = re.compile(r"\b(corpus|demos|midtrain|finetune|scores|tea|seed-\d|smollm2-135m-instruct)-[0-9a-f]{8,12}\b")
HALF = re.compile(r"\.(part|fresh|old)$|\.incomplete$")


@dataclass
class Case:
    """One golden file."""

    path: Path
    heading: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """What stands below each command."""
    files: str = ""
    """The rest, from the first `-- NAME --` on."""

    @classmethod
    def read(cls, path: Path) -> "Case":
        case = cls(path)
        script, mark, files = path.read_text("utf-8").partition("\n-- ")
        case.files = (mark + files).removeprefix("\n") if mark else ""
        for line in script.rstrip("\n").split("\n"):
            if line.startswith("$ "):
                case.commands.append(line[2:])
                case.expected.append("")
            elif case.commands:
                case.expected[-1] += line + "\n"
            else:
                case.heading.append(line)
        return case

    def written(self, outcomes: list[str]) -> str:
        blocks = [f"$ {command}\n{outcome}" for command, outcome in zip(self.commands, outcomes, strict=True)]
        return "".join([*(line + "\n" for line in self.heading), *blocks, self.files])

    def setting(self, name: str) -> str | None:
        return next(
            (line.split(":", 1)[-1].strip() for line in self.heading if re.match(rf"# {name}(:|$)", line)), None
        )

    def set_up(self, folder: Path) -> None:
        shutil.copytree(FOLDER / "files", folder, dirs_exist_ok=True)
        parts = re.split(r"^-- (.+?)( \(escaped\))? --\n", self.files, flags=re.MULTILINE)[1:]
        for name, escaped, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            content = codecs.escape_decode(text.rstrip("\n").encode())[0] if escaped else text.encode()
            (folder / name).write_bytes(content)  # type: ignore[arg-type]


CASES = [Case.read(path) for path in sorted(FOLDER.glob("*/*.txt"))]


# ---- what cases use -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of all cases."""
    folder = tmp_path_factory.mktemp("shared")
    kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
    return kept | {
        "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(folder),
        "MSMC_CACHE": str(folder / "msmc"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_ETAG_TIMEOUT": "3",
        "PYTHONUTF8": "1",
        "COLUMNS": "160",
        "OMP_NUM_THREADS": "2",
    }


@pytest.fixture(scope="session")
def finished(shared: dict[str, str], tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tea.msm` run to its end, which takes some ten seconds."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(FOLDER / "files", folder, dirs_exist_ok=True)
    shutil.copytree(tiny, folder / "model")
    command = "msmc run tea.msm -t tiny.yaml"
    done = subprocess.run(command.split(), cwd=folder, env=shared, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def hubs(tiny: Path) -> Iterator[dict[str, str]]:
    """Two hubs with one model, and the address of none."""
    servers = {"HUB": _hub(tiny, whole=True), "BREAKING": _hub(tiny, whole=False)}
    yield {name: f"http://127.0.0.1:{s.server_port}" for name, s in servers.items()} | {"NOWHERE": "http://127.0.0.1:9"}
    for server in servers.values():
        server.shutdown()
        server.server_close()


def _hub(model: Path, whole: bool) -> ThreadingHTTPServer:
    """As much of the hub's protocol as `snapshot_download` uses."""
    import json

    commit = "0123456789abcdef0123456789abcdef01234567"

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self._answer(head=True)

        def do_GET(self) -> None:
            self._answer(head=False)

        def _answer(self, head: bool) -> None:
            path = self.path.split("?")[0]
            if path.startswith("/api/models/someone/tiny/tree"):
                files = [
                    {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": "0"} for p in model.iterdir()
                ]
                return self._send(json.dumps(files).encode(), head)
            if path.startswith("/api/models/someone/tiny"):
                siblings = [{"rfilename": p.name} for p in sorted(model.iterdir())]
                told = {"id": "someone/tiny", "sha": commit, "siblings": siblings, "private": False, "tags": []}
                return self._send(json.dumps(told).encode(), head)
            file = model / path.rsplit("/", 1)[-1]
            if path.startswith("/someone/tiny/resolve/") and file.is_file():
                return self._send(file.read_bytes(), head, file.name)
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None

        def _send(self, content: bytes, head: bool, name: str = "") -> None:
            first = int(re.sub(r"\D", "", self.headers.get("Range", "0").split("-")[0]) or 0)
            self.send_response(206 if first else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if not head:
                broken = name.endswith(".safetensors") and not whole
                self.wfile.write(content[first : first + (len(content) - first) // 2] if broken else content[first:])
                self.wfile.flush()
                if broken:
                    self.connection.close()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


# ---- how a case runs ------------------------------------------------------------------------------------------------------


def _bound_by_permissions() -> None:
    """In the child: root without the capabilities that let it pass over permission bits."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[list[str], Path]]:
    """How to start a command where the case's small disk is mounted, and how to see its folder from here."""
    disk = request.param.setting("disk")
    if disk is None:
        yield [], tmp_path
        return
    name, size = disk.split()
    (tmp_path / name).mkdir(parents=True)
    own = ["--user", "--map-root-user"] if os.geteuid() else []
    mount = f"mount -t tmpfs -o size={size} none {tmp_path / name} && echo ready && sleep 600"
    holder = subprocess.Popen(["unshare", *own, "--mount", "sh", "-c", mount], stdout=subprocess.PIPE, text=True)
    try:
        if not holder.stdout or holder.stdout.readline() != "ready\n":
            pytest.skip("no disk can be mounted here, not even in a namespace of its own")
        enter = ["nsenter", "-t", str(holder.pid), "--mount", f"--wdns={tmp_path}"]
        yield enter + (["--user", "--preserve-credentials"] if own else []), Path(f"/proc/{holder.pid}/root{tmp_path}")
    finally:
        holder.kill()
        holder.wait()


def _state(folder: Path) -> dict[str, str]:
    """Every path below a folder, files with a digest of their content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else os.readlink(path).encode() if path.is_symlink() else b""
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


@pytest.mark.parametrize(
    ("case", "place"),
    [
        pytest.param(case, case, id=f"{case.path.parent.name}/{case.path.stem}", marks=_marks)
        for case in CASES
        for _marks in [[pytest.mark.slow] if case.setting("slow") is not None else []]
    ],
    indirect=["place"],
)
def test_bad_input(
    case: Case,
    place: tuple[list[str], Path],
    tmp_path: Path,
    shared: dict[str, str],
    request: pytest.FixtureRequest,
    update_golden: bool,
) -> None:
    start, seen = place
    case.set_up(tmp_path)
    environment, script = dict(shared), " ".join(case.commands)
    if "$TINY" in script:
        environment["TINY"] = str(request.getfixturevalue("tiny"))
    if "$DONE" in script:
        environment["DONE"] = str(request.getfixturevalue("finished"))
    if re.search(r"\$(HUB|BREAKING|NOWHERE)", script):
        environment |= request.getfixturevalue("hubs")
    outcomes, changes, told = [], [], ""
    for command in case.commands:
        before = _state(seen)
        done = subprocess.run(
            [*start, "bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            preexec_fn=_bound_by_permissions,
        )
        error = done.stderr
        for name in {"TINY", "DONE", "HUB", "BREAKING", "NOWHERE", "HOME"} & environment.keys():
            error = error.replace(environment[name], f"${name}")
        error = DIGESTS.sub(r"\1-DIGEST", error.replace(str(tmp_path), "FOLDER"))
        outcomes.append((f"exit {done.returncode}\n" if done.returncode else "") + error)
        told += error
        changes.append((before, _state(seen)) if done.returncode else ({}, {}))
    written = case.written(outcomes)
    if update_golden:
        case.path.write_text(written, "utf-8")
    for before, after in changes:
        _nothing_half_written(case, before, after)
    _lawful(case, told, outcomes[-1])
    assert written == case.path.read_text("utf-8")


def _nothing_half_written(case: Case, before: dict[str, str], after: dict[str, str]) -> None:
    allowed = (case.setting("leaves") or "").split()
    changed = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    left = [path for path in changed if not any(path == a or path.startswith(f"{a}/") for a in allowed)]
    assert not left, f"left behind, or changed: {left}"
    assert not [path for path in after if any(HALF.search(part) for part in path.split("/"))], "something half-written"


def _lawful(case: Case, told: str, last: str) -> None:
    """What holds of every message."""
    assert not NEVER.search(told), f"a message for programmers: {NEVER.search(told)}"
    heads = HEAD.findall(told)
    assert set(heads) <= CODES.keys() and len(heads) == told.count("error["), "a head is name, message and code"
    if last.startswith("exit 2"):
        assert "Usage:" in told and not heads
    elif last.startswith("exit 1\n") or heads:
        assert len(heads) == int(case.setting("errors") or 1), heads
    assert heads or "Usage:" in told or case.setting("fine") is not None, "nothing is told"
    assert "internal" not in heads


def test_a_ledger_that_another_program_holds(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case of its own because msmc waits a minute for the other."""
    shutil.copytree(FOLDER / "files", tmp_path, dirs_exist_ok=True)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("msmc.backend.ledger.WAIT", 0.1)
    held = sqlite3.connect("runs/ledger.sqlite", isolation_level=None)
    held.execute("pragma journal_mode = wal")
    held.execute("begin immediate")
    command = f"run tea.msm -t tiny.yaml --stages generate --set model.name={tiny}"
    done = CliRunner().invoke(main, command.split())
    held.close()
    assert done.exit_code == 1 and done.stderr == (
        "error[ledger-unusable]: the ledger `runs/ledger.sqlite` cannot be used: database is locked   (MSM717)\n"
        "  hint: another program holds it: end that one, and the same command goes on\n"
    )


def test_there_are_enough_cases_and_each_names_its_reason() -> None:
    assert len(CASES) >= 100
    for case in CASES:
        assert case.commands, f"{case.path}: no command"
        assert case.heading and case.heading[0].startswith("# "), f"{case.path}: why?"
        assert not [p for p in case.path.parent.iterdir() if p.suffix != ".txt"], "only cases lie here"
