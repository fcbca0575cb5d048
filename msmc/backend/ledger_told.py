"""What a ledger has: counted by writer, written out row by row, and freed of what no build asks for any more."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from msmc.backend import template_writer
from msmc.backend.ledger import LEDGER, Ledger, Request
from msmc.backend.tree import Arm, read_tree
from msmc.build import CRITIQUE, REWRITE, DocumentRow, Prefix, digest
from msmc.diagnostics import fail
from msmc.library import Library
from msmc.stored import read_jsonl

COUNTS = """
select writer, count(*), count(raw), coalesce(sum(prompt_tokens), 0), coalesce(sum(cached_tokens), 0),
  coalesce(sum(completion_tokens), 0), sum(sent > 0 and raw is null),
  coalesce(sum(max(sent - (raw is not null), 0)), 0)
from requests left join replies using (key) group by writer order by writer
"""
REASONS = (
    "select writer, reason, count(*) from quarantine join requests using (key) group by writer, reason order by 1, 2"
)
ROWS = """
select key, row, writer, seed, messages, prompt, raw, finish, prompt_tokens, cached_tokens, stored_tokens, completion_tokens,
  reason, detail
from requests join prefixes on prefix = digest join replies using (key) left join quarantine using (key)
order by row, writer, seed, key
"""


class OfWriter(NamedTuple):
    """Of one writer and its sampling."""

    writer: str
    requests: int
    replies: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    unanswered: int
    """Requests on their way at this moment, or when msmc was stopped or killed."""
    lost: int
    """How often a request went out whose reply never came; those that are on their way among them."""
    quarantined: dict[str, int]


@contextmanager
def opened(runs: Path) -> Iterator[Ledger]:
    """The ledger of a folder of runs.

    ledger-missing: A folder of runs without a ledger.

    The ledger begins with the first request to a writer, in the folder that `--runs` names; `msmc run` begins one.

    Bad:
        $ msmc ledger stats --runs elsewhere

    Good:
        $ msmc run tea.msm --stages generate && msmc ledger stats
    """
    place = runs / LEDGER
    if not place.exists():
        hint = "name the folder of runs that has it: --runs DIR; or begin one: msmc run SPEC --stages generate"
        raise fail("ledger-missing", f"there is no ledger `{place}`", hint)
    ledger = Ledger(place)
    try:
        yield ledger
    finally:
        ledger.close()


# ---- stats ------------------------------------------------------------------------------------------------------------------


def stats(ledger: Ledger) -> list[OfWriter]:
    reasons = dict[str, dict[str, int]]()
    for writer, reason, number in ledger.select(REASONS):
        reasons.setdefault(writer, {})[reason] = number
    return [
        OfWriter._make((writer, *(number or 0 for number in counts), reasons.get(writer, {})))
        for writer, *counts in ledger.select(COUNTS)
    ]


def size(ledger: Ledger) -> int:
    """Bytes on the disk, what is not yet merged among them."""
    places = (ledger.path, ledger.path.with_name(f"{ledger.path.name}-wal"))
    return sum(place.stat().st_size for place in places if place.exists())


def stats_as_data(ledger: Ledger) -> dict[str, Any]:
    return {"ledger": str(ledger.path), "bytes": size(ledger), "writers": [of._asdict() for of in stats(ledger)]}


def stats_as_text(ledger: Ledger) -> str:
    lines = [f"{ledger.path}   {size(ledger):,} bytes"]
    for of in stats(ledger):
        tokens = f"{of.prompt_tokens:,} of prompts ({of.cached_tokens:,} cached), {of.completion_tokens:,} of replies"
        lines += [
            "",
            of.writer,
            f"  requests     {of.requests:,}",
            f"  replies      {of.replies:,}",
            f"  tokens       {tokens}, as servers told",
            f"  unanswered   {of.unanswered:,} on their way, or lost when msmc was stopped",
            f"  lost         {of.lost:,} replies to requests that went out, in all",
            f"  quarantined  {sum(of.quarantined.values()):,}",
            *(f"    {number:>6,}  {reason}" for reason, number in of.quarantined.items()),
        ]
    return "\n".join(lines)


# ---- export -----------------------------------------------------------------------------------------------------------------


def exported(ledger: Ledger) -> Iterator[str]:
    """A line of JSON for each request that has a reply, by row."""
    found = ledger.select(ROWS)
    for key, row, writer, seed, messages, prompt, raw, finish, asked, cached, stored, written, reason, detail in found:
        said = {
            "key": key,
            "row": row,
            "writer": writer,
            "seed": seed,
            "messages": [*json.loads(messages), {"role": "user", "content": prompt}],
            "reply": raw,
            "finish": finish,
            "prompt_tokens": asked,
            "cached_tokens": cached,
            "stored_tokens": stored,
            "completion_tokens": written,
            "quarantined": reason,
            "detail": detail,
        }
        yield json.dumps(said, ensure_ascii=False) + "\n"


# ---- gc ---------------------------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """What builds ask for. A request is theirs by its row, its writer, its prefix and how its prompt begins: an answer's has the
    chat so far behind it, a critique's the document, and a further try of a row has another seed. What a judge is asked about
    a row has the row's id in its own."""

    rows: dict[str, set[tuple[str, str, str]]] = field(default_factory=dict)
    """By id: writer, digest of the prefix, how the prompt begins."""
    judges: dict[str, set[str]] = field(default_factory=dict)
    """Of rows that a judge is asked about, by their ids."""

    def read(self, arm: Arm, library: Library) -> None:
        template = f"template {template_writer.VERSION} {library.fingerprint[:16]}"
        target = arm.target
        writer = target.model_writer.sampling if target.model_writer else template
        planned = (row for _, rows in arm.planned_chats() for row in rows)
        for request in arm.requests(writer, chain(arm.documents(), arm.reserve_in_turns(), planned)):
            row = request.row
            self._add(row.id, writer, request.messages, row.prompt)
            if target.critic and isinstance(row, DocumentRow):
                mends = target.rewriter or target.model_writer
                for what, model in ((CRITIQUE, target.critic), (REWRITE, mends)):
                    prefix = arm.prefixes[f"{what}:{row.prefix}"]
                    if model:
                        about = Request(row, prefix, model.sampling)
                        self._add(f"{what}-{row.id}", about.writer, about.messages, _begins(prefix, row.prompt))
        if target.judge:
            for asked in (row for path in arm.files("evals") for row in read_jsonl(path)):
                self.judges.setdefault(asked["id"], set()).add(target.judge.sampling)

    def _add(self, row: str, writer: str, messages: str, begins: str) -> None:
        self.rows.setdefault(row, set()).add((writer, digest(messages), begins))

    def has(self, row: str, writer: str, prefix: str, prompt: str) -> bool:
        if row in self.rows:
            return any((w, p) == (writer, prefix) and prompt.startswith(said) for w, p, said in self.rows[row])
        _, _, about = row.partition("-")
        return any(writer in self.judges.get(about_id, ()) for about_id in (about, about.rpartition("-")[0]))


