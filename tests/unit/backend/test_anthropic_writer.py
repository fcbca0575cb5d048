"""The writer `anthropic` against a server that holds each request to the client's own types, and misbehaves."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import NO_CAPS, CapReached, Caps, Meter, Usage, most_of
from msmc.backend.reached import reached
from msmc.backend.tokens import Tokens
from msmc.backend.writers.anthropic import anthropic_writer
from msmc.backend.writers.pool import Pool
from msmc.build import JudgeRow, Message, Prefix
from msmc.diagnostics import Failed
from msmc.writer import Anthropic, Price
from tests.chat_server import send
from tests.message_server import MessageServer
from tests.stand_in import Do, standing_in
from tests.unit.backend.test_ledger import request

KEY = "sk-a-secret-key"
PRICE = Price(input=2, cached=0.2, output=10, per=1000)
MESSAGES = "POST /v1/messages"


def words(text: str) -> int:
    return len(text.split())


def says(messages: list[dict[str, Any]], most: int) -> tuple[str, str]:
    return f"To: {messages[-1]['content']}", "end_turn"


@pytest.fixture
def server() -> MessageServer:
    return MessageServer(says, words)


@pytest.fixture
def url(server: MessageServer) -> Iterator[str]:
    with standing_in(server) as address:
        yield address


def model(url: str | None, **keys: Any) -> Anthropic:
    return Anthropic(kind="anthropic", model="m", base_url=url, **{"retries": 1, "max_tokens": 50, **keys})


def writer(url: str | None, caps: Caps = NO_CAPS, **keys: Any) -> Pool:
    return anthropic_writer(model(url, **keys), Meter(caps, PRICE, Tokens()))


def sent(one: Pool, requests: list[Request]) -> dict[str, Reply]:
    try:
        return {asked.row.id: reply for some in one.send(iter(requests)) for asked, reply in some}
    finally:
        one.close()


def answers(status: int, body: Any, **headers: str) -> Do:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        send(handler, status, body, **headers)
        return True

    return answer


def fails(status: int, message: str = "", **headers: str) -> Do:
    return answers(status, {"type": "error", "error": {"type": "x", "message": message}}, **headers)


def message(*blocks: Any, **keys: Any) -> dict[str, Any]:
    told = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    usage = {"input_tokens": 9, "output_tokens": 3}
    return {**told, "content": list(blocks), "stop_reason": "end_turn", "usage": usage, **keys}


# ---- what is sent and kept ----------------------------------------------------------------------------------------------


def test_a_request_has_the_prefix_marked_for_the_cache_the_prompt_and_no_seed(server: MessageServer, url: str) -> None:
    found = sent(writer(url), [request(3)])
    rule = {"type": "text", "text": "A rule.", "cache_control": {"type": "ephemeral"}}
    asked = {"model": "m", "max_tokens": 50, "system": [rule], "messages": [{"role": "user", "content": "Write."}]}
    assert server.requests == [asked]
    assert found == {"doc-3": Reply("To: Write.", "stop", 2 + 1 + 5, 0, 2, 2)}


def test_a_temperature_is_sent_where_one_is_given_and_a_newer_model_refuses_it(server: MessageServer, url: str) -> None:
    sent(writer(url, temperature=0.5), [request(0)])
    assert server.requests[0]["temperature"] == 0.5
    server.takes_temperature = False
    with pytest.raises(
        Failed, check=lambda f: "refuses a request to `m` (400)" in f.message and "temperature" in f.hint
    ):
        sent(writer(url, temperature=0.5), [request(0)])


def test_a_chat_so_far_is_sent_turn_by_turn_and_marked_at_its_end(server: MessageServer, url: str) -> None:
    said = (("system", "A rule."), ("user", "Hello?"), ("assistant", "Yes."), ("system", ""))
    prefix = Prefix(name="p", messages=tuple(Message(role=role, content=text) for role, text in said))  # type: ignore[arg-type]
    sent(writer(url), [Request(JudgeRow(id="a", seed=1, prompt="And?"), prefix, "w")])
    (asked,) = server.requests
    assert asked["system"] == [{"type": "text", "text": "A rule."}]
    mark = {"cache_control": {"type": "ephemeral"}}
    assert asked["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Hello?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Yes."} | mark]},
        {"role": "user", "content": "And?"},
    ]


def test_a_reply_is_held_to_a_schema(server: MessageServer, url: str) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    asked = request(0)
    sent(writer(url), [Request(asked.row, asked.prefix, asked.writer, json.dumps(schema))])
    assert server.requests[0]["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


def test_what_is_read_from_the_cache_and_written_to_it_is_part_of_the_prompt(server: MessageServer, url: str) -> None:
    one = writer(url, concurrency=1)
    found = sent(one, [request(n) for n in range(3)])
    told = [(r.prompt_tokens, r.cached_tokens, r.stored_tokens) for r in found.values()]
    assert told == [(8, 0, 2), (8, 2, 0), (8, 2, 0)]
    assert one.meter.used == Usage(24, 4, 6, 3, stored=2) and server.used == {
        "new": 18,
        "read": 4,
        "written": 2,
        "reply": 6,
    }


ENDED = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length"}
ENDED |= {"refusal": "refusal", "pause_turn": "pause_turn"}


@pytest.mark.parametrize(("told", "kept"), [*ENDED.items(), (None, None), (["a"], '["a"]')], ids=str)
def test_why_a_message_ended_is_told_in_the_ledgers_words(
    server: MessageServer, url: str, told: Any, kept: str | None
) -> None:
    block = {"type": "text", "text": "Text."}
    server.moments.at("asked", MESSAGES, answers(200, message(block, stop_reason=told)))
    assert sent(writer(url), [request(0)])["doc-0"].finish == kept


def test_thoughts_are_no_part_of_a_reply(server: MessageServer, url: str) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
    texts = [{"type": "text", "text": "Te"}, {"type": "text", "text": "xt \ud83d."}]
    server.moments.at("asked", MESSAGES, answers(200, message(thought, *texts)))
    assert sent(writer(url), [request(0)])["doc-0"].raw == "Text \ufffd."


NONSENSE: list[Any] = [None, 5, {}, {"input_tokens": -1, "output_tokens": 3}]
NONSENSE += [{"input_tokens": 9, "output_tokens": 10**30}]
NONSENSE += [{"input_tokens": 9, "output_tokens": 3, "cache_read_input_tokens": "many"}]


@pytest.mark.parametrize("usage", NONSENSE, ids=str)
def test_a_server_that_counts_nonsense_is_not_believed(server: MessageServer, url: str, usage: Any) -> None:
    block = {"type": "text", "text": "SmolLM."}
    server.moments.at("asked", MESSAGES, answers(200, message(block, usage=usage)))
    assert sent(writer(url), [request(0)])["doc-0"] == Reply("SmolLM.", "stop")


ODD = [None, [1], {}, "a page", message({"type": "text", "text": 5}), {"type": "message", "content": "SmolLM."}]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_what_is_no_message_is_asked_for_again_and_then_told(server: MessageServer, url: str, odd: Any) -> None:
    server.moments.at("asked", MESSAGES, answers(200, odd))
    assert sent(writer(url), [request(0)])["doc-0"].raw == "To: Write."
    for _ in range(2):
        server.moments.at("asked", MESSAGES, answers(200, odd))
    with pytest.raises(Failed, check=lambda f: "no reply of the messages API" in f.message):
        sent(writer(url), [request(0)])


# ---- failures -----------------------------------------------------------------------------------------------------------


def test_a_busy_server_is_asked_again_when_it_says(server: MessageServer, url: str) -> None:
    server.moments.at("asked", MESSAGES, fails(529))
    server.moments.at("asked", MESSAGES, fails(429, Retry_After="1"))
    started = time.monotonic()
    assert sent(writer(url, retries=2), [request(0)])["doc-0"].raw == "To: Write."
    assert time.monotonic() - started >= 1 and len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (fails(401, f"invalid x-api-key: {KEY}"), "refuses the key of the writer `m` (401)"),
        (fails(403, "No"), "refuses the key of the writer `m` (403)"),
        (fails(404, "model: m"), "has no model `m`, or no messages API (404)"),
        (fails(400, f"max_tokens: too large, {KEY[2:]}"), "refuses a request to `m` (400)"),
        (fails(413), "refuses a request to `m` (413)"),
        (fails(500), "fails (500), after 0 retries"),
        (fails(529), "fails (529), after 0 retries"),
        (fails(429), "takes no more requests (429), after 0 retries"),
    ],
    ids=["401", "403", "404", "400", "413", "500", "529", "429"],
)
def test_a_failure_says_what_happened_and_what_to_do_and_never_the_key(
    server: MessageServer, url: str, monkeypatch: pytest.MonkeyPatch, answer: Do, said: str
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.moments.at("asked", MESSAGES, answer)
    with pytest.raises(Failed) as caught:
        sent(writer(url, key="MY_KEY", retries=0, concurrency=1), [request(0)])
    failed = caught.value
    assert failed.name == "writer-failed" and said in failed.message and failed.hint
    everything = " ".join([failed.message, failed.hint, failed.problems[0].note, repr(failed)])
    assert not any(KEY[n : n + 8] in everything for n in range(len(KEY) - 7))


def test_a_server_that_is_not_there_or_hangs(server: MessageServer, url: str) -> None:
    with pytest.raises(Failed, check=lambda f: "http://127.0.0.1:9 cannot be reached" in f.message):
        sent(writer("http://127.0.0.1:9", retries=0), [request(0)])
    server.moments.at("asked", MESSAGES, lambda _: time.sleep(1) or True)  # type: ignore[func-returns-value]
    with pytest.raises(Failed, check=lambda f: f"{url} gave no reply within 0.1 s" == f.message):
        sent(writer(url, timeout=0.1, retries=0), [request(0)])


def test_a_key_is_asked_for_by_name_and_anthropics_goes_nowhere_else(
    server: MessageServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(Failed, check=lambda f: f.name == "no-key" and "$ANTHROPIC_API_KEY" in f.message):
        writer(None)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Account: private")
    seen = list[str]()
    server.moments.at("asked", MESSAGES, lambda handler: bool(seen.append(str(handler.headers))))  # type: ignore[func-returns-value]
    sent(writer(url), [request(0)])
    assert "Bearer none" in seen[0] and KEY not in seen[0] and "private" not in seen[0]


def test_no_request_is_sent_that_could_pass_a_cap(server: MessageServer, url: str) -> None:
    most = most_of(request(0), 50).tokens
    with pytest.raises(CapReached):
        sent(writer(url, Caps(tokens=int(most * 2.5)), concurrency=4), [request(n) for n in range(50)])
    assert 0 < server.used["new"] + server.used["written"] + server.used["reply"] <= most * 2.5


def test_whether_a_model_can_be_reached_costs_nothing(server: MessageServer, url: str) -> None:
    models = {"data": [{"type": "model", "id": "m"}], "has_more": False, "first_id": "m", "last_id": "m"}
    server.moments.at("asked", "GET /v1/models", answers(200, models))
    assert reached(model(url)).told == f"the writer `m` at {url} answers"
    server.moments.at("asked", "GET /v1/models", fails(401))
    found = reached(model(url, key="PATH"))
    assert not found.good and found.advice == "look at the key in $PATH"
    assert not reached(model("http://127.0.0.1:9")).good and not server.requests
