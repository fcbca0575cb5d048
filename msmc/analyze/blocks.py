"""`documents`, `demos`, `eval` and `ablation` blocks to `ir`."""

from __future__ import annotations

import keyword
import posixpath
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from msmc.analyze import ablations
from msmc.analyze.ablations import AblationReader
from msmc.analyze.items import read_items
from msmc.analyze.nodes import NodeReader
from msmc.analyze.open_evals import OpenReader
from msmc.analyze.own import OwnReader
from msmc.analyze.problems import unknown_name
from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.ir import (
    CLAUSE_WORDS,
    Ablation,
    Demos,
    Documents,
    Eval,
    Item,
    OpenEval,
    OwnRows,
    Task,
    Text,
)
from msmc.source import Span
from msmc.syntax import ast

if TYPE_CHECKING:
    from msmc.analyze.resolve import Resolver

TAKEN: dict[str, Collection[str]] = {
    "demos": ("static", "prefixes"),  # files of the build tree
    "eval": (  # what evals/tasks.py imports and defines, and what lies beside it
        *("prefixes", *keyword.kwlist, "task", "tasks", "json", "sys", "choice", "multiple_choice", "solver", "scorer"),
        *("mean", "stderr", "generate", "get_model", "judging", "agentic", "judge", "verdict", "answered"),
    ),
    "arm": ablations.TAKEN,
}
"""Names that a block cannot have."""


