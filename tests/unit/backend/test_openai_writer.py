"""The served writer against a server that misbehaves: what is sent, what is kept, what a user is told."""

import dataclasses
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import NO_CAPS, CapReached, Caps, Meter, Usage, most_of
from msmc.backend.tokens import Tokens
from msmc.backend.writers.openai import openai_writer
from msmc.backend.writers.pool import Pool
from msmc.diagnostics import Failed
from msmc.writer import Price, Served
from tests.chat_server import Server, breaks_off, completion, fails, says, send, serving, trickles
from tests.unit.backend.test_ledger import request

KEY = "sk-a-secret-key"
PRICE = Price(input=2, cached=1, output=10, per=1000)


def words(text: str) -> int:
    return len(text.split())


def says_its_seed(messages: list[dict[str, str]], seed: int, most: int) -> tuple[str, str]:
    return f"SmolLM wrote {seed}.", "stop"


@pytest.fixture
def server() -> Server:
    return Server(says_its_seed, words)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with serving(server) as address:
        yield address


def writer(url: str | None, caps: Caps = NO_CAPS, **keys: Any) -> Pool:
    served = Served(kind="openai", model="m", base_url=url, **{"retries": 1, "max_tokens": 50, **keys})
    return openai_writer(served, Meter(caps, PRICE, Tokens()))


def sent(one: Pool, requests: list[Request]) -> dict[str, Reply]:
    try:
        return {asked.row.id: reply for some in one.send(iter(requests)) for asked, reply in some}
    finally:
        one.close()


def failure(one: Pool, requests: list[Request]) -> tuple[list[str], Failed]:
    """What arrived before, and the failure."""
    arrived = []
    with pytest.raises(Failed) as caught:
        for some in one.send(iter(requests)):
            arrived += [asked.row.id for asked, _ in some]
    one.close()
    return arrived, caught.value


# ---- what is sent and kept --------------------------------------------------------------------------------------------


def test_a_request_has_the_prefix_the_prompt_the_seed_and_the_sampling(server: Server, url: str) -> None:
    found = sent(writer(url, temperature=0.5), [request(3)])
    messages = [{"role": "system", "content": "A rule."}, {"role": "user", "content": "Write."}]
    asked = {"model": "m", "messages": messages, "temperature": 0.5, "max_tokens": 50, "seed": 10}
    assert server.requests == [asked]
    assert found == {"doc-3": Reply("SmolLM wrote 10.", "stop", 2 + 5 + 1 + 5, 0, 3)}
    assert "temperature" not in (sent(writer(url, temperature=None), [request(4)]) and server.requests[-1])


def test_replies_come_as_they_arrive_at_most_so_many_at_a_time(server: Server, url: str) -> None:
    server.pause = 0.02
    one, meter = writer(url, concurrency=3), None
    numbers = [len(some) for some in one.send(iter([request(n) for n in range(12)]))]
    one.close()
    assert sum(numbers) == 12 and max(numbers) <= 3 and server.at_once <= 3
    meter = one.meter
    assert meter.used == Usage(server.used["prompt"], server.used["cached"], server.used["reply"], 12)
    assert server.used["cached"] > 0


def test_what_a_busy_server_answers_is_tried_again(server: Server, url: str) -> None:
    server.script = [fails(500), fails(429, Retry_After="0"), breaks_off, fails(503)]
    found = sent(writer(url, retries=4, concurrency=1), [request(0)])
    assert found["doc-0"].raw == "SmolLM wrote 7." and len(server.requests) == 5


def test_a_server_that_says_when_is_asked_then(server: Server, url: str) -> None:
    server.script = [fails(429, Retry_After="1")]
    started = time.monotonic()
    sent(writer(url), [request(0)])
    assert time.monotonic() - started >= 1


def test_a_reply_of_a_server_that_counts_nothing_is_counted_here(server: Server, url: str) -> None:
    server.usage = False
    one = writer(url)
    found = sent(one, [request(0)])
    assert found["doc-0"] == Reply("SmolLM wrote 7.", "stop")
    assert one.meter.used.counted == 1 and one.meter.used.reply == pytest.approx(len("SmolLM wrote 7.") / 4.2)


