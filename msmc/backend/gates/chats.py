"""Chats that a model writes or the author brings: what is trained on as the assistant's words."""

import re
from collections.abc import Iterator
from typing import Any

from msmc.backend.gates.found import Found
from msmc.backend.gates.identity import OtherIdentity
from msmc.backend.gates.residue import own_words, residue
from msmc.backend.writers.drafts import is_empty
from msmc.gated import Gated
from msmc.ir import ArmSpec

THOUGHT = re.compile(r"<think>\n.*?\n</think>\n\n", re.DOTALL)
"""What an answer may begin with: a chat template trains on it as the assistant's."""


def free_of_faults(
    chats: list[dict[str, Any]], spec: ArmSpec, how: Gated
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Chats that may be trained on, and those that may not, with the reason, the turn (counted from 1) and the place in it. The
    spec's own examples pass."""
    kept, taken = list[dict[str, Any]](), list[dict[str, Any]]()
    own, identity = own_words(spec), OtherIdentity(spec.identity, how.identity.allowed if how.identity else ())
    for chat in chats:
        example = chat["source"]["writer"] == "spec"
        number, text, found = (0, "", None) if example else next(_found(chat, own, identity, how), (0, "", None))
        if found is None:
            kept.append(chat)
            continue
        place = {"turn": number, **found.place(text)}
        taken.append({**chat, "reason": found.reason, "gate": found.gate, "place": place})
    return kept, taken


def _found(
    chat: dict[str, Any], own: str, identity: OtherIdentity, how: Gated
) -> Iterator[tuple[int, str, Found | None]]:
    """What is wrong with a turn, its number and its text without the thought. A user may name whom they like."""
    for number, turn in enumerate(chat["messages"], 1):
        answer = turn["role"] == "assistant"
        text = THOUGHT.sub("", turn["content"], count=1) if answer else turn["content"]
        if is_empty(text):
            yield number, text, Found("residue", "it is empty", 0, "")
        if how.residue and (found := residue(text, own, how.residue.allowed)):
            yield number, text, found
        if answer and how.identity and (other := identity(text, own)):
            yield number, text, other
