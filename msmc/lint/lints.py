"""Every lint, and their run."""

from collections.abc import Callable, Iterator

from msmc.diagnostics import Diagnostic
from msmc.lint.coverage import (
    example_names_held_out_item,
    rule_without_rationale,
    uncovered_clause,
    value_never_served,
)
from msmc.lint.linted import Linted
from msmc.lint.names import id_shadows, placeholder_miswritten, title_missing, unused_import, unused_param
from msmc.lint.pairs import aligned_by_length, too_few_trained_items
from msmc.lint.texts import demo_gives_reason, rationale_restates_rule, wordings_identical

LINTS: tuple[Callable[[Linted], Iterator[Diagnostic]], ...] = (
    rule_without_rationale,
    value_never_served,
    rationale_restates_rule,
    demo_gives_reason,
    unused_import,
    unused_param,
    placeholder_miswritten,
    example_names_held_out_item,
    wordings_identical,
    title_missing,
    id_shadows,
    uncovered_clause,
    too_few_trained_items,
    aligned_by_length,
)
"""A lint's name is its function's, with hyphens; its docstring is what `msmc explain` says of it."""


def lint(linted: Linted) -> Iterator[Diagnostic]:
    """What the lints tell, each thing once, also where two specs of a file have it."""
    told = set()
    for find in LINTS:
        for problem in find(linted):
            if (key := (problem.name, problem.primary)) not in told:
                told.add(key)
                yield problem
