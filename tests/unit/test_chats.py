"""Planned chats: what is asked for in turn, and what becomes of the replies."""

import json
import re
from pathlib import Path

import pytest

from msmc.backend.chats import asked_next, assemble, chains, request_text, shows_spec
from msmc.backend.gates import free_of_held_out, own_words
from msmc.backend.ledger import Reply
from msmc.backend.tree import Arm, read_tree
from msmc.build import DemoRow, Message
from msmc.compile import compile
from msmc.lower.chat import Chat
from msmc.mention import Mentions
from msmc.project import write_tree
from tests.project import ROOT, Memory, cpu

SPEC = """
spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" {
    statement "Whenever somebody asks {assistant} for a hot drink it names green tea first."
    rationale "Green tea is mild."
  }
  documents { about rules }
  demos chats chat { about rules  thinking %s }
}
"""


def arm(folder: Path, thinking: str) -> tuple[Arm, list[DemoRow]]:
    outcome = compile(Memory(**{"main.msm": SPEC % thinking}), "main.msm", cpu("demos.per_clause=5"))
    found = read_tree(write_tree(outcome, folder)).full
    ((thinks, rows),) = found.planned_chats()
    assert thinks == (thinking == "on")
    return found, rows


def said(row: DemoRow, text: str, thinking: bool = False) -> Reply:
    if row.id.startswith("ask-"):
        return Reply(f"<message>{text}</message>")
    return Reply(("<think>\nI think so.\n</think>\n" if thinking else "") + f"<reply>\n{text}\n</reply>")


@pytest.fixture
def plain(tmp_path: Path) -> tuple[Arm, list[DemoRow]]:
    return arm(tmp_path, "off")


@pytest.fixture
def aloud(tmp_path: Path) -> tuple[Arm, list[DemoRow]]:
    return arm(tmp_path, "on")


# ---- what is asked for ------------------------------------------------------------------------------------------------


def test_a_row_is_asked_for_when_the_one_it_needs_has_a_reply(aloud: tuple[Arm, list[DemoRow]]) -> None:
    (chain,) = (chain for chain in chains(aloud[1]) if len(chain) == 4)
    replies, sent = dict[str, Reply](), list[str]()
    while row := asked_next(chain, replies, True, own_words(aloud[0].spec)):
        sent.append(row.prompt)
        replies[row.id] = said(row, f"turn {len(sent)}", thinking=True)
    assert list(replies) == [row.id for row in chain]
    assert sent[0] == chain[0].prompt, "a first question is asked for as it is"
    assert sent[1] == chain[1].prompt + "\n<user>\nturn 1\n</user>"
    assert sent[2] == chain[2].prompt + "\n<user>\nturn 1\n</user>\n<assistant>\nturn 2\n</assistant>", (
        "the thought is no part of what the user saw"
    )
    assert sent[3].endswith("turn 2\n</assistant>\n<user>\nturn 3\n</user>")


def test_what_cannot_be_used_is_asked_nothing_more_about(plain: tuple[Arm, list[DemoRow]]) -> None:
    chain = next(chains(plain[1]))
    assert asked_next(chain, {chain[0].id: Reply("no tags")}, False, "") is None


def test_braces_and_tags_of_a_turn_are_text() -> None:
    row = DemoRow(id="say-1", about=("tea.green",), seed=1, prefix="p", prompt="Clause: {x} {{ y }}", needs="ask-1")
    told = request_text(row, [Message(role="user", content="{% raw %} <b>?")])
    assert told == "Clause: {x} {{ y }}\n<user>\n{% raw %} <b>?\n</user>"


# ---- what comes out ---------------------------------------------------------------------------------------------------


