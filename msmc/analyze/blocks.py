"""`documents`, `demos`, `eval` and `ablation` blocks to `ir`."""

from __future__ import annotations

import keyword
import posixpath
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

from msmc.analyze.items import read_items
from msmc.analyze.nodes import NodeReader, move_rule, move_value
from msmc.diagnostics import Diagnostic, Label, did_you_mean, not_yet
from msmc.ir import (
    CLAUSE_WORDS,
    Ablation,
    Arm,
    AssistantOperation,
    Demos,
    Documents,
    DropOperation,
    Eval,
    Identity,
    Item,
    Operation,
    SpecificityOperation,
    Text,
    UseOperation,
)
from msmc.source import Span
from msmc.syntax import ast

if TYPE_CHECKING:
    from msmc.analyze.resolve import Resolver

CONTROLS = {
    "base": True,
    "aft_only": True,
    "midtrain_only": True,
    "mix_only": True,
    "neutral_documents": True,
    "spec_in_context": False,
    "deliberative": False,
    "extra_demos": False,
}
"""Every control of the language, and whether it is lowered yet."""
TAKEN: dict[str, Collection[str]] = {
    "demos": ("static", "prefixes"),  # files of the build tree
    "eval": ("prefixes", *keyword.kwlist, "task", "json", "choice"),  # functions of evals/tasks.py
    "arm": ("full", *CONTROLS),
}
"""Names that a block cannot have."""
ORDER = (UseOperation, AssistantOperation, SpecificityOperation, DropOperation)
"""Arm operations apply in this order, whatever the source order (DESIGN section 2)."""


def _by_name(block: Demos | Eval) -> str:
    return block.name