def _by_name(block: Demos | OwnRows | Eval | OpenEval | Task) -> str:
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
        own, tasks, open_evals = OwnReader(self), list[Task](), list[OpenEval]()
        own_documents, own_demos = list[OwnRows](), list[OwnRows]()
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
            elif isinstance(item, ast.EvalJudged | ast.EvalAgentic):
                self._name(seen, item.name, "eval")
                open_evals.append(OpenReader(self, own).read(item))
            elif isinstance(item, ast.DocumentsFrom):
                self.resolver.once(seen, f'documents from "{item.path.plain}"', item.path.span)
                own_documents.append(own.documents(item))
            elif isinstance(item, ast.DemosFrom):
                self._name(seen, item.name, "demos")
                self.resolver.once(seen, f'demos from "{item.path.plain}"', item.path.span)
                own_demos.append(own.demos(item))
            elif isinstance(item, ast.EvalTask):
                self._name(seen, item.name, "eval")
                tasks += [task] if (task := own.task(item)) else []
        for item in decl.items:
            if isinstance(item, ast.Ablation):
                self._name(seen, item.name, "ablation")
                ablations.append(AblationReader(self, decl).read(item))
        return {
            "documents": documents,
            "own_documents": tuple(sorted(own_documents, key=lambda rows: rows.path)),
            "demos": tuple(sorted(demos, key=_by_name)),
            "own_demos": tuple(sorted(own_demos, key=_by_name)),
            "evals": tuple(sorted(evals, key=_by_name)),
            "open_evals": tuple(sorted(open_evals, key=_by_name)),
            "tasks": tuple(sorted(tasks, key=_by_name)),
            "ablations": tuple(ablations),
        }

    def _name(self, seen: dict[str, Span], name: ast.Name, what: str) -> None:
        self.free(name, TAKEN.get(what, ()), f"`{name.word}` cannot name {'an' if what[0] in 'ea' else 'the'} {what}")
        self.resolver.once(seen, f"{what} {name.word}", name.span)
        self.resolver.spans[f"{self.spec} {what} {name.word}"] = name.span

    def title(self, title: ast.Quoted | None) -> Text | None:
        return None if title is None else self.reader.text(title).partly(self.reader.params)

    def once_each(self, items: tuple[ast.Ast, ...], kinds: tuple[type[ast.Ast], ...]) -> None:
        seen: dict[str, Span] = {}
        for item in items:
            if isinstance(item, kinds):
                self.resolver.once(
                    seen, {"HeldOut": "held_out"}.get(type(item).__name__, type(item).__name__.lower()), item.span
                )

    def free(self, name: ast.Name, taken: Collection[str], message: str) -> None:
        if name.word in taken:
            where = Label(name.span, "reserved")
            self.problems.append(Diagnostic("reserved-id", message, where, hint=f"for example {name.word}_2"))

    def about(self, items: tuple[ast.Ast, ...], span: Span, default: tuple[str, ...] | None) -> tuple[str, ...]:
        paths = [path for item in items if isinstance(item, ast.About) for path in item.paths]
        if not paths:
            if default is None:
                hint = "add: about values, rules"
                self.problems.append(
                    Diagnostic("field-missing", "this block does not say what it is about", Label(span), hint=hint)
                )
            return default or ()
        found, examples = [], self.nodes.examples()
        for path in paths:
            if path.dotted in CLAUSE_WORDS:
                found.append(path.dotted)
            elif f"{path.dotted}s" in CLAUSE_WORDS and f"{self.spec}.{path.dotted}" not in self.nodes:
                self.problems.append(unknown_name(path, "value, rule or clause", CLAUSE_WORDS))
            elif node := self.resolver.find_node(self.path, self.spec, self.nodes, path):
                found.append(node)
                if node in examples:
                    where = Label(path.span, "an example")
                    message = f"`{path.dotted}` is no clause"
                    hint = "name a value, a rule, a rationale or a subrule"
                    self.problems.append(Diagnostic("unknown-name", message, where, hint=hint))
        return tuple(dict.fromkeys(found))

    def _documents(self, block: ast.Documents) -> Documents:
        kinds = [name for item in block.items if isinstance(item, ast.Kinds) for name in item.names]
        audiences = [c for item in block.items if isinstance(item, ast.Audiences) for c in item.choices]
        angles = [c for item in block.items if isinstance(item, ast.Angles) for c in item.choices]
        return Documents.model_construct(
            about=self.about(block.items, block.span, None),
            kinds=tuple(dict.fromkeys(self._choices(kinds, "kinds", "kind of document"))),
            audiences=tuple(dict.fromkeys(self._choices(audiences, "audiences", "audience"))),
            angles=tuple(dict.fromkeys(self._choices(angles, "angles", "angle"))),
        )

    def _choices(self, written: list[Any], axis: str, what: str) -> Iterator[str]:
        library, known, words = self.resolver.library, tuple[str, ...](), dict[str, tuple[str, ...]]()
        if any(isinstance(choice, ast.Name) for choice in written):  # else it is not read
            known, words = getattr(library, axis), library.named(axis)
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
            elif choice.word in words:
                yield from words[choice.word]
            else:
                hint = did_you_mean(choice.word, (*known, *words))
                if what != "kind of document":
                    hint = (hint + " " if hint else "") + 'your own words stand in quotes: "…"'
                message = f"there is no {what} `{choice.word}`"
                self.problems.append(
                    Diagnostic("unknown-name", message, Label(choice.span, "not in the library"), hint=hint)
                )

    def _demos(self, block: ast.Demos) -> Demos:
        self.once_each(block.items, (ast.Justify, ast.Thinking))
        said = {type(item): item for item in block.items}
        justify, thinking = said.get(ast.Justify), said.get(ast.Thinking)
        return Demos.model_construct(
            name=block.name.word,
            about=self.about(block.items, block.span, None),
            justify=justify.reason.word if isinstance(justify, ast.Justify) else "never",  # type: ignore[arg-type]
            thinking=isinstance(thinking, ast.Thinking) and thinking.switch.word == "on",
        )

    def _eval(self, block: ast.EvalBlock) -> list[Eval]:
        name, kind = block.name.word, block.kind.word
        self.once_each(block.items, (ast.Pairs, ast.Rung, ast.HeldOut))
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
                about=self.about(
                    block.items, block.span, ("values", "rules", "rationales") if kind == "recall" else None
                ),
                pairs=path,
                items=items,
                rung=rungs[0] if rungs else "far" if held_out else "learned",  # type: ignore[arg-type]
                held_out=held_out,
            )
        ]
