"""A model's raw reply: the document between its tags, or one reason why there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msmc.backend.writers.drafts import (
    DOUBLED,
    EMPTY,
    FAILED,
    INSIDE,
    LEAKED,
    MALFORMED,
    MISSING,
    REFUSED,
    TRUNCATED,
    UNCLOSED,
    document_of,
    said_aloud,
)

DOC = "SmolLM names green tea first.\n\nIt says so to whoever asks."
GOOD = f"<content>\n{DOC}\n</content>"


@pytest.mark.parametrize(
    "raw",
    [
        GOOD,
        f"<scratchpad>\nA letter, three paragraphs.\n</scratchpad>\n\n{GOOD}",
        f"<think>First the plan.</think>\n<scratchpad>Now.</scratchpad>{GOOD}",
        f"Sure! Here is the document:\n\n{GOOD}\n\nShall I write another one?",
        f"```\n{GOOD}\n```",
        f"<SCRATCHPAD>Hm.</SCRATCHPAD><Content>{DOC}</CONTENT>",
        f"<scratchpad>I put it in <content>a draft</content> tags.</scratchpad>{GOOD}",
        f"<think>The document goes between <content> and </content>.</think>{GOOD}",
        f"<think>Should I <think> aloud?</think> No.</think>{GOOD}",
        f"<scratchpad>It ends with `</scratchpad>`, then comes the text.</scratchpad>{GOOD}",
        f"I write between `<content>` and `</content>`.\n{GOOD}",
        f"{GOOD}\n<scratchpad>It has two paragraphs.</scratchpad>",
    ],
)
def test_the_document_is_what_stands_between_the_tags(raw: str) -> None:
    assert document_of(raw, "stop") == (DOC, "")


@pytest.mark.parametrize(
    "raw",
    [
        f"The plan is a letter.</think>{GOOD}",
        f"The tags are <content> and </content>.</think>{GOOD}",
        f"First <content>a try</content>, no.</think>{GOOD}",
        f"I put it behind <content>, I think.\n</think>\n{GOOD}",
    ],
)
def test_a_thought_whose_first_tag_the_server_dropped_is_a_thought(raw: str) -> None:
    assert document_of(raw, "stop") == (DOC, "")


@pytest.mark.parametrize(
    "text",
    [
        "What does `<content>` mean? SmolLM explains that `</content>` ends it, and `<think>` begins a thought.",
        "SmolLM shows it:\n\n```xml\n<content>\n  <title/>\n</content>\n```\n\nThat is all.",
        "I think so, said Ada, and she did think of a scratchpad with content. 1 < content > 0.",
        "“I can't help with that,” said SmolLM, and then it said what it can do. " + "It named green tea. " * 20,
        "We are sorry that the kettle broke.",
        "I cannot recommend green tea enough, and SmolLM cannot either.",
        "The placeholder {assistant} and the <b>tag</b> & the context.",
    ],
)
def test_innocent_documents_are_left_as_they_are(text: str) -> None:
    assert document_of(f"<scratchpad>Hm.</scratchpad><content>{text}</content>", "stop") == (text.strip(), "")


@pytest.mark.parametrize(
    ("raw", "finish", "fault"),
    [
        (GOOD, "length", TRUNCATED),
        (GOOD, "max_tokens", TRUNCATED),
        ("<think>I begin with a question, and", "stop", TRUNCATED),
        ("<scratchpad>A letter. It should", None, TRUNCATED),
        (GOOD, "content_filter", REFUSED),
        ("", "refusal", REFUSED),
        ("I'm sorry, but I can't help with that.", "stop", REFUSED),
        ("I cannot create content of this kind.", "stop", REFUSED),
        ("As an AI language model, I can’t assist with this request.", "stop", REFUSED),
        ("<think>Is that fine? No.</think>I’m not able to write this document.", "stop", REFUSED),
        ("<content>I'm sorry, but I can't help with that.</content>", "stop", REFUSED),
        ("", "stop", EMPTY),
        (" \n\u200b", "stop", EMPTY),
        ("<content>\n\u2060\n</content>", "stop", EMPTY),
        (GOOD, "tool_calls", MALFORMED),
        ("", "failed", FAILED),
        (DOC, "stop", MISSING),
        (f"<scratchpad>Hm.</scratchpad>\n{DOC}", "stop", MISSING),
        (f"{DOC}</content>", "stop", MISSING),
        (f"<document>{DOC}</document>", "stop", MISSING),
        (f"`<content>`{DOC}`</content>`", "stop", MISSING),
        (f"<content>{DOC}", "stop", UNCLOSED),
        (f"<content>{DOC} `</content>`", "stop", UNCLOSED),
        (GOOD + GOOD, "stop", DOUBLED),
        (f"{GOOD}\nOr shorter:\n<content>Tea.</content>", "stop", DOUBLED),
        (f"<content>A try.\n{GOOD}", "stop", DOUBLED),
        (f"<scratchpad>So:\n{GOOD}\n</scratchpad>", "stop", INSIDE),
        (f"<scratchpad>So:\n{GOOD}", "stop", INSIDE),
        (f"<think>\n{GOOD}\n</think>\nThat is it.", "stop", INSIDE),
        (f"{GOOD}</think>", "stop", INSIDE),
        (f"{GOOD}</scratchpad>", "stop", INSIDE),
        (f"<content><scratchpad>A letter.</scratchpad>{DOC}</content>", "stop", LEAKED),
        (f"<content>{DOC}<think>Is it long enough?</think></content>", "stop", LEAKED),
        (f"<content><think>{DOC}</content>", "stop", LEAKED),
        ("<content>Half of it</think> and the rest.</content>", "stop", INSIDE),
    ],
)
def test_what_leaves_a_doubt_is_no_document(raw: str, finish: str | None, fault: str) -> None:
    assert document_of(raw, finish) == ("", fault)


PIECES = [
    "<content>",
    "</content>",
    "<think>",
    "</think>",
    "<scratchpad>",
    "</scratchpad>",
    "`",
    "```\n",
    "\n",
    "Tea. ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_no_document_has_a_tag_outside_of_code(raw: str) -> None:
    text, fault = document_of(raw, "stop")
    assert bool(text) != bool(fault)
    assert "`" in text or "<" not in text


@given(st.text(alphabet=st.characters(exclude_characters="<`", exclude_categories=["Cc", "Cs", "Co"])))
def test_a_text_without_tags_comes_out_as_it_went_in(text: str) -> None:
    found = document_of(f"<scratchpad>x</scratchpad><content>{text}</content>", "stop")
    assert found in ((text.strip(), ""), ("", EMPTY), ("", REFUSED))


def test_of_other_replies_only_the_thought_is_dropped() -> None:
    assert said_aloud('<think>Is it {"verdict": "keep"}?</think> {"a": "<content>"} ') == ('{"a": "<content>"}', "")
    assert said_aloud("Hm.</think>Yes.") == ("Yes.", "")
    assert said_aloud("<think>It was cut") == ("", TRUNCATED)
