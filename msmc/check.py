"""The compiler's first half: sources in; resolved specs, their arms, and all that is wrong with them out.

Apart from `msmc/compile.py` because a check needs no templates, no target and no rows, and should not wait for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msmc.analyze.files import Files, read_files
from msmc.analyze.resolve import Resolver
from msmc.diagnostics import Diagnostic, Label, not_yet
from msmc.ir import Identity, Spec
from msmc.library import Library
from msmc.lower.arms import ArmSet, MadeArm, arm_sets, others
from msmc.lower.questions import questions
from msmc.mention import Mentions
from msmc.source import Sources, Span


@dataclass
class Checked:
    """A resolved entry file: its specs with their arms, and where every id stands."""

    specs: list[Spec]
    arms: dict[str, dict[str | None, ArmSet]]
    """By spec and ablation. Empty where the specs have problems of their own."""
    spans: dict[str, Span]
    problems: list[Diagnostic]
    files: Files

    def place(self, span: Span) -> dict[str, Any]:
        """A span as file, line and column."""
        line, column = self.files.sources[span.file].position(span.start)
        return {"file": span.file, "line": line, "column": column}


def check(entry: str, sources: Sources, identity: Identity | None = None) -> Checked:
    """Parses and resolves a file, and makes every arm of its specs, for the sake of the problems."""
    files, problems = read_files(entry, sources)
    resolver = Resolver(files, sources, Library(sources))
    for path, tree in files.trees.items():
        problems += [not_yet(f"the suppression of `{name.word}`", name.span) for name in tree.allowances]
        resolver.library_of(path)
    resolver.roots()
    decls = resolver.spec_decls(entry)
    specs = [spec for decl in decls if (spec := resolver.resolve(entry, decl))]
    problems += resolver.problems
    arms: dict[str, dict[str | None, ArmSet]] = {}
    for spec in specs if not problems else ():
        arms[spec.name], found = arm_sets(spec, identity, resolver.spans)
        found += [p for made in arms[spec.name].values() for p in held_out_problems(spec, made.made)]
        problems += found or empty_blocks(spec, arms[spec.name], resolver.spans)
    return Checked(specs, arms, resolver.spans, list(dict.fromkeys(problems)), files)


def held_out_problems(spec: Spec, made: tuple[MadeArm, ...]) -> Iterator[Diagnostic]:
    """The spec's own text must not mention what an evaluation holds out."""
    for block in spec.evals:
        mentions = Mentions([o for item in block.items for o in (item.a, item.b)] if block.held_out else [])
        own = (*spec.documents.audiences, *spec.documents.angles) if spec.documents else ()
        for words in own:
            if found := mentions.find(words):
                message = f'"{words}" mentions "{found}", which `{block.name}` holds out'
                where = Label(made[0].spans[f"{spec.name} documents"], "in this block")
                yield Diagnostic("held-out-mention", message, where, hint="reword it, or take the pair out")
        for arm in made:
            for node_id, text in arm.spec.texts():
                if found := mentions.find(text):
                    where = Label(arm.spans[node_id], "mentioned here")
                    message = f'`{node_id}` mentions "{found}", which `{block.name}` holds out'
                    yield Diagnostic("held-out-mention", message, where, hint="reword it, or take the pair out")


def empty_blocks(spec: Spec, arms: dict[str | None, ArmSet], spans: dict[str, Span]) -> Iterator[Diagnostic]:
    """Blocks from which no row of `full` comes."""
    full = arms[None].made[0].spec
    blocks = [("documents", spec.documents.about)] if spec.documents else []
    for name, about in [*blocks, *((f"demos {b.name}", b.about) for b in spec.demos)]:
        if not any(full.about(about)):
            message = f"`{name}` is about nothing that this spec has"
            hint = "a value of another file belongs to it only where a rule serves it"
            where = Label(spans[f"{spec.name} {name}"], "no clause")
            yield Diagnostic("matches-nothing", message, where, hint=hint)
    for block in spec.evals:
        if next(questions(block, full, others(arms)), None) is None:
            message = f"the evaluation `{block.name}` has no items"
            hint = "recall needs two clauses of a kind, so that one can be the wrong answer of the other"
            yield Diagnostic("nothing-to-evaluate", message, Label(spans[f"{spec.name} eval {block.name}"]), hint=hint)
