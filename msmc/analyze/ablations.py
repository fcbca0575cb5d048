"""`ablation` blocks to `ir`: arms with their operations, controls, what varies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msmc.analyze.nodes import by_id, move_rule, move_value
from msmc.analyze.sweeps import SweepReader, out_of_range
from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.ir import (
    Ablation,
    Arm,
    AssistantOperation,
    DropOperation,
    Identity,
    KeepOperation,
    Operation,
    ReplaceOperation,
    ShuffleOperation,
    SpecificityOperation,
    StyleOperation,
    UseOperation,
)
from msmc.source import Span
from msmc.syntax import ast

if TYPE_CHECKING:
    from msmc.analyze.blocks import BlockReader

CONTROLS = (
    "base",
    "aft_only",
    "midtrain_only",
    "mix_only",
    "neutral_documents",
    "spec_in_context",
    "deliberative",
    "extra_demos",
)
TAKEN = ("full", *CONTROLS)
"""Names that an arm cannot have."""
ORDER = (
    UseOperation,
    AssistantOperation,
    SpecificityOperation,
    StyleOperation,
    ReplaceOperation,
    ShuffleOperation,
    KeepOperation,
    DropOperation,
)
"""Arm operations apply in this order, whatever the source order (DESIGN section 2)."""


EVALS = (ast.EvalBlock, ast.EvalJudged, ast.EvalAgentic, ast.EvalTask)


class AblationReader:
    """Reads one ablation among the blocks of a spec."""

    def __init__(self, blocks: BlockReader, decl: ast.SpecDecl) -> None:
        self.blocks, self.resolver = blocks, blocks.resolver
        self.path, self.spec, self.nodes = blocks.path, blocks.spec, blocks.nodes
        self.problems = blocks.problems
        self.evals = [item.name.word for item in decl.items if isinstance(item, EVALS)]  # without items too
        self.has_documents = any(isinstance(item, ast.Documents | ast.DocumentsFrom) for item in decl.items)
        self.sweeps = SweepReader(blocks, decl)

    def read(self, block: ast.Ablation) -> Ablation:
        arms, controls, seen = list[Arm](), list[str](), dict[str, Span]()
        self.blocks.once_each(block.items, (ast.Vary, ast.Order, ast.Match, ast.Primary, ast.Seeds))
        primary, seeds, vary, match = None, 1, "documents", "none"
        for item in block.items:
            if isinstance(item, ast.Arm):
                self.resolver.once(seen, f"arm {item.name.word}", item.name.span)
                self.blocks.free(item.name, TAKEN, f"`{item.name.word}` cannot name an arm")
                self.resolver.spans[f"{self.spec} arm {block.name.word}.{item.name.word}"] = item.name.span
                arms.append(
                    Arm.model_construct(
                        name=item.name.word,
                        title=self.blocks.title(item.title),
                        operations=self._operations(item),
                    )
                )
            elif isinstance(item, ast.Control):
                controls += [name.word for name in item.names if self._is_control(name)]
            elif isinstance(item, ast.Vary):
                vary = item.varied.word
            elif isinstance(item, ast.Match):
                match = item.matched.word
                self.problems += self._unmatched(item, block)
            elif isinstance(item, ast.Primary):
                primary = item.name.word
                if primary not in self.evals:
                    hint = did_you_mean(primary, self.evals)
                    message = f"there is no evaluation `{primary}`"
                    self.problems.append(
                        Diagnostic("unknown-name", message, Label(item.name.span, "not defined"), hint=hint)
                    )
            elif isinstance(item, ast.Seeds):
                seeds = int(item.number.word[:5])
                if not 1 <= seeds <= 1000:
                    self.problems.append(out_of_range("seeds counts from 1 to 1000", item.number.span))
        return Ablation.model_construct(
            name=block.name.word,
            title=self.blocks.title(block.title),
            arms=tuple(arms),
            controls=tuple(dict.fromkeys(controls)),
            vary=vary,  # type: ignore[arg-type]
            match=match,  # type: ignore[arg-type]
            sweeps=self.sweeps.sweeps(block.items),
            orders=self.sweeps.orders(block.items),
            primary=primary,
            seeds=seeds,
        )

    def _unmatched(self, item: ast.Match, block: ast.Ablation) -> list[Diagnostic]:
        """Where only one arm writes documents, there is nothing to match."""
        varied = next((i.varied.word for i in block.items if isinstance(i, ast.Vary)), "documents")
        reason, hint = "", ""
        if not any(isinstance(i, ast.Arm) for i in block.items):
            reason, hint = "the ablation has no arm besides `full`", "declare an arm, or leave it out"
        elif varied == "demos":
            reason, hint = "with `vary demos` every arm has the documents of `full`", "leave it out"
        elif not self.has_documents:
            reason, hint = "the spec plans no documents", "add a `documents` block, or leave it out"
        if not reason or item.matched.word == "none":
            return []
        message = f"`match {item.matched.word}` has nothing to match: {reason}"
        return [Diagnostic("matches-nothing", message, Label(item.span, "nothing to match"), hint=hint)]

    def _is_control(self, name: ast.Name) -> bool:
        if name.word not in CONTROLS:
            hint = did_you_mean(name.word, CONTROLS)
            self.problems.append(
                Diagnostic("unknown-name", f"there is no control `{name.word}`", Label(name.span), hint=hint)
            )
        return name.word in CONTROLS

    def _operations(self, arm: ast.Arm) -> tuple[Operation, ...]:
        found: list[Operation] = []
        seen: dict[str, Span] = {}
        for item in arm.items:
            if isinstance(item, ast.Use | ast.Assistant | ast.Specificity | ast.Style | ast.Shuffle | ast.Keep):
                self.resolver.once(seen, type(item).__name__.lower(), item.span)
            if isinstance(item, ast.Use):
                found += self._use(item)
            elif isinstance(item, ast.Assistant):
                identity = Identity.model_construct(assistant=item.name.plain, provider=item.provider.plain)
                found.append(AssistantOperation.model_construct(identity=identity))
            elif isinstance(item, ast.Specificity):
                found.append(SpecificityOperation.model_construct(level=item.level.word))  # type: ignore[arg-type]
            elif isinstance(item, ast.Style):
                found.append(StyleOperation.model_construct(style=item.name.word))
            elif isinstance(item, ast.Replace):
                found += self._replace(item)
            elif isinstance(item, ast.Shuffle):
                found.append(ShuffleOperation.model_construct())
            elif isinstance(item, ast.Keep):
                found += self._keep(item)
            elif isinstance(item, ast.Drop):
                of = self.resolver.find_node(self.path, self.spec, self.nodes, item.of) if item.of else None
                if item.of is None or of is not None:
                    found.append(DropOperation.model_construct(kinds=tuple(k.word for k in item.kinds), of=of))  # type: ignore[misc]
        replaced = [o for o in found if isinstance(o, ReplaceOperation) and o.old != o.new.id]  # else nothing changes
        if len({o.old for o in replaced}) < len(replaced) or {o.old for o in replaced} & {o.new.id for o in replaced}:
            message = f"what the replacements in `{arm.name.word}` come to depends on their order"
            hint = "replace each value once, and none that another replacement brings in"
            self.problems.append(Diagnostic("field-twice", message, Label(arm.name.span, "here"), hint=hint))
        return tuple(sorted(found, key=lambda o: (ORDER.index(type(o)), getattr(o, "old", ""))))

    def _replace(self, item: ast.Replace) -> list[Operation]:
        old, new = (
            self.resolver.find_node(self.path, self.spec, self.nodes, path, "value") for path in (item.old, item.new)
        )
        value = self.resolver.value(new) if new else None
        return [ReplaceOperation.model_construct(old=old, new=value)] if old and value else []

    def _keep(self, item: ast.Keep) -> list[Operation]:
        ids = []
        for path in item.paths:
            node = self.resolver.find_node(self.path, self.spec, self.nodes, path)
            if node is None:
                continue
            ids.append(node)
            if not (node in self.nodes.rules or self.resolver.value(node)):
                message = f"`{path.dotted}` is no value and no rule"
                hint = "keep its rule, and drop the rest of that: drop subrule of RULE"
                where = Label(path.span, "a part of a rule")
                self.problems.append(Diagnostic("unknown-name", message, where, hint=hint))
        return [KeepOperation.model_construct(ids=tuple(sorted(set(ids))))] if ids else []

    def _use(self, item: ast.Use) -> list[Operation]:
        found = self.resolver.find_spec(self.path, item.spec)
        other = self.resolver.open_spec(*found) if found else None
        if other is None:
            return []
        values, rules = self.resolver.closed(other)
        values = (*values, *self.resolver.library_values(values, rules))
        return [
            UseOperation.model_construct(
                spec=other.name,
                values=by_id(move_value(v, other.name, self.spec) for v in values),
                rules=by_id(move_rule(r, other.name, self.spec) for r in rules),
            )
        ]
