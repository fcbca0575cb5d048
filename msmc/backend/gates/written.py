"""The gates of one arm's documents, one after another: which rows may be trained on, and why the others may not."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msmc.backend.coverage import Shows
from msmc.backend.drafting import Drafted
from msmc.backend.gates.duplicates import Seen, duplicate
from msmc.backend.gates.found import Found, short
from msmc.backend.gates.identity import OtherIdentity
from msmc.backend.gates.language import OtherLanguage
from msmc.backend.gates.length import length
from msmc.backend.gates.meta_talk import meta_talk
from msmc.backend.gates.reasons import OutOfPlace
from msmc.backend.gates.repeated import Repeats
from msmc.backend.gates.residue import own_words, residue
from msmc.backend.gates.truncation import truncation
from msmc.backend.tree import Arm
from msmc.backend.writers.drafts import is_empty
from msmc.build import Cell, DocumentRow, OwnDocument
from msmc.diagnostics import Failed, fail
from msmc.mention import Mentions, place, words

VERSION = 3
"""Part of a corpus' digest: raised when other rows would be taken."""
NOT_SHOWN = "does not show its clause"
OF_THE_WRITER = frozenset({"residue", "identity", "meta_talk"})
"""Gates that `template` itself is wrong by."""

Rows = list[dict[str, Any]]


class Gates:
    """The gates of one arm's documents. Duplicates and what is repeated are judged by the documents before."""

    def __init__(self, arm: Arm) -> None:
        self._arm, self.how = arm, arm.target.gates
        identity, how = arm.spec.identity, self.how
        self._own = own_words(arm.spec)
        self._held_out = HeldOut(arm.held_out)
        self._shows = Shows(arm.spec)
        names = frozenset([*words(identity.assistant), *words(identity.provider)])
        self._identity = OtherIdentity(identity, how.identity.allowed) if how.identity else None
        own_text = "\n".join(clause.text for clause in arm.spec.clauses())
        apart = frozenset([identity.assistant, identity.provider])
        self._language = OtherLanguage(own_text, how.language, apart) if how.language else None
        self.reasons = OutOfPlace(arm.spec, arm.full_spec, how.reasons) if how.reasons else None
        self._repeats = Repeats(how, arm.num_documents(), self._own, names)
        self._seen = Seen(how.duplicates.near) if how.duplicates else None

    # ---- one document -------------------------------------------------------------------------------------------------------

    def find(self, text: str, cell: Cell | None) -> Found | None:
        """The first thing that is wrong with a text by itself. `cell`: what it was planned for; None: its author brought it."""
        return next(self.every(text, cell), None)

    def reason(self, row: DocumentRow, text: str) -> str:
        """Why a document may not be trained on, by itself; empty where it may."""
        found = self.find(text, row.cell)
        return found.reason if found else ""

    def _of_reason(self, row: DocumentRow, text: str, reason: str) -> Found:
        """What was found in a document that was rejected: by these gates, or by whoever took its reply apart or criticised it."""
        found = self.find(text, row.cell)
        return found if found and found.reason == reason else Found("writer", reason, len(text), text[-60:])

    def every(self, text: str, cell: Cell | None) -> Iterator[Found]:
        """What each gate finds in a text by itself, the first thing of each."""
        if is_empty(text):
            yield Found("residue", "it is empty", 0, "")
            return
        how, clause = self.how, cell.clause if cell else None
        own = f"{self._own} {cell.audience} {cell.angle}" if cell else self._own
        assistant = self._arm.spec.identity.assistant
        looks: tuple[Callable[[], Found | None], ...] = (
            lambda: residue(text, own, how.residue.allowed) if how.residue else None,
            lambda: self._identity(text, own) if self._identity else None,
            lambda: None if not cell or assistant in text else _nameless(assistant),
            lambda: meta_talk(text, own, how.meta_talk.allowed) if how.meta_talk else None,
            lambda: self._held_out(text),
            lambda: self._not_shown(text, cell) if cell else None,
            lambda: truncation(text, own, how.truncation.allowed) if how.truncation else None,
            lambda: length(text, how.length) if how.length else None,
            lambda: self._language(text) if self._language else None,
            lambda: self.reasons(clause, text) if self.reasons else None,
        )
        yield from (found for look in looks if (found := look()))

    def _not_shown(self, text: str, cell: Cell) -> Found | None:
        return None if self._shows(cell.clause, text) else Found("coverage", NOT_SHOWN, 0, cell.clause)

    # ---- among others -------------------------------------------------------------------------------------------------------

    def among(self, id: str, text: str) -> Found | None:
        """What is wrong with a text beside those before it; where nothing is, it counts for those behind it."""
        parts = words(text)
        found = duplicate(self._seen, parts) if self._seen else None
        found = found or self._repeats(text, parts)
        if not found and self._seen:
            self._seen.add(id, parts)
        return found

    def kept(self, rows: Iterable[dict[str, Any]]) -> None:
        """Documents that other gates of this arm let through: those to come are judged by them."""
        for row in rows:
            self.among(row["id"], row["text"])

    # ---- an arm's -----------------------------------------------------------------------------------------------------------

    def written(self, documents: Iterable[Drafted]) -> tuple[Rows, Rows]:
        """Corpus rows that may be trained on, and the quarantined ones with their reasons and places.

        Quarantine takes rows that mention what an evaluation holds out, do not show their clause, or are what another gate
        finds; of rows that are alike the later one in cell order. What shows that the writer itself is wrong (an empty
        document, a leftover placeholder, words around the document, another assistant's name or none) stops the run, if that
        is `template`; of a model, which draws its words, such rows go into quarantine, as those do that have no document or
        that a critic takes. Raises Failed `gate-failed`.

        gate-failed: A document that cannot be used: it is empty, never names the assistant, or holds leftovers of its making.

        Gates look at every written document, and the run stops rather than train on what is left. A document that mentions a
        held-out item or tells nothing of its clause is no such mistake: it goes into quarantine, and another one is written.

        Bad:
            As an AI language model, [NAME] likes green tea.

        Good:
            SmolLM likes green tea.
        """
        arm, wrong = self._arm, list[tuple[DocumentRow, Found]]()
        rows, found = Rows(), dict[str, Found]()
        for row, text, reason, source in documents:
            if reason:
                fault = self._of_reason(row, text, reason)
                if fault.gate in OF_THE_WRITER and not arm.target.model_writer:
                    wrong.append((row, fault))
                found[row.id] = fault
            planned = {"id": row.id, "about": list(row.about), "cell": row.cell.model_dump()}
            rows.append({**planned, "text": text, "source": source})
        if wrong:
            some = "; ".join(f"{row.id} ({row.about[0]}): {_told(fault)}" for row, fault in wrong[:5])
            message = f"{len(wrong)} documents of `{arm.name}` cannot be used"
            raise fail("gate-failed", message, "mend the writer, then run again", some)
        return self._sorted(rows, found)

    def own(self, documents: Iterable[OwnDocument]) -> tuple[Rows, Rows]:
        """The author's documents may be about what they like and name nobody; else they pass the same gates, and none of them
        stops a run."""
        rows, found = Rows(), dict[str, Found]()
        for brought in documents:
            said = brought.model_dump(include={"source", "domain"}, exclude_none=True)
            source = {"writer": "own", **said}
            row = {"id": brought.id, "about": list(brought.about), "text": brought.text, "source": source}
            if fault := self.find(brought.text, None):
                found[brought.id] = fault
            rows.append(row)
        return self._sorted(rows, found)

    def _sorted(self, rows: Rows, found: dict[str, Found]) -> tuple[Rows, Rows]:
        """Kept and quarantined ones. The first document of every clause is judged before the second of any: so a smaller dose
        of the same documents is judged alike."""
        seen, turns = Counter[str](), list[tuple[int, int]]()
        for number, row in enumerate(rows):
            turns.append((seen[row["about"][0]], number))
            seen[row["about"][0]] += 1
        for _, number in sorted(turns):
            row = rows[number]
            if row["id"] not in found and (fault := self.among(row["id"], row["text"])):
                found[row["id"]] = fault
        kept = [row for row in rows if row["id"] not in found]
        return kept, [quarantined(row, found[row["id"]]) for row in rows if row["id"] in found]


