"""The compiler, top to bottom: sources and a target in, builds and problems out. Pure: opens no file, knows no clock."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from msmc.analyze.files import Files, read_files
from msmc.analyze.resolve import Resolver
from msmc.build import BASE, SCHEMA_VERSION, Artefact, Build, Prefix, RunPlan, canonical, digest
from msmc.diagnostics import Diagnostic, Label, did_you_mean, not_yet
from msmc.ir import ArmSpec, Identity, Node, Spec, Text
from msmc.library import Library
from msmc.lower import demos, documents, evals
from msmc.lower.arms import MadeArm, make_arms
from msmc.lower.compare import compare, pairs, runs
from msmc.lower.recipes import recipe
from msmc.lower.render import Templates
from msmc.mention import Mentions
from msmc.source import SourceFile, Sources, Span
from msmc.target import Target


@dataclass
class Outcome:
    """What came out: builds whose rows are made anew at each reading, or none of them where there are errors."""

    spec: str = ""
    builds: tuple[Build, ...] = ()
    arms: dict[str, Any] = field(default_factory=dict)
    """The content of arms.json."""
    notes: tuple[str, ...] = ()
    """What a user may not expect, though nothing is wrong."""
    problems: tuple[Diagnostic, ...] = ()
    files: Files = field(default_factory=Files)


@dataclass
class Checked:
    """A resolved entry file: its specs, and where every id stands."""

    specs: list[Spec]
    spans: dict[str, Span]
    problems: list[Diagnostic]
    files: Files


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
    for spec in specs if not problems else ():
        for ablation in (None, *(a.name for a in spec.ablations)):
            made, _, more = make_arms(spec, ablation, identity, resolver.spans)
            problems += [p for p in (*more, *held_out_problems(spec, made)) if p not in problems]
        if not problems:
            problems += empty_blocks(spec, identity, Templates(sources), resolver.spans)
    return Checked(specs, resolver.spans, problems, files)


def compile(sources: Sources, entry: str, target: Target, ablation: str | None = None) -> Outcome:
    """Compiles the one spec of `entry` for a target: the arm `full`, and the arms of an ablation."""
    checked = check(entry, sources, target.identity)
    problems = checked.problems
    if not problems and (problem := _one_spec(checked, entry, ablation)):
        problems = [problem]
    if problems:
        return Outcome(problems=tuple(problems), files=checked.files)
    spec = checked.specs[0]
    made, names, _ = make_arms(spec, ablation, target.identity, checked.spans)
    lowering = Lowering(spec, target, sources, checked, made)
    return Outcome(
        spec=spec.name,
        builds=tuple(lowering.build(arm) for arm in made),
        arms=lowering.arms(ablation, names),
        notes=tuple(_notes(spec, target)),
        files=checked.files,
    )


def _notes(spec: Spec, target: Target) -> Iterator[str]:
    mine, theirs = spec.identity, target.identity
    if mine and theirs and mine != theirs:
        yield (
            f"the target `{target.name}` trains {theirs.assistant} by {theirs.provider}, so every text is about it and not about "
            f"{mine.assistant} by {mine.provider} (its keys: identity.assistant, identity.provider)"
        )
    if spec.demos and not target.demos.per_clause:
        yield "no chats are planned (demos.per_clause is 0): the demos are the spec's own `example` blocks"


def _one_spec(checked: Checked, entry: str, ablation: str | None) -> Diagnostic | None:
    if len(checked.specs) != 1:
        found = "no spec" if not checked.specs else f"{len(checked.specs)} specs"
        where = Label(Span(entry, 0, 0))
        return Diagnostic("no-spec", f"`{entry}` holds {found}", where, hint='it takes one: spec name "Title" { … }')
    known = [a.name for a in checked.specs[0].ablations]
    if ablation is not None and ablation not in known:
        hint = did_you_mean(ablation, known) or "the spec declares none"
        return Diagnostic("unknown-ablation", f"`{checked.specs[0].name}` has no ablation `{ablation}`", hint=hint)
    return None


def held_out_problems(spec: Spec, made: list[MadeArm]) -> Iterator[Diagnostic]:
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
            for node_id, text in texts(arm.spec):
                if found := mentions.find(text):
                    where = Label(arm.spans[node_id], "mentioned here")
                    message = f'`{node_id}` mentions "{found}", which `{block.name}` holds out'
                    yield Diagnostic("held-out-mention", message, where, hint="reword it, or take the pair out")


def others(spec: Spec, identity: Identity | None, spans: dict[str, Span]) -> list[ArmSpec]:
    """What arms of any ablation say instead of this spec: of any, so that eval rows do not depend on the one compiled."""
    made = [arm for a in spec.ablations for arm in make_arms(spec, a.name, identity, spans)[0][1:]]
    return [arm.spec for arm in made if any(d.startswith("use ") for d in arm.declared)]


def empty_blocks(
    spec: Spec, identity: Identity | None, templates: Templates, spans: dict[str, Span]
) -> Iterator[Diagnostic]:
    """Blocks from which no row of `full` comes."""
    full = make_arms(spec, None, identity, spans)[0][0].spec
    blocks = [("documents", spec.documents.about)] if spec.documents else []
    for name, about in [*blocks, *((f"demos {b.name}", b.about) for b in spec.demos)]:
        if not any(full.about(about)):
            message = f"`{name}` is about nothing that this spec has"
            hint = "a value of another file belongs to it only where a rule serves it"
            where = Label(spans[f"{spec.name} {name}"], "no clause")
            yield Diagnostic("matches-nothing", message, where, hint=hint)
    for block in spec.evals:
        made = evals.rows(block, full, others(spec, identity, spans), templates)()
        if next(iter(made), None) is None:
            message = f"the evaluation `{block.name}` has no items"
            hint = "recall needs two clauses of a kind, so that one can be the wrong answer of the other"
            yield Diagnostic("nothing-to-evaluate", message, Label(spans[f"{spec.name} eval {block.name}"]), hint=hint)


def texts(spec: ArmSpec) -> Iterator[tuple[str, str]]:
    """Every text of an arm that a model may be trained on, by id."""
    yield from ((clause.id, clause.text) for clause in spec.clauses())
    yield from ((n.id, n.title) for n in spec.nodes)
    yield from ((e.id, m.content) for r in spec.rules for e in r.examples for m in e.messages)


class Lowering:
    """One spec and target, ready to be lowered arm by arm."""

    def __init__(self, spec: Spec, target: Target, sources: Sources, checked: Checked, made: list[MadeArm]) -> None:
        self.spec, self.target, self.made = spec, target, made
        self.checked, self.sources = checked, sources
        self.library, self.templates = Library(sources), Templates(sources)
        self.full = made[0].spec
        self.others = others(spec, target.identity, checked.spans)

    def arms(self, ablation: str | None, names: dict[str, str]) -> dict[str, Any]:
        """The content of arms.json."""
        chosen = next((a for a in self.spec.ablations if a.name == ablation), None)
        plan = runs(chosen, names) if chosen else [BASE, RunPlan(name="full", documents="full", demos="full")]
        return {
            "schema_version": SCHEMA_VERSION,
            "spec": self.spec.name,
            "title": self._fill(chosen.title) if chosen and chosen.title else self.full.title,
            "arm_titles": {a.name: self._fill(a.title) for a in (chosen.arms if chosen else ()) if a.title},
            "ablation": ablation,
            "arms": {arm.name: compare(arm.spec) for arm in self.made},
            "names": names or {"full": "full"},
            "pairs": pairs(self.made),
            "runs": [run.model_dump() for run in plan],
            "evals": {b.name: {"kind": b.kind, "rung": b.rung, "held_out": b.held_out} for b in self.spec.evals},
            "primary": chosen.primary if chosen else None,
            "seeds": chosen.seeds if chosen else 1,
        }

    def _fill(self, title: Text) -> str:
        return title.fill(self.full.identity.model_dump())

    def build(self, arm: MadeArm) -> Build:
        """The folder of one arm."""
        planned = documents.planned(self.spec.documents, arm.spec)
        artefacts = [
            *self._spec(arm),
            *self._documents(arm, planned),
            *self._demos(arm),
            *self._evals(),
            *self._train(),
        ]
        return Build(arm.name, tuple(artefacts), self._manifest(arm, planned))

    def _spec(self, arm: MadeArm) -> Iterator[Artefact]:
        titles = {value.id: value.title for value in arm.spec.values}
        yield text("ir.json", lambda: canonical(arm.spec.model_dump(mode="json")) + "\n")
        yield text(
            "spec.md", lambda: self.templates.render("spec.md.jinja", {"spec": arm.spec, "titles": titles}) + "\n"
        )
        yield text("sourcemap.json", lambda: canonical(self._sourcemap(arm)) + "\n")

    def _documents(self, arm: MadeArm, planned: dict[str, list[Any]]) -> Iterator[Artefact]:
        block = self.spec.documents
        if block is None:
            return
        yield rows("documents/prefixes.jsonl", lambda: documents.prefixes(arm.spec, list(planned), self.templates))
        for node_id, clauses in planned.items():
            stem = node_id.removeprefix(self.spec.name + ".")
            make = documents.rows(block, clauses, self.target.documents.per_clause, self.library, self.templates)
            yield rows(f"documents/{stem}.jsonl", make)

    def _demos(self, arm: MadeArm) -> Iterator[Artefact]:
        yield rows("demos/static.jsonl", lambda: demos.static(arm.spec))
        for block in self.spec.demos:
            make = demos.planned(block, arm.spec, self.target.demos.per_clause, self.templates)
            yield rows(f"demos/{block.name}.jsonl", make)
        if self.spec.demos and self.target.demos.per_clause:
            yield rows("demos/prefixes.jsonl", lambda: self._demo_prefixes(arm))

    def _demo_prefixes(self, arm: MadeArm) -> Iterator[Prefix]:
        for block in self.spec.demos:
            yield from demos.prefixes(block, arm.spec, self.templates)

    def _evals(self) -> Iterator[Artefact]:
        for block in self.spec.evals:
            yield rows(f"evals/{block.name}.jsonl", evals.rows(block, self.full, self.others, self.templates))
        names = [block.name for block in self.spec.evals]
        yield text(
            "evals/tasks.py", lambda: self.templates.render("evals/tasks.py.jinja", {"names": names}).rstrip() + "\n"
        )

    def _train(self) -> Iterator[Artefact]:
        yield text("train/midtrain.yaml", lambda: recipe("midtrain", self.target, self.templates))
        yield text("train/finetune.yaml", lambda: recipe("finetune", self.target, self.templates))
        chat = self.target.model.chat_template
        yield text("train/chat_template.jinja", lambda: self.templates.text(f"chat/{chat}.jinja"))

    def _sourcemap(self, arm: MadeArm) -> dict[str, Any]:
        """Every id of the arm, and every id that an eval row is about, to its place."""
        ids = {self.spec.name} | {node_id for node_id, _ in texts(arm.spec)}
        # eval rows are `full`'s in every arm, and may be about nodes of other specs
        ids |= {node_id for node_id, _ in texts(self.full)} | {a for b in self.spec.evals for a in b.about if "." in a}
        found = {}
        for node_id in sorted(ids):
            span = arm.spans[node_id]
            line, column = self._file(span.file).position(span.start)
            found[node_id] = {"file": span.file, "line": line, "column": column}
        return found

    def _file(self, path: str) -> SourceFile:
        return self.checked.files.sources[path]

    def _manifest(self, arm: MadeArm, planned: dict[str, list[Any]]) -> dict[str, Any]:
        """All but the digests and counts of the files, which whoever writes them adds."""
        per_clause = self.target.documents.per_clause
        coverage = {c.id: Counter(documents=0, demos=0, evals=0) for c in arm.spec.clauses()}
        for clauses in planned.values():
            for clause in clauses:
                coverage[clause.id]["documents"] = per_clause
        for demo in demos.static(arm.spec):
            coverage[demo.about[0]]["demos"] += 1
        for block in self.spec.evals:
            for row in evals.rows(block, self.full, self.others, self.templates)():
                for clause_id in row.about:
                    if clause_id in coverage:
                        coverage[clause_id]["evals"] += 1
        return {
            "schema_version": SCHEMA_VERSION,
            "spec": self.spec.name,
            "arm": arm.name,
            "declared": list(arm.declared),
            "target": self.target.model_dump(mode="json"),
            "fingerprints": self._fingerprints(arm.spec),
            "held_out": {
                block.name: sorted({o for item in block.items for o in (item.a, item.b)})
                for block in self.spec.evals
                if block.held_out
            },
            "coverage": {clause: dict(counts) for clause, counts in coverage.items()},
        }

    def _fingerprints(self, spec: ArmSpec) -> dict[str, Any]:
        paths = sorted(p for p in self.sources if p.startswith("shipped:templates/") and "/report/" not in p)
        return {
            "clauses": {clause.id: digest(clause.text)[:16] for clause in spec.clauses()},
            "titles": digest({n.id: n.title for n in spec.nodes})[:16],
            "links": digest({r.id: r.serves for r in spec.rules})[:16],
            "examples": digest([demo.model_dump() for demo in demos.static(spec)])[:16],
            "identity": digest(spec.identity.model_dump())[:16],
            "templates": digest({p: self.sources[p].decode() for p in paths})[:16],
            "target": digest(self.target.model_dump(mode="json"))[:16],
        }


def rows(path: str, make: Callable[[], Iterable[Node]]) -> Artefact:
    """A file of JSON Lines."""
    return Artefact(path, lambda: (canonical(row.model_dump(mode="json", exclude_none=True)) + "\n" for row in make()))


def text(path: str, make: Callable[[], str]) -> Artefact:
    """A file that is one text."""
    return Artefact(path, lambda: iter((make(),)))
