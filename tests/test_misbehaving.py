"""A served run whose server misbehaves on command, end to end: its corpus is that of a run whose server does not."""

from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from msmc.digest import canonical
from tests.chat_server import WRONG_USAGE, Server, breaks_off, disconnects, fails, half_json, hangs, serving
from tests.test_criticised import Models, command, corpus, files, folder, models, planned  # noqa: F401  # fixtures
from tests.test_served import msmc
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

Answer = Callable[[BaseHTTPRequestHandler], bool]


class Odd(Server):
    """Each of its replies has the same id, and counts that cannot be."""

    def _completion(self, asked: dict[str, Any]) -> dict[str, Any]:
        return super()._completion(asked) | {"id": "twice", "usage": WRONG_USAGE}


def now_and_then(answer: Answer) -> Callable[[Server], None]:
    """Every third request."""

    def misbehave(server: Server) -> None:
        server.script = [answer if n % 3 == 1 else lambda _: False for n in range(24)]

    return misbehave


def few(server: Server) -> None:
    """It takes one at a time, and turns all others away."""
    server.takes, server.pause = 1, 0.05


MISBEHAVES: dict[str, Callable[[Server], None]] = {
    "a storm of 429": few,
    "429 without a word of when": now_and_then(fails(429, "slow down")),
    "hangs": now_and_then(hangs),
    "half JSON": now_and_then(half_json),
    "a promise of more than is sent": now_and_then(breaks_off),
    "disconnects": now_and_then(disconnects),
    "500": now_and_then(fails(500, "oops")),
}


def run(url: str, runs: str, timeout: int = 60) -> None:
    """`timeout`: seconds; only of what hangs it has to pass."""
    keys = (f"timeout={timeout}", "retries=6", "concurrency=8")
    msmc(*command(url, *(f"{part}.{key}" for part in ("writer", "critic") for key in keys)), "--runs", runs)


def corpus_of(folder: Path, runs: str) -> dict[str, bytes]:  # noqa: F811
    (found,) = folder.glob(f"{runs}/stages/corpus-*")
    return files(found)


@pytest.fixture
def good(folder: Path, models: Models) -> dict[str, bytes]:  # noqa: F811
    """What a server that behaves gives; a thought that is cut is the model's own, and its row is tried again."""
    models.script = {planned(False)[0].id: ["thinks on"], planned(False)[3].id: ["mend"]}
    with serving(Server(models, lambda text: len(text.split()))) as url:
        run(url, "good")
    return corpus_of(folder, "good")


@pytest.mark.parametrize("how", MISBEHAVES)
def test_what_a_server_does_now_and_then_changes_no_document(
    folder: Path,  # noqa: F811
    models: Models,  # noqa: F811
    good: dict[str, bytes],
    how: str,
) -> None:
    server = Server(models, lambda text: len(text.split()))
    MISBEHAVES[how](server)
    with serving(server) as url:
        run(url, "odd", 4 if how == "hangs" else 60)
    assert corpus_of(folder, "odd") == good
    sent = Counter(canonical([asked["messages"], asked["seed"]]) for asked in server.requests)
    assert len(server.requests) > server.used["replies"] == len(sent), "what was answered is asked for once"


def test_ids_that_are_all_the_same_and_counts_that_cannot_be_change_no_document(
    folder: Path,  # noqa: F811
    models: Models,  # noqa: F811
    good: dict[str, bytes],
) -> None:
    with serving(Odd(models, lambda text: len(text.split()))) as url:
        run(url, "odd")
    assert corpus_of(folder, "odd") == good
