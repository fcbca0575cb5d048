"""Hosted writers end to end: Anthropic's messages, and the batches of both providers, from the command to the corpus."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import Server
from tests.file_server import FileServer
from tests.message_server import MessageServer
from tests.stand_in import standing_in
from tests.test_served import folder, msmc, server  # noqa: F401  # fixtures
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model


def hosted(url: str, *settings: str) -> list[str]:
    given = [f"writer.{key}" for key in ("model=chain", f"base_url={url}", "retries=0", *settings)]
    given += ["documents.floor=0", "documents.reserve=0", "documents.per_clause=4", "documents.attempts=1"]
    return [
        "run",
        "tea.msm",
        "-t",
        "tiny.yaml",
        *(part for key in given for part in ("--set", key)),
        "--stages",
        "generate",
    ]


@pytest.mark.parametrize("batch", [False, True])
def test_anthropics_model_writes_a_corpus_and_is_asked_for_nothing_twice(
    folder: Path,  # noqa: F811
    server: Server,  # noqa: F811
    batch: bool,
) -> None:
    def writes(messages: list[dict[str, Any]], most: int) -> tuple[str, str]:
        text, ending = server.model([{"content": json.dumps(messages)}], 0, most)
        return text, {"stop": "end_turn", "length": "max_tokens"}[ending]

    stand_in = MessageServer(writes, server.count)
    with standing_in(stand_in) as url:
        command = hosted(url, "kind=anthropic", f"batch={str(batch).lower()}")
        first = msmc(*command).output
        assert "16 new replies" in first
        assert [len(made.requests) for made in stand_in.batches] == ([16] if batch else [])
        assert len(stand_in.requests) == (0 if batch else 16)
        assert ("waiting for a batch at" in first) is batch
        msmc(*command)
    assert len(stand_in.requests) + sum(len(made.requests) for made in stand_in.batches) == 16


def test_openais_batches_write_a_corpus(folder: Path, server: Server) -> None:  # noqa: F811
    stand_in = FileServer(server.model, server.count)
    with standing_in(stand_in) as url:
        assert "16 new replies" in msmc(*hosted(f"{url}/v1", "kind=openai", "batch=true")).output
    assert [len(made.requests) for made in stand_in.batches] == [16] and not stand_in.files


class Repeats(FileServer):
    """Its results have an answer again with other words, and one to a request that nobody made."""

    def _new_file(self, lines: list[str], **about: str) -> str:
        if about["purpose"] == "batch_output":
            again = json.loads(lines[0])
            again["response"]["body"]["choices"][0]["message"]["content"] = "<content>Ada.</content>"
            lines = [*lines, json.dumps(again), json.dumps(again | {"custom_id": "nobody"})]
        return super()._new_file(lines, **about)


def test_of_a_batchs_answers_to_one_request_the_first_stands(folder: Path, server: Server) -> None:  # noqa: F811
    found = list[dict[str, bytes]]()
    for number, kind in enumerate((FileServer, Repeats)):
        with standing_in(kind(server.model, server.count)) as url:
            told = msmc(*hosted(f"{url}/v1", "kind=openai", "batch=true"), "--runs", f"runs-{number}").output
        assert "16 new replies" in told
        (corpus,) = folder.glob(f"runs-{number}/stages/corpus-*")
        found.append({path.name: path.read_bytes() for path in corpus.glob("*.jsonl")})
    assert found[0] == found[1]
