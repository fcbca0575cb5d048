"""Diagnostics: what msmc says of a user's mistake. Data here; the looks are in `msmc/render.py`.

A diagnostic has a name (its identity), a short code, one message, the place, other places that matter, what we know,
and one next step. Codes: 1xx syntax, 2xx names, 3xx meaning (from 321 on lints, from 341 on
their suppression), 4xx templates, 5xx targets, 6xx build and data, 7xx backend,
8xx writers and their ledger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from msmc.source import SourceFile, Span

CODES = {
    "unexpected-word": 101,
    "unclosed-string": 102,
    "unclosed-brace": 103,
    "unknown-escape": 104,
    "not-utf8": 105,
    "empty-file": 106,
    "foreign-syntax": 107,
    "unknown-name": 201,
    "unknown-value": 202,
    "duplicate-id": 203,
    "reserved-id": 204,
    "unknown-placeholder": 205,
    "import-missing": 206,
    "import-escapes": 207,
    "import-circle": 208,
    "unknown-ablation": 209,
    "field-twice": 210,
    "field-missing": 211,
    "no-spec": 212,
    "out-of-range": 213,
    "missing-wording": 302,
    "matches-nothing": 303,
    "equal-arms": 304,
    "held-out-mention": 305,
    "nothing-to-evaluate": 306,
    "plain-rationale": 307,
    "idle-override": 308,
    "item-on-two-rungs": 309,
    "topic-on-two-rungs": 310,
    "rule-without-rationale": 321,
    "value-never-served": 322,
    "rationale-restates-rule": 323,
    "demo-gives-reason": 324,
    "unused-import": 325,
    "unused-param": 326,
    "unused-suppression": 327,
    "example-names-held-out-item": 328,
    "wordings-identical": 329,
    "title-missing": 330,
    "id-shadows": 331,
    "uncovered-clause": 332,
    "placeholder-miswritten": 333,
    "too-few-trained-items": 334,
    "aligned-by-length": 335,
    "suppression-without-reason": 341,
    "unknown-lint": 342,
    "not-suppressible": 343,
    "template-error": 401,
    "target-missing": 501,
    "target-not-yaml": 502,
    "target-invalid": 503,
    "file-missing": 601,
    "not-a-file": 602,
    "unreadable": 603,
    "bad-row": 604,
    "unknown-arm": 605,
    "unknown-id": 606,
    "not-a-build": 608,
    "not-a-run": 609,
    "unwritable": 610,
    "broken-file": 611,
    "no-revision": 612,
    "model-not-found": 701,
    "too-few-updates": 702,
    "unmarked-template": 703,
    "writer-cannot": 704,
    "gate-failed": 705,
    "bad-recipe": 706,
    "loss-not-finite": 707,
    "interrupted": 708,
    "documents-attend": 709,
    "documents-truncated": 710,
    "adapter-mismatch": 711,
    "no-rows": 712,
    "not-learned": 713,
    "no-demos": 714,
    "model-incomplete": 715,
    "chat-too-long": 716,
    "ledger-unusable": 717,
    "too-few-rows": 718,
    "mix-missing": 719,
    "coverage-short": 720,
    "no-key": 731,
    "writer-failed": 732,
    "cap-reached": 733,
    "judge-missing": 760,
    "package-missing": 761,
    "task-failed": 762,
    "task-unusable": 771,
    "unknown-command": 790,
    "vllm-missing": 831,
    "vllm-failed": 832,
    "parity-broken": 840,
    "ledger-missing": 851,
    "internal": 900,
}
"""Every name with its code. A code that was retired is never used again."""


@dataclass(frozen=True, slots=True)
class Label:
    """A place and two to six words on it."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake."""

    name: str
    message: str
    """One line in the user's words; if only one thing is shown, it is this."""
    primary: Label | None = None
    related: tuple[Label, ...] = ()
    note: str = ""
    hint: str = ""
    """One concrete next step, or nothing."""
    severity: Literal["error", "warning"] = "error"

    @property
    def code(self) -> str:
        return f"MSM{CODES[self.name]}"


class Failed(Exception):
    """Work stopped on mistakes of the user. Carries at least one diagnostic."""

    def __init__(self, *problems: Diagnostic) -> None:
        super().__init__(problems[0].message if problems else "")
        self.problems = problems
        self.files: Mapping[str, SourceFile] = {}
        """The files that the problems point into, for whoever shows them."""

    @property
    def name(self) -> str:
        """The first problem's."""
        return self.problems[0].name

    @property
    def hint(self) -> str:
        return self.problems[0].hint

    @property
    def message(self) -> str:
        return self.problems[0].message


class Interrupted(Failed):
    """Work stopped by the user; says what is kept."""


def fail(name: str, message: str, hint: str = "", note: str = "") -> Failed:
    """A failure without a place in a source file."""
    return Failed(Diagnostic(name, message, hint=hint, note=note))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest known word, or the allowed set when it is small, or the nearest three."""
    import difflib  # most of what msmc says suggests nothing

    known = sorted(set(known) - {word})
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    if 0 < len(known) <= 8:
        return "known: " + ", ".join(f"`{k}`" for k in known)
    return ""
