"""`msmc chat` on a real terminal, and on SmolLM2."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from msmc.backend.chat import Chat, chosen, find_models
from msmc.backend.side_by_side import Reply
from msmc.backend.weights import model_folder
from msmc.shipped import cache_folder
from tests.project import cpu
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model
from tests.unit.backend.test_chat import by_hand, lay

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
pytestmark = pytest.mark.slow  # half a minute each


class Screen:
    """A command on a terminal of its own."""

    def __init__(self, *command: str, folder: Path) -> None:
        self.ours, theirs = pty.openpty()
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, start_new_session=True, preexec_fn=_owned, **ends
        )
        os.close(theirs)
        self.seen = ""

    def until(self, *told: str) -> str:
        """Reads until these words were shown in turn; what was shown until then, without colours."""
        shown, late = "", time.monotonic() + 60
        for words in told:
            while words not in self.seen:
                there = select.select([self.ours], [], [], 60)[0]
                assert there and time.monotonic() < late, f"{words!r} does not come:\n{self.seen[-2000:]}"
                self.seen += COLOUR.sub("", os.read(self.ours, 65536).decode("utf-8", "replace"))
            before, _, self.seen = self.seen.partition(words)
            shown += before + words
        return shown

    def type(self, keys: str) -> None:
        time.sleep(0.5)  # as a person does: a Ctrl-C in the instant before readline waits is seen with the next key
        os.write(self.ours, keys.encode())


def _owned() -> None:
    """The terminal sends its Ctrl-C to this process."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def longer(model: Path, folder: Path) -> Path:
    """A model that can go on for a while."""
    for file in model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((model / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}), "utf-8")
    return folder


def test_a_conversation_on_a_terminal(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    base = longer(tiny, tmp_path / "model")
    for name, trained in (("base", False), ("rules", True)):
        lay(tmp_path / "runs", base, name, trained)
    screen = Screen(sys.executable, "-m", "msmc", "chat", "runs", "--max-tokens", "8000", folder=tmp_path)
    assert "study.rules/seed-0" in screen.until("/help lists the commands", "> ")
    screen.type("Brie?\r")
    screen.until("base", "rules", "…")
    time.sleep(5)  # stopped at once, a reply may be empty; on a loaded machine it was so for half a second
    screen.type("\x03")
    assert re.search(r"base +rules", screen.until("[stopped]", "[stopped]", "> ")), "side by side"
    screen.type("/nonsense\r")
    screen.until("error[unknown-command]", "> ")
    screen.type("half a line\x03")
    screen.until("> ")
    screen.type("/save talk.jsonl\r")
    screen.until("2 replies in talk.jsonl", "> ")
    screen.type("\x04")
    assert screen.process.wait(timeout=30) == 0
    rows = [json.loads(line) for line in (tmp_path / "talk.jsonl").read_text("utf-8").splitlines()]
    assert [(row["model"], row["finish"]) for row in rows] == [("base", "interrupted"), ("rules", "interrupted")]
    assert all(row["reply"] for row in rows)


@pytest.mark.smollm2
def test_replies_of_smollm2_are_those_of_each_model_alone(tmp_path: Path) -> None:
    folder = model_folder(cpu().model, cache_folder(), print)
    for name in ("base", "spec_in_context", "rules"):
        lay(tmp_path, folder, name, trained=name == "rules")
    models = chosen(find_models((tmp_path,)), ["base", "spec_in_context", "rules"], None)
    chat = Chat(models, 0, 12, print)
    rows = [
        row
        for question in ("Cheddar or brie?", "What is the capital of France?")
        for row in chat.ask(question, [Reply() for _ in models])
    ]
    for model in models:
        said = [row["reply"] for row in rows if row["model"] == model.name]
        assert said == by_hand(folder, model.adapter, model.system)
    assert "Paris" in rows[3]["reply"] and len({row["reply"] for row in rows[:3]}) == 3
