"""The writer `transformers`, on a whole tiny model: what a row says is its own affair."""

from pathlib import Path

import pytest

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import NO_CAPS, CapReached, Caps, Meter
from msmc.backend.tokens import Tokens
from msmc.backend.writers.transformers import TransformersWriter
from msmc.build import Message, Prefix
from msmc.diagnostics import Failed
from msmc.writer import FREE, Transformers
from tests.unit.backend.test_ledger import request

WORDS = ["cheddar or brie?", "What is the capital of France?", "SmolLM picks", "a", "New York dairy farmers. " * 8]


def writer(folder: Path, caps: Caps = NO_CAPS, **keys: object) -> TransformersWriter:
    model = Transformers.model_validate({"kind": "transformers", "max_tokens": 24, **keys}).of("writer", None)
    return TransformersWriter(model, folder, Meter(caps, FREE, Tokens()))


def asked(number: int, words: str = "") -> Request:
    """Rows with prompts of different lengths, each with a seed of its own."""
    prefix = Prefix(name="p", messages=(Message(role="system", content="A rule."),))
    one = request(number)
    row = one.row.model_copy(update={"prompt": words or WORDS[number % len(WORDS)], "seed": 7919 * number})
    return Request(row, prefix, "w")


def written(one: TransformersWriter, requests: list[Request]) -> dict[str, Reply]:
    return {sent.row.id: reply for some in one.send(iter(requests)) for sent, reply in some}


ROWS = [asked(n) for n in range(10)]


def test_a_reply_does_not_depend_on_what_else_is_in_its_batch(tiny: Path) -> None:
    alone = written(writer(tiny, batch_size=1), ROWS)
    assert alone == written(writer(tiny, batch_size=4), ROWS)
    assert alone == written(writer(tiny, batch_size=3), ROWS[::-1])
    assert len({reply.raw for reply in alone.values()}) == len(ROWS), "each draws by its own seed"


def test_another_seed_draws_another_reply_and_the_likeliest_needs_none(tiny: Path) -> None:
    one, other = asked(1, "brie?"), asked(2, "brie?")
    warm = written(writer(tiny), [one, other])
    assert warm["doc-1"].raw != warm["doc-2"].raw
    cold = written(writer(tiny, temperature=0), [one, other])
    assert cold["doc-1"] == cold["doc-2"]


def test_replies_come_batch_by_batch_and_requests_are_taken_as_they_can_be_sent(tiny: Path) -> None:
    taken = list[str]()

    def requests() -> object:
        for row in ROWS[:5]:
            taken.append(row.row.id)
            yield row

    seen = [(len(some), len(taken)) for some in writer(tiny, batch_size=2).send(requests())]  # type: ignore[arg-type]
    assert seen == [(2, 2), (2, 4), (1, 5)]


def test_what_is_cut_says_so_and_tokens_are_counted(tiny: Path) -> None:
    (cut,) = written(writer(tiny, max_tokens=3), [asked(0)]).values()
    assert (cut.finish, cut.completion_tokens) == ("length", 3) and cut.prompt_tokens and cut.prompt_tokens > 10
    replies = written(writer(tiny, max_tokens=150, temperature=2.0), [asked(n, "brie?") for n in range(12)]).values()
    ended = [reply for reply in replies if reply.finish == "stop"]
    assert ended and all((reply.completion_tokens or 0) < 150 and "<|im_end|>" not in reply.raw for reply in ended)


def test_a_context_that_is_full_cuts_its_own_row_alone(tiny: Path) -> None:
    long, longer = asked(1, "brie " * 100), asked(3, "brie " * 600)
    together = written(writer(tiny, max_tokens=100), [asked(0), long, longer])
    assert together == written(writer(tiny, max_tokens=100, batch_size=1), [asked(0), long, longer])
    assert together["doc-3"][:2] == ("", "length") and together["doc-3"].completion_tokens == 0
    assert together["doc-1"].finish == "stop" or 0 < (together["doc-1"].completion_tokens or 0) < 100


def test_no_request_is_sent_that_could_pass_a_cap(tiny: Path) -> None:
    one, arrived = writer(tiny, Caps(tokens=150), batch_size=4), list[str]()
    with pytest.raises(CapReached):
        for some in one.send(iter(ROWS)):
            arrived += [sent.row.id for sent, _ in some]
    assert arrived and one.meter.used.replies == len(arrived) < len(ROWS) and one.meter.used.tokens <= 150


def test_a_model_without_a_chat_template_cannot_be_asked(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        if file.name != "chat_template.jinja":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(Failed) as failed:
        writer(tmp_path, model="base")
    (problem,) = failed.value.problems
    assert problem.name == "model-incomplete" and "`base` has no chat template" in problem.message


def test_a_template_that_takes_no_system_message_is_told(tiny: Path, tmp_path: Path) -> None:
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    picky = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    template = tmp_path / "chat_template.jinja"
    template.write_text(picky + template.read_text())
    with pytest.raises(Failed) as failed:
        written(writer(tmp_path, model="picky"), [asked(0)])
    assert "no system role" in failed.value.problems[0].note and "critic" not in failed.value.problems[0].hint
