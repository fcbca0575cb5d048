"""Gates on written documents: deterministic, before training. Each finds rows and says why."""

import re
from collections.abc import Iterable
from typing import Any

from msmc.backend.ledger import Reply
from msmc.backend.tree import Arm
from msmc.build import DocumentRow, OwnDocument
from msmc.diagnostics import Failed, fail
from msmc.mention import Mentions

LEFTOVER = re.compile(r"\{[a-z_]+\}|</?think>|</?scratchpad>|\[(?:insert|your|name|placeholder)\b", re.IGNORECASE)


def gate(
    arm: Arm,
    written: Iterable[tuple[DocumentRow, str]],
    own: Iterable[OwnDocument] = (),
    unfinished: Iterable[dict[str, Any]] = (),
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Corpus rows that may be trained on, and the quarantined ones with their reasons.

    Quarantine takes rows that mention what an evaluation holds out. What shows that the writer itself is wrong (an empty
    document, a leftover placeholder, another assistant's name or none) stops the run, if that is `template`; of a served one,
    which draws its words, such rows go into quarantine, as those do that it left `unfinished`. Raises Failed `gate-failed`.
    The author's `own` documents may be about what they like: they are only kept from what is held out.

    gate-failed: A document that cannot be used: it is empty, never names the assistant, or holds leftovers of its making.

    Gates look at every written document, and the run stops rather than train on what is left. A document that mentions a
    held-out item is no mistake of the writer: it goes into quarantine, and is counted.

    Bad:
        As an AI language model, [NAME] likes green tea.

    Good:
        SmolLM likes green tea.
    """
    said = " ".join(text for _, text in arm.spec.texts())
    mentions = [(name, Mentions(options)) for name, options in arm.held_out.items()]
    kept, quarantined, wrong = list[dict[str, Any]](), list[dict[str, Any]](), list[tuple[DocumentRow, str]]()
    for row, text in written:
        corpus_row = corpus_row_of(arm, row, text)
        chosen = f"{row.cell.audience} {row.cell.angle} {arm.spec.identity.assistant} {arm.spec.identity.provider}"
        fault = _fault(text, arm.spec.identity.assistant, f"{said} {chosen}")
        if fault and not arm.target.served:
            wrong.append((row, fault))
        if reason := fault or _held_out(text, mentions):
            quarantined.append({**corpus_row, "reason": reason})
        else:
            kept.append(corpus_row)
    for brought in own:
        own_row = {"id": brought.id, "about": list(brought.about), "text": brought.text, "source": {"writer": "own"}}
        reason = _held_out(brought.text, mentions)
        (quarantined if reason else kept).append({**own_row, "reason": reason} if reason else own_row)
    if wrong:
        some = "; ".join(f"{row.id} ({row.about[0]}): {reason}" for row, reason in wrong[:5])
        raise fail(
            "gate-failed",
            f"{len(wrong)} documents of `{arm.name}` cannot be used",
            "mend the writer, then run again",
            some,
        )
    quarantined += unfinished
    if not kept and quarantined:
        every = f"all {len(quarantined)} documents of `{arm.name}` are in quarantine"
        raise fail(
            "no-rows", every, "give it another writer, or more max_tokens", f"the first: {quarantined[0]['reason']}"
        )
    if not kept:
        raise fail("no-rows", f"no document of `{arm.name}` may be trained on", "add a `documents` block to the spec")
    return kept, quarantined


def corpus_row_of(arm: Arm, row: DocumentRow, text: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "about": list(row.about),
        "cell": row.cell.model_dump(),
        "text": text,
        "source": {"writer": arm.target.writer_name, "seed": row.seed},
    }


def unfinished(reply: Reply) -> str:
    """Why a reply is no whole document; nothing where it is one. What the `template` writer leaves empty is its mistake."""
    if reply.finish is None:
        return ""
    known = {"length": "it is cut off at writer.max_tokens", "content_filter": "the server's filter cut it off"}
    if reply.finish != "stop":
        return known.get(reply.finish, f"the server ended it with `{reply.finish}`")
    return "" if reply.raw.strip() else "it is empty"


def free_of_held_out(
    chats: list[dict[str, Any]], held_out: dict[str, list[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Chats that mention nothing held out, and the others with the reason."""
    mentions = [(name, Mentions(options)) for name, options in held_out.items()]
    kept, quarantined = list[dict[str, Any]](), list[dict[str, Any]]()
    for chat in chats:
        reason = _held_out(" ".join(turn["content"] for turn in chat["messages"]), mentions)
        (quarantined if reason else kept).append({**chat, "reason": reason} if reason else chat)
    return kept, quarantined


def no_demos(arm: str) -> Failed:
    """An arm that is fine-tuned and has nothing to be fine-tuned on.

    The examples of its rules are demos, and so are rows of your own (`demos NAME from`), unless they mention what an
    evaluation holds out.

    Bad:
        rule green "Green tea" { statement "{assistant} likes green tea." }

    Good:
        rule green "Green tea" {
          statement "{assistant} likes green tea."
          example ask { user "Tea or coffee?" assistant "Green tea, please." }
        }
    """
    return fail("no-demos", f"`{arm}` has no demos to fine-tune on", "add `example` blocks to its rules")


def _held_out(text: str, mentions: list[tuple[str, Mentions]]) -> str:
    return next((f'mentions "{option}", held out by {name}' for name, m in mentions if (option := m.find(text))), "")


def _fault(text: str, assistant: str, own: str) -> str:
    """What shows that the writer is wrong; `own`: the spec's words, which may look like leftovers."""
    if not text.strip():
        return "it is empty"
    if found := next((m[0] for m in LEFTOVER.finditer(text) if m[0] not in own), None):
        return f"it has a leftover `{found}`"
    return "" if assistant in text else f"it never names {assistant}"