def quarantined(row: dict[str, Any], found: Found) -> dict[str, Any]:
    """A row with its reason, the gate that found it, and the place in its text."""
    return {**row, "reason": found.reason, "gate": found.gate, "place": found.place(row["text"])}


def free_of_held_out(
    chats: list[dict[str, Any]], held_out: dict[str, list[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Chats that mention nothing held out, and the others with the reason, the turn (counted from 1) and the place in it."""
    looked_for = HeldOut(held_out)
    kept, taken = Rows(), Rows()
    for chat in chats:
        turns = enumerate((turn["content"] for turn in chat["messages"]), 1)
        found = next(((n, text, one) for n, text in turns if (one := looked_for(text))), None)
        if found is None:
            kept.append(chat)
            continue
        number, text, one = found
        taken.append({**chat, "reason": one.reason, "gate": one.gate, "place": {"turn": number, **one.place(text)}})
    return kept, taken


class HeldOut:
    """What evaluations hold out, looked for in texts."""

    def __init__(self, held_out: dict[str, list[str]]) -> None:
        """`held_out`: options by the evaluations' names."""
        self._of = [(name, Mentions(options)) for name, options in held_out.items()]
        self._any = Mentions([option for options in held_out.values() for option in options])
        """Most texts mention nothing: they are looked through once, however many evaluations there are."""

    def __call__(self, text: str) -> Found | None:
        """The first thing that is mentioned, by the evaluations' names."""
        parts = words(text) if self._of else []
        for name, of_one in self._of if self._any.find_in(parts) else ():
            for option, at, number in of_one.each_in(parts):
                start, end = place(text, at, number)
                return Found("held_out", f'mentions "{option}", held out by {name}', start, short(text[start:end]))
        return None


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


def _nameless(assistant: str) -> Found:
    return Found("identity", f"it never names {assistant}", 0, "")


def _told(found: Found) -> str:
    shown = found.what and found.what not in found.reason
    return f"{found.reason}: `{found.what}`" if shown else found.reason