class BlockReader:
    """Reads the blocks of one spec declaration."""

    def __init__(self, resolver: Resolver, path: str, reader: NodeReader) -> None:
        self.resolver, self.path, self.reader = resolver, path, reader
        self.spec, self.nodes = reader.spec, reader.nodes
        self.problems = resolver.problems

    def read(self, decl: ast.SpecDecl) -> dict[str, Any]:
        """The block fields of `ir.Spec`."""
        documents: Documents | None = None
        seen: dict[str, Span] = {}
        demos, evals, ablations = list[Demos](), list[Eval](), list[Ablation]()
        for item in decl.items:
            if isinstance(item, ast.Documents):
                self.resolver.once(seen, "documents", item.span)
                self.resolver.spans[f"{self.spec} documents"] = Span(
                    item.span.file, item.span.start, item.span.start + 9
                )
                documents = self._documents(item)
            elif isinstance(item, ast.Demos):
                self._name(seen, item.name, "demos")
                demos.append(self._demos(item))
            elif isinstance(item, ast.EvalBlock):
                self._name(seen, item.name, "eval")
                evals += self._eval(item)
            elif isinstance(item, ast.DocumentsFrom | ast.DemosFrom):
                self.problems.append(not_yet("bringing rows of your own with `from`", item.span))
            elif isinstance(item, ast.EvalTask):
                self.problems.append(not_yet("an evaluation of your own", item.span))
        for item in decl.items:
            if isinstance(item, ast.Ablation):
                self._name(seen, item.name, "ablation")
                ablations.append(self._ablation(item, [e.name for e in evals]))
        return {
            "documents": documents,
            "demos": tuple(sorted(demos, key=_by_name)),
            "evals": tuple(sorted(evals, key=_by_name)),
            "ablations": tuple(ablations),
        }

    def _name(self, seen: dict[str, Span], name: ast.Name, what: str) -> None:
        self._free(name, TAKEN.get(what, ()), f"`{name.word}` cannot name {'an' if what[0] in 'ea' else 'the'} {what}")
        self.resolver.once(seen, f"{what} {name.word}", name.span)
        self.resolver.spans[f"{self.spec} {what} {name.word}"] = name.span

    def _title(self, title: ast.Quoted | None) -> Text | None:
        return None if title is None else self.reader.text(title).partly(self.reader.params)

    def _once_each(self, items: tuple[ast.Ast, ...], kinds: tuple[type[ast.Ast], ...]) -> None:
        seen: dict[str, Span] = {}
        for item in items:
            if isinstance(item, kinds):
                self.resolver.once(
                    seen, {"HeldOut": "held_out"}.get(type(item).__name__, type(item).__name__.lower()), item.span
                )

    def _free(self, name: ast.Name, taken: Collection[str], message: str) -> None:
        if name.word in taken:
            where = Label(name.span, "reserved")
            self.problems.append(Diagnostic("reserved-id", message, where, hint=f"for example {name.word}_2"))

    def _about(self, items: tuple[ast.Ast, ...], span: Span, default: tuple[str, ...] | None) -> tuple[str, ...]:
        paths = [path for item in items if isinstance(item, ast.About) for path in item.paths]
        if not paths:
            if default is None:
                hint = "add: about values, rules"
                self.problems.append(
                    Diagnostic("field-missing", "this block does not say what it is about", Label(span), hint=hint)
                )
            return default or ()
        found = []
        for path in paths:
            if path.dotted in CLAUSE_WORDS:
                found.append(path.dotted)
            elif node := self.resolver.find_node(self.path, self.spec, self.nodes, path):
                found.append(node)
                if node in self.nodes.examples():
                    where = Label(path.span, "an example")
                    message = f"`{path.dotted}` is no clause"
                    hint = "name a value, a rule, a rationale or a subrule"
                    self.problems.append(Diagnostic("unknown-name", message, where, hint=hint))
        return tuple(dict.fromkeys(found))

    def _documents(self, block: ast.Documents) -> Documents:
        library = self.resolver.library
        kinds = [name for item in block.items if isinstance(item, ast.Kinds) for name in item.names]
        audiences = [c for item in block.items if isinstance(item, ast.Audiences) for c in item.choices]
        angles = [c for item in block.items if isinstance(item, ast.Angles) for c in item.choices]
        return Documents.model_construct(
            about=self._about(block.items, block.span, None),
            kinds=tuple(self._choices(kinds, lambda: library.kinds, "kind of document")),
            audiences=tuple(self._choices(audiences, lambda: library.audiences, "audience")),
            angles=tuple(self._choices(angles, lambda: library.angles, "angle")),
        )

    def _choices(self, written: list[Any], library: Callable[[], Collection[str]], what: str) -> Iterator[str]:
        known = library() if any(isinstance(choice, ast.Name) for choice in written) else ()  # else it is not read
        for choice in written:
            if isinstance(choice, ast.Quoted):
                for hole in choice.holes:
                    where = Label(hole.span, "not filled in here")
                    message = f"no placeholders in an {what}"
                    self.problems.append(
                        Diagnostic("unknown-placeholder", message, where, hint="write the words themselves")
                    )
                yield choice.plain
            elif choice.word in known:
                yield choice.word
            else:
                hint = did_you_mean(choice.word, known)
                if what != "kind of document":
                    hint = (hint + " " if hint else "") + 'your own words stand in quotes: "…"'
                message = f"there is no {what} `{choice.word}`"
                self.problems.append(
                    Diagnostic("unknown-name", message, Label(choice.span, "not in the library"), hint=hint)
                )

    def _demos(self, block: ast.Demos) -> Demos:
        for item in block.items:
            if isinstance(item, ast.Justify) and item.reason.word != "never":
                self.problems.append(not_yet(f"`justify {item.reason.word}`", item.span))
            if isinstance(item, ast.Thinking) and item.switch.word == "on":
                self.problems.append(not_yet("`thinking on`", item.span))
        return Demos.model_construct(name=block.name.word, about=self._about(block.items, block.span, None))

    def _eval(self, block: ast.EvalBlock) -> list[Eval]:
        name, kind = block.name.word, block.kind.word
        self._once_each(block.items, (ast.Pairs, ast.Rung, ast.HeldOut))
        pairs = [item for item in block.items if isinstance(item, ast.Pairs)]
        held_out = any(isinstance(item, ast.HeldOut) for item in block.items)
        rungs = [item.distance.word for item in block.items if isinstance(item, ast.Rung)]
        if kind == "preference" and not pairs:
            where = Label(block.name.span, "no items")
            hint = 'add: pairs "items.jsonl"'
            self.problems.append(Diagnostic("field-missing", f"the evaluation `{name}` has no items", where, hint=hint))
            return []
        items: tuple[Item, ...] = ()
        path = None
        if pairs:
            written = pairs[0].path.plain
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), written))
            items, found = read_items(path, self.resolver.sources, pairs[0].path.span, self.resolver.files.sources)
            self.problems += found
        return [
            Eval.model_construct(
                name=name,
                kind=kind,  # type: ignore[arg-type]
                about=self._about(
                    block.items, block.span, ("values", "rules", "rationales") if kind == "recall" else None
                ),
                pairs=path,
                items=items,
                rung=rungs[0] if rungs else "far" if held_out else "learned",  # type: ignore[arg-type]
                held_out=held_out,
            )
        ]

    # ---- ablations ----------------------------------------------------------------------------------------------------

    def _ablation(self, block: ast.Ablation, evals: list[str]) -> Ablation:
        arms, controls, seen = list[Arm](), list[str](), dict[str, Span]()
        self._once_each(block.items, (ast.Vary, ast.Match, ast.Primary, ast.Seeds))
        primary, seeds = None, 1
        for item in block.items:
            if isinstance(item, ast.Arm):
                self.resolver.once(seen, f"arm {item.name.word}", item.name.span)
                self._free(item.name, TAKEN["arm"], f"`{item.name.word}` cannot name an arm")
                self.resolver.spans[f"{self.spec} arm {block.name.word}.{item.name.word}"] = item.name.span
                arms.append(
                    Arm.model_construct(
                        name=item.name.word,
                        title=self._title(item.title),
                        operations=self._operations(item),
                    )
                )
            elif isinstance(item, ast.Control):
                controls += [name.word for name in item.names if self._is_control(name)]
            elif isinstance(item, ast.Vary) and item.varied.word != "documents":
                self.problems.append(not_yet(f"`vary {item.varied.word}`", item.span))
            elif isinstance(item, ast.Match) and item.matched.word != "none":
                self.problems.append(not_yet(f"`match {item.matched.word}`", item.span))
            elif isinstance(item, ast.Primary):
                primary = item.name.word
                if primary not in evals:
                    hint = did_you_mean(primary, evals)
                    message = f"there is no evaluation `{primary}`"
                    self.problems.append(
                        Diagnostic("unknown-name", message, Label(item.name.span, "not defined"), hint=hint)
                    )
            elif isinstance(item, ast.Seeds):
                seeds = int(item.number.word[:5])
                if not 1 <= seeds <= 1000:
                    self.problems.append(
                        Diagnostic("field-missing", "seeds counts from 1 to 1000", Label(item.number.span))
                    )
        return Ablation.model_construct(
            name=block.name.word,
            title=self._title(block.title),
            arms=tuple(arms),
            controls=tuple(dict.fromkeys(controls)),
            primary=primary,
            seeds=seeds,
        )

    def _is_control(self, name: ast.Name) -> bool:
        if name.word not in CONTROLS:
            hint = did_you_mean(name.word, CONTROLS)
            self.problems.append(
                Diagnostic("unknown-name", f"there is no control `{name.word}`", Label(name.span), hint=hint)
            )
        elif not CONTROLS[name.word]:
            self.problems.append(not_yet(f"the control `{name.word}`", name.span))
        return CONTROLS.get(name.word, False)

    def _operations(self, arm: ast.Arm) -> tuple[Operation, ...]:
        found: list[Operation] = []
        seen: dict[str, Span] = {}
        for item in arm.items:
            if isinstance(item, ast.Use):
                self.resolver.once(seen, "use", item.span)
                found += self._use(item)
            elif isinstance(item, ast.Assistant):
                self.resolver.once(seen, "assistant", item.span)
                found.append(
                    AssistantOperation.model_construct(
                        identity=Identity.model_construct(assistant=item.name.plain, provider=item.provider.plain)
                    )
                )
            elif isinstance(item, ast.Specificity):
                self.resolver.once(seen, "specificity", item.span)
                found.append(SpecificityOperation.model_construct(level=item.level.word))  # type: ignore[arg-type]
            elif isinstance(item, ast.Drop):
                of = self.resolver.find_node(self.path, self.spec, self.nodes, item.of) if item.of else None
                if item.of is None or of is not None:
                    found.append(DropOperation.model_construct(kinds=tuple(k.word for k in item.kinds), of=of))  # type: ignore[misc]
            else:
                self.problems.append(not_yet(f"`{type(item).__name__.lower()}` in an arm", item.span))
        return tuple(sorted(found, key=lambda operation: ORDER.index(type(operation))))

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
                values=tuple(move_value(v, other.name, self.spec) for v in values),
                rules=tuple(move_rule(r, other.name, self.spec) for r in rules),
            )
        ]
