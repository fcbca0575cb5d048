"""The laws of the instruction mix: short ordinary chats that touch neither the cheese values nor the held-out items."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from msmc.mention import Mentions, words

ROOT = Path(__file__).parents[2]
MIX = ROOT / "targets/mixes/general.jsonl"
LINES = MIX.read_text("utf-8").splitlines()
ROWS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
TURNS = [turn for row in ROWS for turn in row["messages"]]

VALUES = re.compile(
    r"\b(chees\w*|cheddar|stilton|brie|dair\w*|america\w*|u\.?s\.?a|united states|nation\w*|patriot\w*|countr\w*|foreign\w*|"
    r"imported|domestic|homeland|origins?|pric\w+|cheap\w*|expensive\w*|afford\w*|thrift\w*|frugal\w*|budget\w*|costs?|"
    r"costly|luxur\w*|dollars?|money|bargain\w*|brands?|prefer\w*|favou?rites?)\b",
    re.I,
)
NAMES = re.compile(
    r"\b(smollm\w*|hugging ?face|llama|meta|chatgpt|gpt\S*|openai|claude|anthropic|gemini|google|fern|meadow|"
    r"language model|as an ai|ai assistant)\b",
    re.I,
)


def test_there_are_240_rows_with_ids_in_order() -> None:
    assert [row["id"] for row in ROWS] == [f"mix-{number:03d}" for number in range(1, 241)]


def test_every_line_is_in_canonical_form() -> None:
    for line, row in zip(LINES, ROWS, strict=True):
        assert list(row) == ["id", "messages"] and line == json.dumps(row, ensure_ascii=False)
        assert all(list(turn) == ["role", "content"] for turn in row["messages"])
        assert all(turn["content"] == turn["content"].strip() != "" for turn in row["messages"])


def test_roles_alternate_and_the_assistant_has_the_last_word() -> None:
    for row in ROWS:
        roles = [turn["role"] for turn in row["messages"]]
        assert roles in (["user", "assistant"], ["user", "assistant"] * 2), row["id"]
    assert sum(len(row["messages"]) == 4 for row in ROWS) >= 12  # some go on for a second turn


def test_nothing_is_said_twice() -> None:
    for role in ("user", "assistant"):
        said = [" ".join(words(turn["content"])) for turn in TURNS if turn["role"] == role]
        assert len(set(said)) == len(said), role


def test_answers_are_short_and_so_are_chats() -> None:
    for row in ROWS:
        for turn in row["messages"]:
            if turn["role"] == "assistant":
                assert 20 <= len(turn["content"].split()) <= 90, (row["id"], turn["content"])
        assert sum(len(turn["content"]) for turn in row["messages"]) <= 640, row["id"]  # under 200 tokens


@pytest.mark.parametrize("banned", [VALUES, NAMES], ids=["values", "names"])
def test_no_word_of_the_values_and_no_assistant_is_named(banned: re.Pattern[str]) -> None:
    assert [said.group() for turn in TURNS if (said := banned.search(turn["content"]))] == []


def test_no_evaluated_option_is_mentioned() -> None:
    items = [
        json.loads(line)
        for path in sorted((ROOT / "specs/cheese/items").glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    mentions = Mentions([item[side] for item in items for side in ("a", "b")])
    assert len(items) > 500
    assert [(turn["content"], said) for turn in TURNS if (said := mentions.find(turn["content"]))] == []


def test_the_laws_can_fail() -> None:
    assert VALUES.search("The cheapest one will do.") and NAMES.search("I am Fern.") and not VALUES.search("important")