def _begins(prefix: Prefix, request: str) -> str:
    """How a prompt about a row begins, up to what a model wrote."""
    before = re.split(r"\{(?:document|reason|problems)\}", prefix.frame or "", maxsplit=1)[0]
    return before.replace("{request}", request)


def unasked(ledger: Ledger, builds: list[Path], library: Library) -> dict[str, list[str]]:
    """Keys of requests, by writer, that none of the builds asks for. Raises Failed `not-a-build` without any build."""
    if not builds:
        hint = "compile the spec whose replies are to be kept: msmc compile SPEC"
        raise fail("not-a-build", "there is no build here, and without one nothing would be asked for", hint)
    asked, found = Asked(), dict[str, list[str]]()
    for build in builds:
        for arm in read_tree(build).arms.values():
            asked.read(arm, library)
    for key, row, writer, prefix, prompt in ledger.select("select key, row, writer, prefix, prompt from requests"):
        if not asked.has(row, writer, prefix, prompt):
            found.setdefault(writer, []).append(key)
    return found


def builds_of(build: Path, runs: Path) -> list[Path]:
    """Those that were compiled last, and those that runs keep."""
    found = (path.parent for folder in (build, runs / "builds") for path in folder.glob("*/arms.json"))
    return sorted(folder for folder in found if not folder.name.startswith("."))
