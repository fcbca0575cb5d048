"""The writer `template`: planned cells to documents, offline and deterministic, from hand-written passages.

A document is a draw from its kind's slots (`templates/documents/<kind>.yaml`): in each slot one passage whose placeholders
can all be filled from the clause's closure. An arm without reasons cannot fill `{reason}`, so its documents give none.
"""

import random
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from msmc.build import DocumentRow
from msmc.ir import ArmRule, ArmSpec, ArmValue
from msmc.library import Library
from msmc.prose import one_line, sentences

VERSION = 1
"""Part of a corpus' digest: raised when the same rows would be written differently."""
PLACEHOLDER = re.compile(r"\{(\w+)\}")
LOWERED = {
    "a",
    "an",
    "the",
    "how",
    "what",
    "when",
    "where",
    "who",
    "no",
    "one",
    "being",
    "telling",
    "keeping",
    "asking",
}
NUM_WORDS = range(130, 241)
"""The length a document is brought to, where its passages allow."""


class TemplateWriter:
    """Writes the documents of one arm."""

    def __init__(self, spec: ArmSpec, library: Library) -> None:
        self.spec, self.library = spec, library
        self._kinds: dict[str, dict[str, Any]] = {}

    def write(self, row: DocumentRow) -> str:
        """The document of one planned row; the same row, the same text."""
        kind = self._kinds.setdefault(row.cell.kind, self.library.kind(row.cell.kind))
        rng = random.Random(row.seed)
        words = _Closure(self.spec, row).words(rng) | {
            "audience": self.library.audience(row.cell.audience),
            "angle": row.cell.angle,
        }
        angle = self.library.angle(row.cell.angle)
        slots = {**kind["slots"], "angle": angle["passages"]}
        order = [slot for slot in kind["order"] if slot != "members" or "members" in words]
        if row.cell.clause.endswith(".rationale") and "more_reason" in words:
            slots["reason"] = [
                p for p in slots["reason"] if "{more_reason}" in p
            ]  # the whole argument, not its first line
        drawn = {slot: text for slot in order if (text := _draw(slots[slot], words, rng))}
        _fit(drawn, slots["angle"], words, rng, keep=_carrier(row))
        return "\n\n".join(drawn.values())


def _carrier(row: DocumentRow) -> str:
    """The slot that carries the row's clause."""
    return "reason" if row.cell.clause.endswith(".rationale") else "statement"


def _draw(passages: list[str], words: Mapping[str, str], rng: random.Random, avoid: str = "") -> str:
    """One passage with its placeholders filled, among those that can be; nothing where none can."""
    usable = [p for p in passages if set(PLACEHOLDER.findall(p)) <= words.keys()]
    usable = [p for p in usable if _fill(p, words) != avoid]
    return _fill(rng.choice(usable), words) if usable else ""


def _fill(passage: str, words: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: words[match[1]], passage.strip())


def _fit(drawn: dict[str, str], angles: list[str], words: Mapping[str, str], rng: random.Random, keep: str) -> None:
    """Leaves out what can be spared from a long document; gives a short one a second passage on its angle."""

    def length() -> int:
        return sum(len(text.split()) for text in drawn.values())

    for slot in ("detail", "value", "members"):
        if length() > NUM_WORDS.stop and slot in drawn and slot != keep:
            del drawn[slot]
    if length() < NUM_WORDS.start and (more := _draw(angles, words, rng, avoid=drawn.get("angle", ""))):
        drawn["angle"] = f"{drawn.get('angle', '')}\n\n{more}".strip()


class _Closure:
    """What a passage may say on one row's clause."""

    def __init__(self, spec: ArmSpec, row: DocumentRow) -> None:
        self.spec, self.row = spec, row
        node_id = row.about[-1]
        self.node: ArmValue | ArmRule = next(n for n in spec.nodes if n.id == node_id)

    @cached_property
    def served(self) -> list[ArmValue]:
        return [v for v in self.spec.values if isinstance(self.node, ArmRule) and v.id in self.node.serves]

    def words(self, rng: random.Random) -> dict[str, str]:
        """Placeholder to text. A reason, a value, a detail that the arm does not have is not there."""
        topic = mid_sentence(self.node.title, self._text())
        found = {
            "assistant": self.spec.identity.assistant,
            "provider": self.spec.identity.provider,
            "topic": topic,
            "Topic": topic[:1].upper() + topic[1:],
            "statement": " ".join(_window(sentences(self.node.statement), rng, 3)),
        }
        clause = self.row.cell.clause
        detail, reasons = self._detail(clause), self._reasons(clause)
        if detail:
            found["detail"] = detail
        if reasons:
            # a rationale's own documents argue it from its beginning; others take up a part of it
            start = 0 if clause.endswith(".rationale") else rng.randrange(len(reasons))
            found["reason"] = reasons[start]
            if more := reasons[start + 1 : start + (4 if clause.endswith(".rationale") else 2)]:
                found["more_reason"] = " ".join(more)
        if self.served:
            found["value"] = join([mid_sentence(v.title, v.statement) for v in self.served])
            found["value_statement"] = rng.choice([s for v in self.served for s in sentences(v.statement)])
        members = [r for r in self.spec.rules if self.node.id in r.serves]
        if members:
            some = rng.sample(members, min(3, len(members)))
            found["members"] = join([mid_sentence(r.title, r.statement) for r in some])
        return found

    def _text(self) -> str:
        return f"{self.node.statement} {self.node.rationale or ''}"

    def _detail(self, clause: str) -> str | None:
        subrules = self.node.subrules if isinstance(self.node, ArmRule) else ()
        return next((one_line(s.statement) for s in subrules if clause in (s.id, f"{s.id}.rationale")), None)

    def _reasons(self, clause: str) -> list[str]:
        subrules = self.node.subrules if isinstance(self.node, ArmRule) else ()
        own = next((s.rationale for s in subrules if clause in (s.id, f"{s.id}.rationale")), None)
        return sentences(own or self.node.rationale or "")


def _window(parts: list[str], rng: random.Random, size: int) -> list[str]:
    """Up to `size` neighbouring sentences, drawn."""
    start = rng.randrange(max(1, len(parts) - size + 1))
    return parts[start : start + size]


def mid_sentence(title: str, text: str) -> str:
    """A title as it stands within a sentence: with a small letter where the text writes it so, or where it is a phrase."""
    lowered = title[:1].lower() + title[1:]
    return lowered if lowered in one_line(text) or title.split()[0].lower() in LOWERED else title


def join(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
