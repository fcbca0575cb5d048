"""Suppression: the comments `# msmc: allow NAME -- reason`, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Sequence

from msmc.diagnostics import CODES, Diagnostic, Label, did_you_mean
from msmc.lint.linted import Linted, declarations
from msmc.lint.lints import LINTS
from msmc.source import Span
from msmc.syntax import ast

SUPPRESSIBLE = (
    *(find.__name__.replace("_", "-") for find in LINTS),
    "plain-rationale",
    "idle-override",
    "topic-on-two-rungs",
)
"""Every warning but those of suppressions themselves."""


def mistakes(trees: Iterable[ast.File]) -> Iterator[Diagnostic]:
    """What is wrong with suppressions as they are written."""
    for tree in trees:
        for allowance in tree.allowances:
            yield from unknown_lint(allowance)
            yield from not_suppressible(allowance)
            yield from suppression_without_reason(allowance)


def suppress(problems: Sequence[Diagnostic], linted: Linted, entry: str) -> tuple[list[Diagnostic], frozenset[Span]]:
    """The problems without those that are suppressed, and the comments that suppress one.

    With a suppression of `entry` that suppresses none, where something is made of its specs: else all that it could
    suppress may be told of other files, which extend them.
    """
    left, obeyed = list(problems), set[Span]()
    for path, tree in linted.files.trees.items():
        for allowance in tree.allowances:
            covered = _covered(allowance, tree)
            kept = [problem for problem in left if not _suppresses(allowance, covered, problem)]
            if len(kept) < len(left):
                obeyed.add(allowance.span)
            elif path == entry and any(linted.made):
                kept += unused_suppression(allowance, covered)
            left = kept
    return left, frozenset(obeyed)


def _name(allowance: ast.Allowance) -> str:
    """The lint's name, which may be written as its code."""
    written = allowance.name.word
    return next((name for name, code in CODES.items() if written == f"MSM{code}"), written)


def _covered(allowance: ast.Allowance, tree: ast.File) -> Span | None:
    """The declaration that begins next."""
    return next((item.span for item in declarations(tree) if item.span.start >= allowance.span.end), None)


def _suppresses(allowance: ast.Allowance, covered: Span | None, problem: Diagnostic) -> bool:
    name = _name(allowance)
    if covered is None or problem.primary is None or problem.name != name or name not in SUPPRESSIBLE:
        return False
    where = problem.primary.span
    return where.file == covered.file and covered.start <= where.start < covered.end


def unused_suppression(allowance: ast.Allowance, covered: Span | None) -> Iterator[Diagnostic]:
    """A suppression without which nothing more would be told.

    What it was written for has gone, or it stands before another declaration: it is for the one that begins next behind
    the comment, with all that this one holds. Left where it is, it would hide the same lint when that is right.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          # msmc: allow title-missing -- nobody quotes it
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule black "Black tea" { statement "{assistant} brews black tea for four minutes." }
          # msmc: allow title-missing -- nobody quotes it
          rule green { statement "{assistant} likes green tea." }
          documents { about rules }
        }
    """
    if _name(allowance) in SUPPRESSIBLE:
        label = "no declaration follows" if covered is None else "allows what is not there"
        message = f"`{allowance.name.word}` is not told of the declaration behind this comment"
        yield _told("unused-suppression", message, allowance, label, "remove the comment")


def suppression_without_reason(allowance: ast.Allowance) -> Iterator[Diagnostic]:
    """A suppression that does not say why.

    It suppresses all the same. But whoever reads the spec next cannot tell a decision from a shortcut, and will not know
    when the reason is gone.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule black "Black tea" { statement "{assistant} brews black tea for four minutes." }
          # msmc: allow title-missing
          rule green { statement "{assistant} likes green tea." }
          documents { about rules }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule black "Black tea" { statement "{assistant} brews black tea for four minutes." }
          # msmc: allow title-missing -- the id is the title here
          rule green { statement "{assistant} likes green tea." }
          documents { about rules }
        }
    """
    if not allowance.reason and _name(allowance) in SUPPRESSIBLE:
        message = f"this suppression of `{allowance.name.word}` gives no reason"
        hint = f"write why: # msmc: allow {allowance.name.word} -- …"
        yield _told("suppression-without-reason", message, allowance, "no reason", hint)


def unknown_lint(allowance: ast.Allowance) -> Iterator[Diagnostic]:
    """A suppression of something that msmc never tells.

    It suppresses nothing. A lint is named as it is told, by its name or by its code; a comment names one, and several
    comments may stand before a declaration.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          # msmc: allow missing-title -- the id is the title here
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule black "Black tea" { statement "{assistant} brews black tea for four minutes." }
          # msmc: allow title-missing -- the id is the title here
          rule green { statement "{assistant} likes green tea." }
          documents { about rules }
        }
    """
    if _name(allowance) not in CODES:
        message = f"there is no lint `{allowance.name.word}`" if allowance.name.word else "this comment names no lint"
        hint = "write: # msmc: allow NAME -- reason"
        if allowance.name.word:
            hint = did_you_mean(allowance.name.word, SUPPRESSIBLE) or "see all: msmc explain"
        yield _told("unknown-lint", message, allowance, "allows nothing", hint)


def not_suppressible(allowance: ast.Allowance) -> Iterator[Diagnostic]:
    """A suppression of an error, or of what is told of suppressions.

    Nothing can be made of a spec with an error in it, whoever allows it. Only lints can be suppressed.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          # msmc: allow unknown-value -- it comes later
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """
    name = _name(allowance)
    if name in CODES and name not in SUPPRESSIBLE:
        message = f"`{allowance.name.word}` is no lint, and cannot be suppressed"
        yield _told("not-suppressible", message, allowance, "allows nothing", "mend what it tells, remove this comment")


def _told(name: str, message: str, allowance: ast.Allowance, label: str, hint: str) -> Diagnostic:
    return Diagnostic(name, message, Label(allowance.span, label), hint=hint, severity="warning")
