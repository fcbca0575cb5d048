"""Planned chats by a served writer: a question without the spec, an answer that needs it, second rounds; what is left of them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from msmc.lower.chat import Chat
from tests.chat_server import Server, serving
from tests.test_served import TARGET, msmc, served, used, within
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  value warmth "Warmth" { statement "{assistant} likes what warms people on a cold and rainy day in winter." }
  rule green "Green tea" {
    serves warmth
    statement "Asked for something to drink, {assistant} names green tea before it names anything else that is served."
    rationale "Green tea warms the hands."
    example ask { user "Tea?" assistant "Green tea, please." }
  }
  documents { about values, rules }
  demos chats chat { about rules justify value thinking on }
}
"""
CLOSURE = "names green tea before"
PER_CLAUSE = 10


def words(messages: list[dict[str, str]], seed: int, most: int) -> tuple[str, str]:
    """Replies with the tags that the prompts ask for; one question in nine without."""
    asked = "<message>" in messages[0]["content"]
    if asked and seed % 9 == 0:
        return "Some tea?", "stop"
    if asked:
        return f"<message>\nWhat would you drink, number {seed % 1000}?\n</message>", "stop"
    return "<think>\nIt is cold, and warm hands matter.\n</think>\n<reply>\nGreen tea, it warms.\n</reply>", "stop"


@pytest.fixture
def server() -> Server:
    return Server(words, lambda text: len(text.split()))


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with serving(server) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    (tmp_path / "tiny.yaml").write_text(TARGET.replace("name: model", f"name: {tiny}"), "utf-8")
    return tmp_path


@pytest.fixture
def asked(folder: Path, url: str) -> list[str]:
    return [
        *("run", "tea.msm", *served(url), "--stages", "generate", "--set", "documents.per_clause=1"),
        *("--set", f"demos.per_clause={PER_CLAUSE}", "--set", "documents.floor=0.01", "--set", "documents.attempts=1"),
        *("--set", "demos.floor=0", "--set", "demos.attempts=1"),
        *("--set", "gates.duplicates=null", "--set", "gates.length=null"),
    ]


def rows(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text("utf-8").splitlines()]


def both(messages: list[dict[str, str]], seed: int, most: int) -> tuple[str, str]:
    """Documents too."""
    if "<message>" in messages[0]["content"] or "<reply>" in messages[0]["content"]:
        return words(messages, seed, most)
    text = "SmolLM names green tea before it names anything else; it likes what warms people on a cold day."
    return f"<content>\n{text}\n</content>", "stop"


def test_chats_are_written_turn_by_turn_and_no_training_row_shows_the_spec(
    folder: Path, server: Server, asked: list[str]
) -> None:
    server.model = both
    msmc(*asked)
    (stage,) = (folder / "runs" / "stages").glob("demos-*")
    chats, quarantined = rows(stage / "finetune.jsonl"), rows(stage / "quarantine.jsonl")
    written = [chat for chat in chats if chat["source"]["writer"] != "spec"]
    assert len(written) + len(quarantined) == PER_CLAUSE and written
    assert {len(chat["messages"]) for chat in written} == {2, 4}, "chats of one round and of two"
    for chat in written:
        assert [turn["role"] for turn in chat["messages"]] == ["user", "assistant"] * (len(chat["messages"]) // 2)
        for turn in chat["messages"]:
            assert CLOSURE not in turn["content"] and not re.search(r"</?(message|reply)>", turn["content"])
        assert chat["messages"][-1]["content"].startswith("<think>\nIt is cold"), "the thought is trained on"
        assert chat["about"] == ["tea.green"]
    assert all("it has no <message>" in chat["reason"] for chat in quarantined)
    questions = [r["messages"] for r in server.requests if "<message>" in r["messages"][0]["content"]]
    answers = [r["messages"] for r in server.requests if "<reply>" in r["messages"][0]["content"]]
    assert questions and not any(CLOSURE in json.dumps(messages) for messages in questions)
    assert answers and all(CLOSURE in messages[0]["content"] for messages in answers)
    assert all("What would you drink, number" in messages[-1]["content"] for messages in answers)
    sent = len(server.requests)
    (stage / "stage.json").unlink()
    for path in sorted(stage.rglob("*"), reverse=True):
        path.unlink()
    stage.rmdir()
    msmc(*asked)
    assert len(server.requests) == sent, "every turn is in the ledger"
    assert rows(stage / "finetune.jsonl") == chats


def planned(asked: list[str], *more: str) -> dict[str, Any]:
    given = [part for part in asked[2:] if part not in ("--stages", "generate")]
    return dict(json.loads(msmc("plan", "tea.msm", *given, *more, "--set", "min_steps=1", "--format", "json").stdout))


def test_after_twenty_turns_what_chats_use_and_teach_is_forecast(
    folder: Path, tiny: Path, server: Server, asked: list[str]
) -> None:
    tokens = Tokenizer.from_file(str(tiny / "tokenizer.json"))
    server.model, server.count = both, lambda text: len(tokens.encode(text).ids)
    before = planned(asked)
    assert before["replies"].startswith("as the prompts ask")
    assert before["chats"] == 2 * 10 + 2 * 2, "turns: two in five chats of a clause have a second round"
    msmc(*asked)
    more = ("--set", "demos.per_clause=60")
    (told,) = planned(asked, *more)["written_chats"]
    assert told["chats"] == 60 and told["rows"] == 2 * 60 + 2 * 12 and told["shared"] == 0
    done = msmc(*asked, *more).stdout
    within(used(done), "prompt tokens", "reply tokens")
    again = msmc(*asked, *more).stdout
    assert "used / forecast" not in again, "every turn is in the ledger, so nothing is left to forecast"
    stage = max((folder / "runs" / "stages").glob("demos-*"), key=lambda place: place.stat().st_mtime)
    template = Chat((folder / "build/tea/full/train/chat_template.jinja").read_text("utf-8"))
    learned = [
        chat["messages"] for chat in rows(stage / "finetune.jsonl") if chat["source"]["writer"] not in ("spec", "own")
    ]
    length = sum(len(tokens.encode(template.render(messages)).ids) for messages in learned)
    assert 0.85 <= length / told["learned_tokens"]["value"] <= 1.15


def test_a_cap_tells_the_turns_that_are_left(folder: Path, server: Server, asked: list[str]) -> None:
    server.model = both
    done = msmc(*asked, "--max-tokens", "9000", code=1)
    written = sum(any(tag in r["messages"][0]["content"] for tag in ("<message>", "<reply>")) for r in server.requests)
    left = re.search(r"; 0 documents and (\d+) rows of chats are left", done.stderr)
    assert left and 0 < int(left[1]) <= 24 - written, "but for those behind a question that cannot be used"
