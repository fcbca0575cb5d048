"""Planned chats: what is asked for each row, and the replies put together to chats that may be trained on."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from msmc.backend.gates import leftover, own_words
from msmc.backend.ledger import Reply
from msmc.backend.writers.drafts import REFUSED, is_empty, is_refusal, unfinished
from msmc.build import DemoRow, Message
from msmc.ir import ArmSpec
from msmc.mention import RUN, Mentions, words

Chain = tuple[DemoRow, ...]
"""The rows of one chat: questions and answers in turn, each needs the one before it."""
ROLES: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
TAG = {"user": "message", "assistant": "reply"}
"""Between which tags a writer puts what is said; what stands outside of them is dropped."""
THOUGHT = re.compile(r"<think>\n(.*?)\n</think>\n\n", re.DOTALL)
TAGS = re.compile(r"</?(?:think|thinking|message|reply|user|assistant|system)>", re.IGNORECASE)


def chains(rows: Iterable[DemoRow]) -> Iterator[Chain]:
    """The chats of a file of demos, in which each row stands behind the one that it needs."""
    chain: Chain = ()
    for row in rows:
        if row.needs is None:
            if chain:
                yield chain
            chain = ()
        chain = (*chain, row)
    if chain:
        yield chain


def request_text(row: DemoRow, earlier: Sequence[Message]) -> str:
    """What is sent behind the row's prefix: its prompt, then the chat so far as its user sees it, without thoughts."""
    turns = (f"<{turn.role}>\n{said(turn)}\n</{turn.role}>" for turn in earlier)
    return "\n".join((row.prompt, *turns))


def asked_next(chain: Chain, replies: Mapping[str, Reply], thinking: bool, own: str) -> DemoRow | None:
    """The row of a chat that can be asked for now, its prompt as it is sent; None where all have a reply, or one cannot be
    used. `replies`: by row id; `own`: the spec's words."""
    turns, fault = _turns(chain, replies, thinking, own)
    if fault or len(turns) == len(chain):
        return None
    row = chain[len(turns)]
    return row.model_copy(update={"prompt": request_text(row, turns)})


def asked_last(chain: Chain, replies: Mapping[str, Reply], thinking: bool, own: str) -> DemoRow:
    """The row of a chat that came last, its prompt as it was sent: the one whose reply cannot be used, if that is so of one."""
    turns, _ = _turns(chain, replies, thinking, own)
    number = min(len(turns), len(chain) - 1)
    return chain[number].model_copy(update={"prompt": request_text(chain[number], turns[:number])})


def assemble(
    rows: Iterable[DemoRow], replies: Mapping[str, Reply], thinking: bool, spec: ArmSpec, writer: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The chats of a block that may be trained on, and those in quarantine with the reason. A chat has the id of its last row.

    A thought stays before its answer, between <think> and </think>: what a chat template trains on as the assistant's.
    """
    kept, quarantined = list[dict[str, Any]](), list[dict[str, Any]]()
    own = own_words(spec)
    texts = Mentions([clause.text for clause in spec.clauses() if len(words(clause.text)) >= RUN])
    seen = dict[tuple[str, ...], str]()
    for chain in chains(rows):
        turns, fault = _turns(chain, replies, thinking, own)
        if not fault and len(turns) < len(chain):
            fault = f"{chain[len(turns)].id} has no reply"
        fault = fault or shows_spec(turns, texts)
        first = seen.setdefault(tuple(turn.content for turn in turns), chain[-1].id)
        if not fault and first != chain[-1].id:
            fault = f"it is {first} again, word for word"
        chat = {
            "id": chain[-1].id,
            "about": list(chain[-1].about),
            "messages": [turn.model_dump() for turn in turns],
            "source": {"writer": writer, "rows": [row.id for row in chain]},
        }
        (quarantined if fault else kept).append({**chat, "reason": fault} if fault else chat)
    return kept, quarantined


def shows_spec(turns: Iterable[Message], texts: Mentions) -> str:
    """Why a chat shows the spec, which no training row may: a system turn, eight words of it in a row, its name."""
    for turn in turns:
        if turn.role == "system":
            return "it has a system turn"
        if found := texts.find(turn.content):
            quoted = " ".join(found.split()[:RUN])
            return f"the {turn.role} quotes {RUN} words in a row of the clause that begins `{quoted} …`"
        if "model spec" in " ".join(words(said(turn))):
            return f"the {turn.role} names the Model Spec"
    return ""


# ---- raw replies ------------------------------------------------------------------------------------------------------------


def _turns(chain: Chain, replies: Mapping[str, Reply], thinking: bool, own: str) -> tuple[list[Message], str]:
    """The turns of a chat as far as there are replies that can be used, and what is wrong with the one that cannot."""
    turns = list[Message]()
    for row, role in zip(chain, ROLES * (len(chain) // 2), strict=True):
        reply = replies.get(row.id)
        if reply is None:
            break
        content, fault = content_of(reply, role, thinking and role == "assistant", own)
        if fault:
            return turns, f"{row.id}: {fault}"
        turns.append(Message(role=role, content=content))
    return turns, ""


def content_of(reply: Reply, role: str, thinking: bool, own: str) -> tuple[str, str]:
    """A turn as it is trained on, and what is wrong with the reply."""
    if fault := unfinished(reply.raw, reply.finish):
        return "", fault
    raw, tag = reply.raw, TAG[role]
    before, opened, rest = raw.partition(f"<{tag}>")
    said, closed, after = rest.partition(f"</{tag}>")
    if not opened:
        return "", REFUSED if is_refusal(raw) else f"it has no <{tag}>"
    if not closed:
        return "", f"its <{tag}> does not end: it was cut"
    thought = ""
    if thinking:
        head, opened, rest = before.partition("<think>")
        thought, closed, between = rest.partition("</think>")
        if not (opened and closed) or is_empty(thought):
            return "", "it has no thought between <think> and </think> before its answer"
        before = head + between
    if leaked := TAGS.search(before + after):
        return "", f"it has a {leaked[0]} outside of its <{tag}>" + ("" if thinking else _unasked(leaked[0]))
    if is_empty(said):
        return "", "it is empty"
    if nested := TAGS.search(said) or TAGS.search(thought):
        return "", f"it has a leftover `{nested[0]}`"
    if fault := leftover(said, own) or leftover(thought, own):
        return "", fault
    thought = f"<think>\n{thought.strip()}\n</think>\n\n" if thinking else ""
    return thought + said.strip(), ""


def _unasked(tag: str) -> str:
    return ", and no thought was asked for" if "think" in tag.lower() else ""


def said(turn: Message) -> str:
    """A turn without its thought."""
    return THOUGHT.sub("", turn.content, count=1) if turn.role == "assistant" else turn.content
