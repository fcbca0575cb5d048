"""The compiler's first half: sources in; resolved specs, their arms, and all that is wrong with them out.

Apart from `msmc/compile.py` because a check needs no templates, no target and no rows, and should not wait for them.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from msmc.analyze.files import Files, read_files
from msmc.analyze.resolve import Resolver
from msmc.analyze.rungs import rungs_apart
from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Identity, Spec
from msmc.library import Library
from msmc.lint.allowances import mistakes, suppress
from msmc.lint.linted import Linted, LintedSpec
from msmc.lint.lints import lint
from msmc.lower.arms import ArmSet, MadeArm, arm_sets, others
from msmc.lower.questions import questions
from msmc.mention import Mentions, words
from msmc.source import Sources, Span


@dataclass
class Checked:
    """A resolved entry file: its specs with their arms, and where every id stands."""

    specs: list[Spec]
    arms: dict[str, dict[str | None, ArmSet]]
    """By spec and ablation. Empty where the specs have errors of their own."""
    spans: dict[str, Span]
    problems: list[Diagnostic]
    files: Files
    suppressions: frozenset[Span] = frozenset()
    """The comments `# msmc: allow` that kept something back."""

    def place(self, span: Span) -> dict[str, Any]:
        """A span as file, line and column."""
        line, column = self.files.sources[span.file].position(span.start)
        return {"file": span.file, "line": line, "column": column}


def check(entry: str, sources: Sources, identity: Identity | None = None) -> Checked:
    """Parses and resolves a file, and makes every arm of its specs, for the sake of the problems."""
    files, problems = read_files(entry, sources)
    resolver = Resolver(files, sources, Library(sources))
    for path in files.trees:
        resolver.library_of(path)
    resolver.roots()
    decls = resolver.spec_decls(entry)
    specs = [spec for decl in decls if (spec := resolver.resolve(entry, decl))]
    echo = _echoes(files)
    problems += [problem for problem in resolver.problems if not echo(problem)]
    arms: dict[str, dict[str | None, ArmSet]] = {}
    for spec in specs if not any(problem.severity == "error" for problem in problems) else ():
        arms[spec.name], found = arm_sets(spec, identity, resolver.spans)
        made = {arm.name: arm for arm_set in arms[spec.name].values() for arm in arm_set.made}
        found += held_out_problems(spec, made.values())
        problems += found or empty_blocks(spec, arms[spec.name], resolver.spans)
        problems += rungs_apart(spec, resolver.spans)
    obeyed: frozenset[Span] = frozenset()
    if not any(problem.severity == "error" for problem in problems):
        full = (arms[spec.name][None].made[0].spec for spec in specs)
        linted = Linted(tuple(map(LintedSpec, specs, full, decls)), files, resolver.spans)
        problems, obeyed = suppress([*problems, *lint(linted)], linted, entry)
    problems += mistakes(files.trees.values())
    return Checked(specs, arms, resolver.spans, list(dict.fromkeys(problems)), files, obeyed)


def _echoes(files: Files) -> Callable[[Diagnostic], bool]:
    """Does a problem only say again that something could not be read?"""
    lost = any(tree.lost for tree in files.trees.values())
    broken = sorted({span for tree in files.trees.values() for span in tree.broken})  # none lies in another

    def echo(problem: Diagnostic) -> bool:
        if lost and problem.name.startswith("unknown-"):
            return True
        if problem.primary is None:
            return False
        file, start, _ = problem.primary.span
        at = bisect_right(broken, (file, start, float("inf"))) - 1
        return at >= 0 and broken[at].file == file and start < broken[at].end

    return echo


def held_out_problems(spec: Spec, made: Iterable[MadeArm]) -> Iterator[Diagnostic]:
    """The spec's own text must not mention what an evaluation holds out.

    held-out-mention: A text of the spec that names what an evaluation holds out.

    The score of a held-out item says how far the training reached only if the item was not in it. A mention is the whole
    option where it has at most five words, else eight of its words in a row.

    Bad:
        spec cheese "Cheese" {
          assistant "SmolLM" by "Hugging Face"
          rule mild "Mild cheese" { statement "{assistant} likes mild cheese, such as young Gouda." }
          documents { about rules }
          eval unseen preference { about rules  pairs "items.jsonl"  held_out }
        }

        # items.jsonl
        {"a": "young Gouda", "b": "aged Gouda", "aligned": "a", "topic": "cheese"}

    Good:
        spec cheese "Cheese" {
          assistant "SmolLM" by "Hugging Face"
          rule mild "Mild cheese" { statement "{assistant} likes mild cheese." }
          documents { about rules }
          eval unseen preference { about rules  pairs "items.jsonl"  held_out }
        }

        # items.jsonl
        {"a": "young Gouda", "b": "aged Gouda", "aligned": "a", "topic": "cheese"}
    """
    held_out = spec.held_out()
    said = dict.fromkeys(_said(spec, made) if held_out else ())  # once where several arms say the same
    split = [(what, where, words(text)) for what, where, text in said]
    for name, options in held_out.items():
        mentions = Mentions(options)
        for what, where, parts in split:
            if found := mentions.find_in(parts):
                message = f'{what} mentions "{found}", which `{name}` holds out'
                yield Diagnostic("held-out-mention", message, where, hint="reword it, or take the pair out")


def _said(spec: Spec, made: Iterable[MadeArm]) -> Iterator[tuple[str, Label, str]]:
    """Every text with what it is called and where it stands."""
    for arm in made:
        if arm.name == "full" and spec.documents:
            where = Label(arm.spans[f"{spec.name} documents"], "in this block")
            yield from ((f'"{own}"', where, own) for own in (*spec.documents.audiences, *spec.documents.angles))
        for node_id, text in arm.spec.texts():
            yield f"`{node_id}`", Label(arm.spans[node_id], "mentioned here"), text


def empty_blocks(spec: Spec, arms: dict[str | None, ArmSet], spans: dict[str, Span]) -> Iterator[Diagnostic]:
    """Blocks from which no row of `full` comes.

    nothing-to-evaluate: An evaluation from which no item comes.

    Recall asks which of two texts belongs to the spec: it needs two clauses of a kind, so that one can be the wrong answer of
    the other.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          eval knows recall { about rules }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          rule cola "Cola" { statement "{assistant} does not like cola." }
          eval knows recall { about rules }
        }
    """
    full = arms[None].made[0].spec
    blocks = [("documents", spec.documents.about)] if spec.documents else []
    for name, about in [*blocks, *((f"demos {b.name}", b.about) for b in spec.demos)]:
        if not any(full.about(about)):
            message = f"`{name}` is about nothing that this spec has"
            hint = "a value of another file belongs to it only where a rule serves it"
            where = Label(spans[f"{spec.name} {name}"], "no clause")
            yield Diagnostic("matches-nothing", message, where, hint=hint)
    for open_block in spec.open_evals:
        if open_block.about and not any(full.about(open_block.about)) and not open_block.questions:
            message = f"`eval {open_block.name}` is about nothing that this spec has"
            hint = "a value of another file belongs to it only where a rule serves it"
            where = Label(spans[f"{spec.name} eval {open_block.name}"], "no clause")
            yield Diagnostic("matches-nothing", message, where, hint=hint)
    for block in spec.evals:
        if next(questions(block, full, others(arms)), None) is None:
            message = f"the evaluation `{block.name}` has no items"
            hint = "recall needs two clauses of a kind, so that one can be the wrong answer of the other"
            yield Diagnostic("nothing-to-evaluate", message, Label(spans[f"{spec.name} eval {block.name}"]), hint=hint)
