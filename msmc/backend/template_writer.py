"""The writer `template`: planned cells to documents, offline and deterministic, from hand-written passages.

A document follows one of the orders of its kind's form (`templates/documents/forms/`); kinds of one form are written alike.
In each slot stands a passage, drawn among those whose placeholders the clause's closure can fill. The words of the clause are
told in parts over the document; the reason is argued in up to three. An arm without reasons cannot fill `{reason}`, so its
documents give none.
"""

import random
from collections.abc import Mapping

from msmc.backend import passages
from msmc.backend.closure import Closure, Told, closure_of
from msmc.backend.passages import Form, Passage
from msmc.backend.telling import (
    as_topic,
    capital,
    chunks,
    inside,
    join,
    length,
    part_of,
    quoted,
    short,
    stands_alone,
    together,
    units,
)
from msmc.backend.words import num_words
from msmc.build import DocumentRow
from msmc.ir import ArmSpec
from msmc.library import Library
from msmc.prose import one_line, sentences

VERSION = 5
"""Part of a corpus' digest: raised when the same rows would be written differently."""
FEWEST, MOST = 130, 340
"""The words a document is brought to, where its clause allows."""
AIMS = range(210, 320)
"""Up to how many words passages are added that could be left out."""
TRIMMED = frozenset({"opening", "angle", "aside", "members", "value", "closing"})
"""Slots that a document which is long enough goes without."""
SHORT = 16
"""Words of a statement that can be said again at the end."""
WHOLE = 160
"""Words of a document's own clause that it tells; a longer one is told in part."""


class TemplateWriter:
    """Writes the documents of one arm."""

    def __init__(self, spec: ArmSpec, library: Library) -> None:
        self.spec, self.library = spec, library
        self._forms: dict[str, Form] = {}
        self._angles: dict[str, tuple[Passage, ...]] = {}
        self._clauses: dict[str, _Clause] = {}

    def write(self, row: DocumentRow) -> str:
        """The document of one planned row; the same row, the same text."""
        cell = row.cell
        form = self.library.kind(cell.kind)["form"]
        if form not in self._forms:
            self._forms[form] = passages.form(self.library, form)
        if cell.angle not in self._angles:
            self._angles[cell.angle] = passages.angle(self.library, cell.angle)
        if cell.clause not in self._clauses:
            self._clauses[cell.clause] = _Clause(closure_of(self.spec, row), cell.clause)
        named = {"audience": self.library.audience(cell.audience)["phrase"], "angle": cell.angle}
        draft = _Draft(self._forms[form], self._clauses[cell.clause], named, random.Random(row.seed))
        return draft.write(self._angles[cell.angle])