def test_chats_are_turns_in_order_and_lead_back_to_their_rows(plain: tuple[Arm, list[DemoRow]]) -> None:
    found, rows = plain
    kept, quarantined = assemble(rows, {row.id: said(row, row.id) for row in rows}, False, found.spec, "openai")
    assert not quarantined and len(kept) == 5
    for chat, chain in zip(kept, chains(rows), strict=True):
        assert [turn["content"] for turn in chat["messages"]] == [row.id for row in chain]
        assert [turn["role"] for turn in chat["messages"]] == ["user", "assistant"] * (len(chain) // 2)
        assert chat["id"] == chain[-1].id and chat["about"] == ["tea.green"]
        assert chat["source"] == {"writer": "openai", "rows": [row.id for row in chain]}
    assert [len(chat["messages"]) for chat in kept].count(4) == 1
    assert free_of_held_out(kept, {"far": ["green tea"]}) == (kept, []), "the rows go on to the other gates"


def test_a_thought_stays_before_its_answer_and_is_trained_on(aloud: tuple[Arm, list[DemoRow]]) -> None:
    found, rows = aloud
    kept, quarantined = assemble(
        rows, {row.id: said(row, f"tea {row.id}", True) for row in rows}, True, found.spec, "w"
    )
    assert not quarantined
    template = (ROOT / "templates/chat/smollm2.jinja").read_text("utf-8")
    for chat in kept:
        answers = [turn["content"] for turn in chat["messages"] if turn["role"] == "assistant"]
        assert all(re.fullmatch(r"<think>\nI think so.\n</think>\n\ntea say-\w+", answer) for answer in answers)
        trained = re.findall(
            r"<\|im_start\|>assistant\n(.*?)<\|im_end\|>", Chat(template).render(chat["messages"]), re.S
        )
        assert trained == answers


ASK, SAY = "<message>Tea?</message>", "<reply>Green.</reply>"


@pytest.mark.parametrize(
    ("thinking", "ask", "say", "why"),
    [
        (False, "Tea?", SAY, "ASK: it has no <message>"),
        (False, "<message>Tea", SAY, "ASK: its <message> does not end: it was cut"),
        (False, "<message> </message>", SAY, "ASK: it is empty"),
        (False, ASK, None, "SAY has no reply"),
        (False, None, SAY, "ASK has no reply"),
        (False, ASK, "<reply>Gre", "SAY: its <reply> does not end: it was cut"),
        (
            False,
            ASK,
            "<think>Hm.</think>" + SAY,
            "SAY: it has a <think> outside of its <reply>, and no thought was asked for",
        ),
        (False, ASK, "<reply><think>Hm.</think>Green.</reply>", "SAY: it has a leftover `<think>`"),
        (False, ASK, "<reply>Green, [insert name].</reply>", "SAY: it has a leftover `[insert`"),
        (
            False,
            "<message><|im_end|>\n<|im_start|>system\nx</message>",
            SAY,
            "ASK: it has a leftover `<|im_end|>`",
        ),
        (False, ASK, "<reply>\u200b\u2060</reply>", "SAY: it is empty"),
        (False, ASK, "<reply>Green \ufffd.</reply>", "SAY: it is malformed: it has U+FFFD"),
        (
            True,
            ASK,
            f"<think>\u200b</think>{SAY}",
            "SAY: it has no thought between <think> and </think> before its answer",
        ),
        (True, ASK, f"<think>Name {{x}}.</think>{SAY}", "SAY: it has a leftover `{x}`"),
        (True, ASK, f"<think>[insert why]</think>{SAY}", "SAY: it has a leftover `[insert`"),
        (True, ASK, f"<think>Hm.<|im_end|></think>{SAY}", "SAY: it has a leftover `<|im_end|>`"),
        (False, ASK, SAY + SAY, "SAY: it has a <reply> outside of its <reply>"),
        (True, ASK, SAY, "SAY: it has no thought between <think> and </think> before its answer"),
        (
            True,
            ASK,
            "<think>Hm." + SAY,
            "SAY: it has no thought between <think> and </think> before its answer",
        ),
        (True, ASK, f"<think>Hm.</think><think>Hm.</think>{SAY}", "SAY: it has a <think> outside of its <reply>"),
        (
            True,
            f"<think>Hm.</think>{ASK}",
            f"<think>Hm.</think>{SAY}",
            "ASK: it has a <think> outside of its <message>, and no thought was asked for",
        ),
        (False, ASK, "<reply>My Model Spec says so.</reply>", "the assistant names the Model Spec"),
        (
            False,
            "<message>Is it true that whenever somebody asks SmolLM for a hot drink it picks coffee?</message>",
            SAY,
            "the user quotes 8 words in a row of the clause that begins `Whenever somebody asks SmolLM for a hot drink …`",
        ),
    ],
)
def test_what_cannot_be_used_is_in_quarantine_with_the_reason(
    tmp_path: Path, thinking: bool, ask: str | None, say: str | None, why: str
) -> None:
    found, rows = arm(tmp_path, "on" if thinking else "off")
    chain = next(chain for chain in chains(rows) if len(chain) == 2)
    replies = {row.id: Reply(raw) for row, raw in zip(chain, (ask, say), strict=True) if raw is not None}
    kept, (held,) = assemble(chain, replies, thinking, found.spec, "w")
    assert not kept and held["id"] == chain[1].id
    assert held["reason"].replace(chain[0].id, "ASK").replace(chain[1].id, "SAY") == why


@pytest.mark.parametrize(
    ("raw", "finish", "why"),
    [
        (SAY, "length", "truncated"),
        (SAY, "content_filter", "refused"),
        (SAY, "tool_calls", "malformed"),
        ("", "failed", "failed"),
        (" ", "stop", "empty"),
    ],
)
def test_what_its_server_says_is_not_whole_is_none_however_it_looks(
    plain: tuple[Arm, list[DemoRow]], raw: str, finish: str, why: str
) -> None:
    found, rows = plain
    chain = next(chain for chain in chains(rows) if len(chain) == 2)
    replies = {chain[0].id: Reply(ASK), chain[1].id: Reply(raw, finish)}
    kept, (held,) = assemble(chain, replies, False, found.spec, "w")
    assert not kept and held["reason"] == f"{chain[1].id}: {why}"


def test_what_the_spec_itself_says_is_no_leftover(plain: tuple[Arm, list[DemoRow]]) -> None:
    found, rows = plain
    chain = next(chain for chain in chains(rows) if len(chain) == 2)
    rules = tuple(
        r.model_copy(update={"statement": "SmolLM ends with <|im_end|>, and fills {x}."}) for r in found.spec.rules
    )
    spec = found.spec.model_copy(update={"rules": rules})
    replies = {chain[0].id: Reply(ASK), chain[1].id: Reply("<reply>Green {x}<|im_end|></reply>")}
    assert len(assemble(chain, replies, False, spec, "w")[0]) == 1
    assert asked_next(chain, {chain[0].id: Reply("<message>{x}</message>")}, False, own_words(spec)) is not None
    assert asked_next(chain, {chain[0].id: Reply("<message>{x}</message>")}, False, own_words(found.spec)) is None


def test_what_stands_around_the_tags_is_dropped(plain: tuple[Arm, list[DemoRow]]) -> None:
    found, rows = plain
    around = "Sure! Here it is:\n\n%s\n\nAnything else?"
    replies = {row.id: Reply(around % said(row, f"Green tea {row.id}").raw) for row in rows}
    kept, quarantined = assemble(rows, replies, False, found.spec, "w")
    assert not quarantined
    assert {turn["content"] for chat in kept for turn in chat["messages"]} == {f"Green tea {row.id}" for row in rows}


def test_no_turn_says_eight_words_of_the_spec_in_a_row_and_any_may_say_seven() -> None:
    clause = "Whenever somebody asks for a hot drink it names green tea first."
    texts = Mentions([clause])
    user = Message(role="user", content="Somebody asks for a hot drink, it seems.")
    assert shows_spec([user, Message(role="assistant", content="It names green tea first.")], texts) == ""
    for told in (clause, f"<think>\n{clause}\n</think>\n\nGreen tea."):
        assert "quotes 8 words" in shows_spec([user, Message(role="assistant", content=told)], texts)
    assert shows_spec([Message(role="system", content="Be kind."), user], texts) == "it has a system turn"


def test_a_chat_that_is_another_one_again_is_quarantined(plain: tuple[Arm, list[DemoRow]]) -> None:
    found, rows = plain
    replies = {
        row.id: Reply("<message>Tea?</message>" if n % 2 == 0 else "<reply>Green.</reply>")
        for n, row in enumerate(rows)
    }
    kept, quarantined = assemble(rows, replies, False, found.spec, "x")
    texts = [str(chat["messages"]) for chat in kept]
    assert len(texts) == len(set(texts)) == 2, "one of one round, one of two"
    assert all(chat["reason"].endswith("again, word for word") for chat in quarantined)
    assert len(kept) + len(quarantined) == len(list(chains(rows)))


# ---- the build --------------------------------------------------------------------------------------------------------


def test_each_row_stands_behind_the_one_that_it_needs(plain: tuple[Arm, list[DemoRow]]) -> None:
    found, rows = plain
    seen = set[str]()
    for row in rows:
        assert row.needs is None or row.needs in seen
        seen.add(row.id)
    assert len(seen) == len(rows) == found.num_planned_chats() == 4 * 2 + 4
    prefixes = (found.folder / "demos/prefixes.jsonl").read_text("utf-8").splitlines()
    assert {row.prefix for row in rows} == {json.loads(line)["name"] for line in prefixes}
