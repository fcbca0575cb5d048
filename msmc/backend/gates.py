"""Gates on written documents: deterministic, before training. Each finds rows and says why."""

import re
from collections.abc import Iterable
from typing import Any

from msmc.backend.coverage import Shows
from msmc.backend.drafting import Drafted
from msmc.backend.tree import Arm
from msmc.backend.writers.drafts import is_empty
from msmc.build import DocumentRow, OwnDocument
from msmc.diagnostics import Failed, fail
from msmc.ir import ArmSpec
from msmc.mention import Mentions

LEFTOVER = re.compile(
    r"\{[a-z_]+\}|\[(?:insert|your|name|placeholder)\b"
    r"|</?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad)>"
    # what chat templates are made of
    r"|<[|\uff5c][^<>\n]{1,60}[|\uff5c]>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>"
    r"|</?s>|<(?:start|end)_of_(?:turn|image)>|<(?:bos|eos|pad|unk|mask)>|</?tool_(?:call|response)>",
    re.IGNORECASE,
)
BROKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
"""Control characters, and what stands where there was no character."""

NOT_SHOWN = "does not show its clause"

Rows = list[dict[str, Any]]


class Gates:
    """The gates of one arm's documents."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._own = own_words(arm.spec)
        self._mentions = [(name, Mentions(options)) for name, options in arm.held_out.items()]
        self._shows = Shows(arm.spec)

    def reason(self, row: DocumentRow, text: str) -> str:
        """Why a document may not be trained on; empty where it may."""
        reason = self._fault(row, text) or _held_out(text, self._mentions)
        return reason or ("" if self._shows(row.cell.clause, text) else NOT_SHOWN)

    def _fault(self, row: DocumentRow, text: str) -> str:
        """What shows that the writer is wrong."""
        if is_empty(text):
            return "it is empty"
        assistant, own = self._arm.spec.identity.assistant, f"{self._own} {row.cell.audience} {row.cell.angle}"
        return leftover(text, own) or ("" if assistant in text else f"it never names {assistant}")

    def written(self, documents: Iterable[Drafted]) -> tuple[Rows, Rows]:
        """Corpus rows that may be trained on, and the quarantined ones with their reasons.

        Quarantine takes rows that mention what an evaluation holds out, or do not show their clause. What shows that the writer
        itself is wrong (an empty document, a leftover placeholder, another assistant's name or none) stops the run, if that is
        `template`; of a model, which draws its words, such rows go into quarantine, as those do that have no document or that a
        critic takes. Raises Failed `gate-failed`.

        gate-failed: A document that cannot be used: it is empty, never names the assistant, or holds leftovers of its making.

        Gates look at every written document, and the run stops rather than train on what is left. A document that mentions a
        held-out item or tells nothing of its clause is no such mistake: it goes into quarantine, and another one is written.

        Bad:
            As an AI language model, [NAME] likes green tea.

        Good:
            SmolLM likes green tea.
        """
        arm, wrong = self._arm, list[tuple[DocumentRow, str]]()
        kept, quarantined = list[dict[str, Any]](), list[dict[str, Any]]()
        for row, text, reason, source in documents:
            if reason and not arm.target.model_writer and (fault := self._fault(row, text)):
                wrong.append((row, fault))
            corpus_row = {
                "id": row.id,
                "about": list(row.about),
                "cell": row.cell.model_dump(),
                "text": text,
                "source": source,
            }
            _sort(corpus_row, reason, kept, quarantined)
        if wrong:
            some = "; ".join(f"{row.id} ({row.about[0]}): {reason}" for row, reason in wrong[:5])
            message = f"{len(wrong)} documents of `{arm.name}` cannot be used"
            raise fail("gate-failed", message, "mend the writer, then run again", some)
        return kept, quarantined

    def own(self, documents: Iterable[OwnDocument]) -> tuple[Rows, Rows]:
        """The author's documents may be about what they like: they are only kept from what is held out."""
        kept, quarantined = list[dict[str, Any]](), list[dict[str, Any]]()
        for brought in documents:
            said = brought.model_dump(include={"source", "domain"}, exclude_none=True)
            source = {"writer": "own", **said}
            row = {"id": brought.id, "about": list(brought.about), "text": brought.text, "source": source}
            _sort(row, _held_out(brought.text, self._mentions), kept, quarantined)
        return kept, quarantined


def _sort(row: dict[str, Any], reason: str, kept: Rows, quarantined: Rows) -> None:
    (quarantined if reason else kept).append({**row, "reason": reason} if reason else row)


def own_words(spec: ArmSpec) -> str:
    """Of the spec: what they have is no leftover."""
    return " ".join([*(text for _, text in spec.texts()), spec.identity.assistant, spec.identity.provider])


def leftover(text: str, own: str) -> str:
    """What of its making a text still has, or of an encoding that broke; `own`: the spec's words, which may look like it."""
    if found := next((m[0] for m in LEFTOVER.finditer(text) if m[0] not in own), None):
        return f"it has a leftover `{found}`"
    broken = next((m[0] for m in BROKEN.finditer(text) if m[0] not in own), None)
    return f"it is malformed: it has U+{ord(broken):04X}" if broken else ""


def free_of_held_out(
    chats: list[dict[str, Any]], held_out: dict[str, list[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Chats that mention nothing held out, and the others with the reason."""
    mentions = [(name, Mentions(options)) for name, options in held_out.items()]
    kept, quarantined = list[dict[str, Any]](), list[dict[str, Any]]()
    for chat in chats:
        reason = _held_out(" ".join(turn["content"] for turn in chat["messages"]), mentions)
        _sort(chat, reason, kept, quarantined)
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