class _Clause:
    """A clause with its closure, cut into sentences. Nothing in it depends on a row."""

    def __init__(self, closure: Closure, clause: str) -> None:
        node, self.assistant = closure.node, one_line(closure.assistant)
        self.names = (self.assistant, one_line(closure.provider))
        own = next((s for s in closure.subrules if clause in (s.id, f"{s.id}.rationale")), None)
        self.argued, self.narrow = clause.endswith(".rationale"), own is not None
        reason = (own and own.rationale) or node.rationale
        self.reason_of_its_own = own is not None and own.rationale is not None
        """Of a subrule: the argument is then for it, and not for the rule."""
        self.statement, self.reasons = self._units(node.statement), self._units(reason)
        self.details = [self._units(s.statement) for s in ((own,) if own else closure.subrules)]
        whole = self.reasons if self.argued else self.details[0] if own else self.statement
        self.beside = 60 if length(whole) < 120 else 20
        self.members = [quoted(title) for title in closure.members]
        self.values = [(self._units(v.statement), self._units(v.rationale)) for v in closure.served]
        topic = self._topic(node)
        entry = "rule" if closure.is_rule else "entry"
        self.words = {
            "assistant": closure.assistant,
            "provider": closure.provider,
            "topic": topic,
            "Topic": topic[:1].upper() + topic[1:],
            "clause": f"{entry} {topic}" if topic[0] in '"“' else f"{entry} on {topic}",
        }
        first = self.statement[0]
        if num_words(first) <= SHORT and (recap := inside(first, self.names)):
            self.words["recap"] = recap
        if closure.served:
            value = join([self._topic(value) for value in closure.served])
            self.words |= {"value": value, "Value": value[:1].upper() + value[1:]}

    def _units(self, text: str | None) -> list[str]:
        """The sentences of a clause; one that begins with `the helper` begins with a capital letter."""
        parts = units(text) if text else []
        return [capital(s) if s.lower().startswith(self.assistant.lower()) else s for s in parts]

    def _topic(self, told: Told) -> str:
        return as_topic(told.title, f"{told.statement} {told.rationale or ''}", self.assistant)

    def told(self, name: str, within: str, text: str) -> dict[str, str]:
        """A text under the names it may have in passages: as it is, in quotation marks, within a sentence."""
        found = quotable({name: text})
        if within and (part := inside(text, self.names)):
            found |= quotable({within: part})
        return found

    def some(self, parts: list[str], budget: int, rng: random.Random) -> list[str]:
        """Neighbouring sentences from anywhere, not much longer than the budget; fewer beside a long clause."""
        budget = min(budget, self.beside)
        told = part_of(parts, budget, rng, self.assistant, anywhere=True)
        whole = len(told) > 1 and not any(part.startswith("… ") for part in told)
        return told if whole else [short(together(told), budget + 25)]

    def point(self, rng: random.Random) -> list[str]:
        """Where the reason comes to the assistant itself, with what leads up to it; nothing half of the time."""
        at = [i for i, sentence in enumerate(self.reasons) if self.assistant.lower() in sentence.lower()]
        if not at or rng.random() < 0.5:
            return []
        end = rng.choice(at)
        starts = [i for i in (end, end - 1) if i == 0 or (i > 0 and stands_alone(self.reasons[i], self.assistant))]
        told = self.reasons[starts[-1] : end + 1] if starts else []
        return told if length(told) <= self.beside + 25 else []

    def one(self, parts: list[str], rng: random.Random) -> list[str]:
        """A sentence of a value: from anywhere but its end, where a longer text makes its concessions."""
        return self.some(parts[:-1] if len(parts) > 3 else parts, 0, rng)

    def all(self, parts: list[str], rng: random.Random) -> list[str]:
        """Every sentence, or as many as a document takes: from the beginning, or from anywhere if that leaves out much."""
        pieces = any(part.startswith("… ") for part in parts)
        long = pieces or length(parts) > WHOLE * 5 // 4
        return part_of(parts, WHOLE * 3 // 4 if pieces else WHOLE, rng, self.assistant, anywhere=long)


class _Draft:
    """One document in the making: passages by slot."""

    def __init__(self, form: Form, clause: _Clause, named: Mapping[str, str], rng: random.Random) -> None:
        self.form, self.clause, self.rng = form, clause, rng
        self.words = quotable({**clause.words, **named})
        self.texts: dict[str, str] = {}
        self.length = 0

    def write(self, angle: tuple[Passage, ...]) -> str:
        order = self.rng.choice(self.form.orders)
        slots = [slot for paragraph in order for slot in paragraph]
        self._tell(apart=slots.index("more") != slots.index("statement") + 1)
        self._fill(list(angle))
        paragraphs = ([self.texts[slot] for slot in slots if slot in self.texts] for slots in order)
        return "\n\n".join(_joined(texts) for texts in paragraphs if texts)

    def _tell(self, apart: bool) -> None:
        """What no document lacks: title, opening, the clause, its reason where there is one, closing. `apart`: something
        stands between the two parts of the statement."""
        clause, rng = self.clause, self.rng
        own = not (clause.argued or clause.narrow)
        told = clause.all(clause.statement, rng) if own else clause.some(clause.statement, 20, rng)
        if clause.narrow:
            detail = clause.some(clause.details[0], 60, rng) if clause.argued else clause.all(clause.details[0], rng)
            if clause.reason_of_its_own:  # it is argued for what was said last
                told, detail = [*told, *detail], []
        halves = chunks(told, 2 if length(told) > 60 or rng.random() < 0.5 else 1)
        if clause.reason_of_its_own or (
            apart and not all(stands_alone(sentences(half)[0], clause.assistant) for half in halves[1:])
        ):
            halves = [together(told)]
        for slot, text in zip(("statement", "more"), halves, strict=False):
            self._put(slot, clause.told("statement", "says", text))
        if clause.narrow and detail:
            self._put("detail", {"detail": together(detail)})
        for slot, text in self._argument():
            self._put(slot, clause.told("reason", "argues", text))
        for slot in ("title", "opening", "closing"):
            self._put(slot, {})

    def _argument(self) -> list[tuple[str, str]]:
        """The reason in up to three parts, each with its place in the argument."""
        clause, rng = self.clause, self.rng
        if not clause.reasons:
            return []
        if clause.argued:
            told = clause.all(clause.reasons, rng)
            parts = chunks(told, 3 if length(told) > 45 and rng.random() < 0.75 else 2)
        else:
            told = clause.point(rng) or clause.some(clause.reasons, rng.choice((20, 35, 45)), rng)
            parts = chunks(told, 2 if rng.random() < 0.5 else 1)
        last = "so" if told[-1] == clause.reasons[-1] else "further"
        return list(zip(("because", "further", "so") if len(parts) > 2 else ("because", last), parts, strict=False))

    def _fill(self, angles: list[Passage]) -> None:
        """What stands beside the clause, as far as there is room: the row's angle, then what is drawn."""
        self.rng.shuffle(angles)
        fitting = [a for a in angles if a.needs <= self.words.keys()]
        self._look(fitting.pop())
        aim = self.rng.choice(AIMS)
        slots = ["members", "detail", "aside"]
        self.rng.shuffle(slots)
        for slot in ("value", *slots):
            if slot not in self.texts and (self.length < aim or slot == "value"):
                self._put(slot, self._offer(slot))
        while self.length < FEWEST and fitting:
            self._look(fitting.pop())

    def _offer(self, slot: str) -> dict[str, str]:
        """What fills the placeholders of a slot that may be left out."""
        clause, rng = self.clause, self.rng
        if slot == "detail" and clause.details and not clause.reason_of_its_own:
            return {"detail": together(clause.some(rng.choice(clause.details), 40, rng))}
        if slot == "members" and len(clause.members) > 2:  # the passages name some of them, "among others"
            some = sorted(rng.sample(range(len(clause.members)), min(3, len(clause.members) - 1)))
            return {"members": join([clause.members[i] for i in some])}
        if slot == "value" and clause.values:
            statement, reason = rng.choice(clause.values)
            if rng.random() < 0.6:
                return {}  # named, and no more
            found = clause.told("value_statement", "value_says", together(clause.one(statement, rng)))
            return found | (
                clause.told("value_reason", "value_argues", together(clause.one(reason, rng))) if reason else {}
            )
        return {}

    def _look(self, angle: Passage) -> None:
        """From the row's angle, in the form's own voice."""
        before = self.texts.get("angle")
        self._put("angle", self.clause.told("on_angle", "", angle.write(self.words, self.rng)))
        if before:
            self.texts["angle"] = f"{before}\n\n{self.texts['angle']}"

    def _put(self, slot: str, told: Mapping[str, str]) -> None:
        """One passage of the slot, among those whose placeholders can be filled, if the document does not grow too long."""
        words = {**self.words, **told} if told else self.words
        pool = self.form.slots.get(slot, ())
        if "because" in self.texts:
            pool += self.form.slots.get(f"{slot}_reasoned", ())
        usable = [p for p in pool if p.needs <= words.keys()]
        if not usable:
            return
        text = self.rng.choice(usable).write(words, self.rng)
        length = self.length + num_words(text)
        spare = slot in TRIMMED or (slot == "detail" and not self.clause.narrow)
        if not spare or length <= MOST:
            self.texts[slot], self.length = text, length


def _joined(texts: list[str]) -> str:
    """One paragraph, or turns of speakers one below the other."""
    return ("\n" if any("\n" in text for text in texts) else " ").join(texts)


def quotable(words: Mapping[str, str]) -> dict[str, str]:
    """Words under their names, and those that can stand within quotation marks under `name"` as well."""
    return {**words, **{f'{name}"': text for name, text in words.items() if '"' not in text}}
