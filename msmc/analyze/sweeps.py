"""`sweep` and `order` in an ablation: further models of `full`, which differ in how much it is trained, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Order, Sweep, Swept
from msmc.source import Span
from msmc.syntax import ast

if TYPE_CHECKING:
    from msmc.analyze.blocks import BlockReader

MOST = {"documents": 1000.0, "demos": 1000.0, "learning_rate": 1.0}
"""What no dose and no learning rate is above."""


class SweepReader:
    """Reads the sweeps and orders of one ablation; `decl` is the spec it stands in."""

    def __init__(self, blocks: BlockReader, decl: ast.SpecDecl) -> None:
        self.resolver, self.problems = blocks.resolver, blocks.problems
        written = {type(item) for item in decl.items}
        self.has = {
            "documents": bool(written & {ast.Documents, ast.DocumentsFrom}),
            "demos": bool(written & {ast.Demos, ast.DemosFrom}) or bool(blocks.nodes.examples()),
            "learning_rate": True,
        }

    def sweeps(self, items: tuple[ast.Ast, ...]) -> tuple[Sweep, ...]:
        seen: dict[str, Span] = {}
        found = list[Sweep]()
        for item in items:
            if isinstance(item, ast.Sweep) and self.resolver.once(seen, f"sweep {item.swept.word}", item.span):
                what: Swept = item.swept.word  # type: ignore[assignment]
                self._needs(what, item.swept.span, f"sweep {what}")
                found.append(Sweep.model_construct(what=what, values=self._values(item)))
        return tuple(sorted(found, key=lambda sweep: get_args(Swept).index(sweep.what)))

    def _values(self, item: ast.Sweep) -> tuple[float, ...]:
        seen: dict[float, Span] = {}
        for figure in item.figures:
            value, most = float(figure.word), MOST[item.swept.word]
            if not 0 < value <= most:
                example = "1e-4 3e-4" if item.swept.word == "learning_rate" else "0.25 1 4"
                message = f"`sweep {item.swept.word}` takes numbers above 0, up to {most:g}"
                self.problems.append(
                    out_of_range(message, figure.span, f"for example: sweep {item.swept.word} {example}")
                )
            elif value in seen:
                self.resolver.once({figure.word: seen[value]}, figure.word, figure.span)
            else:
                seen[value] = figure.span
        return tuple(sorted(seen))

    def orders(self, items: tuple[ast.Ast, ...]) -> tuple[Order, ...]:
        seen: dict[str, Span] = {}
        for sequence in (s for item in items if isinstance(item, ast.Order) for s in item.sequences):
            if self.resolver.once(seen, sequence.word, sequence.span):
                for what in ("documents", "demos"):
                    self._needs(what, sequence.span, f"order {sequence.word}")
        return tuple(order for order in get_args(Order) if order in seen)

    def _needs(self, what: str, span: Span, said: str) -> None:
        if not self.has[what]:
            hint = (
                "add: documents { about values, rules }" if what == "documents" else "add `example` blocks to its rules"
            )
            where = Label(span, f"there are no {what}")
            self.problems.append(
                Diagnostic("matches-nothing", f"`{said}` finds no {what} in this spec", where, hint=hint)
            )


def out_of_range(message: str, span: Span, hint: str = "") -> Diagnostic:
    """A number that is too small or too large for what it counts.

    An ablation has at least one seed. A dose and a learning rate are above 0: without documents or demos a model is a
    control, such as `aft_only` or `midtrain_only`.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms." }
          documents { about rules, rationales }
          ablation dose { sweep documents 0 0.5 }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms." }
          documents { about rules, rationales }
          ablation dose { sweep documents 0.5 2 }
        }
    """
    return Diagnostic("out-of-range", message, Label(span), hint=hint)