def counts(prompt: Any, reply: Any, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": reply, **more}


@pytest.mark.parametrize(
    "usage",
    [
        counts(-1, "many"),
        counts(10**30, 5),
        counts(5, 10**30),
        counts(0, 0),
        counts(5, 0),
        counts(0, 5),
        counts(None, 5),
        counts(5, 2.5),
        {},
        [5, 5],
        "x",
        5,
    ],
    ids=str,
)
def test_a_server_that_counts_nonsense_is_not_believed(server: Server, url: str, usage: Any) -> None:
    server.script = [says(completion(usage=usage))]
    one = writer(url, Caps(tokens=most_of(request(0), 50).tokens + 5))  # type: ignore[arg-type]
    assert sent(one, [request(0)])["doc-0"] == Reply("SmolLM.", "stop")
    assert one.meter.used.counted == 1
    assert not one.meter.allows(Usage(6)), "the most that it can have taken is charged"


@pytest.mark.parametrize(
    "details", ["x", 5, [], {"cached_tokens": 10**30}, {"cached_tokens": -1}, {"cached_tokens": 6}]
)
def test_what_a_server_says_of_its_cache_may_be_nonsense_too(server: Server, url: str, details: Any) -> None:
    server.script = [says(completion(usage=counts(5, 2, prompt_tokens_details=details)))]
    assert sent(writer(url), [request(0)])["doc-0"] == Reply("SmolLM.", "stop", 5, None, 2)


def test_a_long_text_of_few_tokens_is_not_believed(server: Server, url: str) -> None:
    server.script = [says(completion("SmolLM likes tea. " * 50, usage=counts(5, 5)))]
    assert sent(writer(url), [request(0)])["doc-0"].completion_tokens is None


# ---- odd replies --------------------------------------------------------------------------------------------------------

ODD = {
    "no message": {"choices": [{}]},
    "message null": completion(choice={"message": None}),
    "message a list": completion(choice={"message": ["SmolLM."]}),
    "choice a string": {"choices": ["abc"]},
    "choices a string": {"choices": "abc"},
    "choices an object": {"choices": {"0": {}}},
    "a number": completion(5),
    "parts": completion([{"type": "text", "text": "SmolLM."}]),
    "a list": [1],
    "null": None,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_no_reply_is_asked_for_again_and_then_told_and_the_others_are_kept(
    server: Server, url: str, odd: Any
) -> None:
    server.script = [says(odd)]
    found = sent(writer(url, concurrency=2), [request(n) for n in range(4)])
    assert sorted(found) == ["doc-0", "doc-1", "doc-2", "doc-3"] and len(server.requests) == 5
    server.script = [says(odd)] * 2
    arrived, failed = failure(writer(url, concurrency=1), [request(0)])
    assert not arrived and failed.name == "writer-failed" and "no reply of the chat API" in failed.message


def test_what_is_no_reply_may_be_paid_for_and_passes_no_cap(server: Server, url: str) -> None:
    server.script = [says({"choices": [{}]})] * 9
    with pytest.raises(CapReached):
        sent(writer(url, Caps(tokens=most_of(request(0), 50).tokens * 2), retries=8), [request(0)])  # type: ignore[arg-type]
    assert len(server.requests) == 2


def test_nesting_without_end_is_no_reply(server: Server, url: str) -> None:
    def nested(handler: Any) -> bool:
        content = b"[" * 100_000
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        return True

    server.script = [nested]
    assert len(sent(writer(url), [request(0)])) == 1 and len(server.requests) == 2


def test_half_a_character_is_kept_as_an_unknown_one(server: Server, url: str) -> None:
    server.script = [says(completion("SmolLM \ud83d \U0001f44b."))]
    assert sent(writer(url), [request(0)])["doc-0"].raw == "SmolLM \ufffd \U0001f44b."


@pytest.mark.parametrize(
    ("told", "kept"), [(["stop"], '["stop"]'), ("a\x1b[2J", r'"a\u001b[2J"'), ("\ud83d", r'"\ud83d"'), (5, "5")]
)
def test_why_a_reply_ended_may_be_anything(server: Server, url: str, told: Any, kept: str) -> None:
    server.script = [says(completion(choice={"finish_reason": told}))]
    assert sent(writer(url), [request(0)])["doc-0"].finish == kept


def test_a_refusal_is_kept_with_its_words(server: Server, url: str) -> None:
    server.script = [says(completion(None, choice={"message": {"content": None, "refusal": "I cannot."}}))]
    assert sent(writer(url), [request(0)])["doc-0"] == Reply("I cannot.", "refusal")


# ---- structured output --------------------------------------------------------------------------------------------------

SCHEMA = '{"type":"object","properties":{"keep":{"type":"boolean"}},"required":["keep"],"additionalProperties":false}'


def test_a_schema_goes_with_its_request_and_a_server_that_knows_none_gets_the_request_without(
    server: Server, url: str
) -> None:
    plain, structured = request(0), dataclasses.replace(request(1), schema=SCHEMA)
    assert structured.key != dataclasses.replace(structured, schema=None).key
    sent(writer(url), [plain, structured])
    told = {asked["seed"]: asked.get("response_format") for asked in server.requests}
    schema = {"name": "reply", "schema": json.loads(SCHEMA), "strict": True}
    assert told == {7: None, 8: {"type": "json_schema", "json_schema": schema}}
    server.requests.clear()
    server.of_request = lambda asked: fails(400, "what?") if "response_format" in asked else None
    asked = [dataclasses.replace(request(n), schema=SCHEMA) for n in range(4)]
    assert len(sent(writer(url, concurrency=1), asked)) == 4
    assert ["response_format" in asked for asked in server.requests] == [True, False, False, False, False]


# ---- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (fails(401, f"Incorrect API key provided: {KEY}"), "refuses the key of the writer `m` (401)"),
        (fails(403, "No"), "refuses the key of the writer `m` (403)"),
        (fails(404, "The model `m` does not exist"), "has no model `m`, or no chat API (404)"),
        (fails(400, f"max_tokens is too large, {KEY}"), "refuses a request to `m` (400)"),
        (fails(500), "fails (500), after 0 retries"),
        (fails(429), "takes no more requests (429), after 0 retries"),
        (breaks_off, "cannot be reached"),
        (lambda handler: send(handler, 200, {"choices": []}) or True, "sends what is no reply of the chat API"),
        (lambda handler: send(handler, 200, "a page for people") or True, "sends what is no reply of the chat API"),
    ],
    ids=["401", "403", "404", "400", "500", "429", "cut", "no choice", "no object"],
)
def test_a_failure_says_what_happened_and_what_to_do_and_never_the_key(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.script = [answer]
    arrived, failed = failure(writer(url, key="MY_KEY", retries=0, concurrency=1), [request(0)])
    assert not arrived and failed.name == "writer-failed" and said in failed.message and failed.hint
    everything = " ".join([failed.message, failed.hint, failed.problems[0].note, repr(failed)])
    assert KEY not in everything
    assert "Authorization" not in everything


def test_a_refused_request_says_the_servers_words(server: Server, url: str) -> None:
    server.script = [fails(400, "This model's maximum context length is 10 tokens")]
    _, failed = failure(writer(url), [request(0)])
    assert failed.problems[0].note == "the server says: This model's maximum context length is 10 tokens"


@pytest.mark.parametrize(
    "told", ["x" * 262 + f" {KEY}", "x" * 290 + KEY, f"no {KEY[:10]}", f"no {KEY[2:]} here", "\ud83d\x1b[2J"]
)
def test_no_part_of_a_key_is_shown_and_nothing_that_a_terminal_obeys(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.script = [fails(400, told)]
    _, failed = failure(writer(url, key="MY_KEY"), [request(0)])
    note = failed.problems[0].note
    assert note.isprintable() and not any(KEY[n : n + 8] in note for n in range(len(KEY) - 7)), note


def test_a_failure_waits_for_what_is_on_its_way_and_asks_for_no_more(server: Server, url: str) -> None:
    server.pause = 0.3
    server.script = [fails(401)]
    arrived, _ = failure(writer(url, concurrency=4), [request(n) for n in range(20)])
    assert len(arrived) == 3 and len(server.requests) == 4


def test_a_server_that_is_not_there() -> None:
    _, failed = failure(writer("http://127.0.0.1:9/v1", retries=0), [request(0)])
    assert failed.message == "the writer's server http://127.0.0.1:9/v1 cannot be reached"


def test_a_server_that_hangs(server: Server, url: str) -> None:
    server.pause = 1
    _, failed = failure(writer(url, timeout=0.1, retries=0), [request(0)])
    assert failed.message == f"{url} gave no reply within 0.1 s"


def test_a_server_that_trickles_is_given_up_and_asked_again(server: Server, url: str) -> None:
    server.script = [trickles]
    assert len(sent(writer(url, timeout=0.5), [request(0)])) == 1 and len(server.requests) == 2
    server.script = [trickles]
    _, failed = failure(writer(url, timeout=0.5, retries=0), [request(0)])
    assert failed.message == f"{url} gave no reply within 0.5 s"


def test_an_account_at_openai_is_told_to_nobody_else(server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-private")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-private")
    seen = list[str]()
    server.script = [lambda handler: seen.append(str(handler.headers))]  # type: ignore[list-item, func-returns-value]
    sent(writer(url), [request(0)])
    assert seen and "private" not in seen[0]


def test_a_key_is_asked_for_by_name_and_openais_goes_nowhere_else(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for served in (None, url):
        with pytest.raises(Failed, check=lambda f: f.name == "no-key" and "$" in f.message):
            writer(served, key="MISSING_KEY" if served else None)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    seen: list[str] = []
    server.script = [lambda handler: seen.append(handler.headers["Authorization"])]  # type: ignore[list-item, func-returns-value]
    sent(writer(url), [request(0)])
    assert seen == ["Bearer none"]


# ---- Ctrl-C -------------------------------------------------------------------------------------------------------------


def test_an_interrupt_stops_at_once_and_hands_on_what_arrived(server: Server, url: str) -> None:
    server.script = [lambda _: False] * 3 + [lambda handler: time.sleep(20) or True] * 5
    one, arrived = writer(url, concurrency=4), list[str]()
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for some in one.send(iter([request(n) for n in range(8)])):
            arrived += [asked.row.id for asked, _ in some]
    one.close()
    assert len(arrived) == 3
    assert time.monotonic() - started < 10


# ---- caps ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("caps", [Caps(tokens=1200), Caps(cost=4.0), Caps(tokens=1500, cost=4.0)])
@pytest.mark.parametrize("usage", [True, False])
def test_no_request_is_sent_that_could_pass_a_cap_with_those_on_their_way(
    server: Server, url: str, caps: Caps, usage: bool
) -> None:
    server.pause, server.usage = 0.02, usage
    one, arrived = writer(url, caps, concurrency=4), 0
    most = most_of(request(0), 50)
    with pytest.raises(CapReached):
        for some in one.send(iter([request(n) for n in range(200)])):
            arrived += len(some)
    one.close()
    taken = Usage(server.used["prompt"], server.used["cached"], server.used["reply"])
    assert arrived == len(server.requests) == server.used["replies"] > 0
    limits = [(caps.tokens, taken.tokens, most.tokens), (caps.cost, taken.cost(PRICE), most.cost(PRICE))]
    assert all(spent <= cap for cap, spent, _ in limits if cap is not None)
    if usage:  # and no sooner than it must
        assert any(cap is not None and spent + further > cap for cap, spent, further in limits)


def test_a_cap_that_not_one_request_fits_sends_none(server: Server, url: str) -> None:
    with pytest.raises(CapReached):
        sent(writer(url, Caps(tokens=100)), [request(0)])
    assert not server.requests


def test_no_tokenizer_makes_more_of_a_prompt_than_is_set_aside_for_it() -> None:
    asked = request(prompt="Où? 你好 👋" * 5)
    assert most_of(asked, 50).prompt >= sum(len(text.encode()) for text in ("A rule.", asked.row.prompt))
