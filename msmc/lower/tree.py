"""The build tree of one spec and target: each arm's files, and arms.json (DESIGN section 5)."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from msmc.build import (
    OWN_ROWS,
    RESERVED,
    SCHEMA_VERSION,
    Artefact,
    Build,
    Chat,
    EvalRow,
    OpenRow,
    Prefix,
    canonical,
    digest,
)
from msmc.ir import ArmSpec, Documents, Eval, Node, OpenEval, Spec
from msmc.library import Library
from msmc.lower import content, demos, documents, evals, open_evals
from msmc.lower.arms import MadeArm
from msmc.lower.contents import Contents
from msmc.lower.context import Shown, as_prose, shown_by
from msmc.lower.coverage import coverage
from msmc.lower.planned import Planned
from msmc.lower.recipes import recipe
from msmc.lower.render import Templates
from msmc.lower.shapes import Shapes
from msmc.lower.sweeps import Point
from msmc.source import SourceFile, Sources, Span
from msmc.target import Target

Places = Callable[[Span], dict[str, Any]]
"""A span as file, line and column."""
RESERVE = 1.5
"""Rows of an arm that is to have another one's tokens, for each row of that: their lengths differ, and some are quarantined."""


CHATS_A_DOCUMENT = 2
"""As many chats have the tokens of a document: the demo's have 197 with their template, and its documents 350."""


class Lowering:
    """One spec and target, ready to be lowered arm by arm."""

    def __init__(
        self,
        spec: Spec,
        target: Target,
        sources: Sources,
        made: tuple[MadeArm, ...],
        others: list[ArmSpec],
        mix: tuple[Chat, ...],
        places: Places,
        files: dict[str, SourceFile],
    ) -> None:
        self.spec, self.target, self.made, self.others, self.mix, self.places = spec, target, made, others, mix, places
        self.sources = sources
        self.library, self.templates = Library(sources), Templates(sources, files)
        self.shapes, self.full = Shapes(self.templates, self.library), made[0].spec

    def build(self, arm: MadeArm, contents: Contents | None = None) -> Build:
        """The folder of one arm: what the spec and the target ask for, unless `contents` says otherwise."""
        plan = contents or self.asked()
        planned = content.planned(plan.documents, arm.spec)
        artefacts = [
            *self._spec(arm, plan),
            *self._documents(arm, plan, planned),
            *self._demos(arm, plan),
            *self._evals(),
            *self._train(arm, plan.target(self.target)),
        ]
        clauses = [clause for of_node in planned.values() for clause in of_node]
        build = Build(arm.name, tuple(artefacts), self._manifest(arm, plan, planned))
        if plan.documents is None:
            return build
        numbers = plan.numbers(planned)
        draw = self._planned(arm, plan.documents).sample(clauses, numbers)
        return replace(build, num_documents=sum(numbers.values()), sample=draw)

    def swept(self, name: str, point: Point) -> Build:
        """`full` at a point of a sweep."""
        return self.build(replace(self.made[0], name=name), replace(self.asked(), point=point))

    def asked(self) -> Contents:
        """What the spec and the target ask for."""
        asked, chats = self.target.documents, self.target.demos.per_clause
        return Contents(self.spec.documents, asked.per_clause, self.spec.demos, chats, reserve=asked.reserve)

    def matching(self, arm: MadeArm, match: dict[str, Any]) -> Contents:
        """The same; for an arm that is matched with as many rows in reserve as it may need to be as large as the largest."""
        asked, matched = self.asked(), [made.spec for made in self.made if made.name in match["arms"]]
        if match["by"] == "none" or arm.spec not in matched:
            return asked
        largest = max(sum(asked.numbers(content.planned(asked.documents, spec)).values()) for spec in matched)
        return replace(asked, matched_to=math.ceil((RESERVE if match["by"] == "tokens" else 1) * largest))

    def neutral(self, arm: MadeArm, block: Documents) -> Build:
        """The control `neutral_documents`: another spec's arm, planned like this one's documents and with a reserve, as the
        run trims it to the tokens of `full`'s."""
        own = self.spec.documents
        assert own is not None
        like = own.model_copy(update={"about": block.about})
        num_clauses = sum(map(len, content.planned(like, arm.spec).values()))
        per_clause = math.ceil(RESERVE * self._num_documents() / num_clauses)
        return self.build(arm, Contents(like, per_clause, (), 0, own=False, neutral=True))

    def deliberative(self, name: str) -> Build:
        """The control `deliberative`: as many chats as `full` has, all of them thinking aloud from the spec; no documents."""
        thinking = tuple(block.model_copy(update={"thinking": True}) for block in self.spec.demos)
        examples = sum(len(rule.examples) for rule in self.full.rules)
        chats = self.target.demos.per_clause + math.ceil(examples / self._num_demonstrated())
        return self.build(replace(self.made[0], name=name), Contents(None, 0, thinking, chats, own=False))

    def extra_demos(self, name: str) -> Build:
        """The control `extra_demos`: `full`'s chats and about as many tokens of further ones as its documents have."""
        further = math.ceil(self._num_documents() * CHATS_A_DOCUMENT / self._num_demonstrated())
        contents = Contents(None, 0, self.spec.demos, self.target.demos.per_clause + further)
        return self.build(replace(self.made[0], name=name), contents)

    def _num_documents(self) -> int:
        return self.target.documents.per_clause * sum(
            map(len, content.planned(self.spec.documents, self.full).values())
        )

    def _num_demonstrated(self) -> int:
        """Clauses that chats are planned for, each as often as a block is about it."""
        return max(1, sum(1 for block in self.spec.demos for _ in self.full.about(block.about)))

    def _spec(self, arm: MadeArm, plan: Contents) -> Iterator[Artefact]:
        yield text("ir.json", lambda: canonical(arm.spec.model_dump(mode="json")) + "\n")
        yield text("spec.md", lambda: as_prose(arm.spec, self.templates))
        yield text("sourcemap.json", lambda: canonical(self._sourcemap(arm)) + "\n")
        if plan.own and (self.spec.own_documents or self.spec.own_demos):
            yield text(OWN_ROWS, lambda: canonical(self._own_rows(arm, plan)) + "\n")

    def _documents(self, arm: MadeArm, plan: Contents, planned: dict[str, list[Any]]) -> Iterator[Artefact]:
        if plan.own and plan.per_clause and self.spec.own_documents:
            yield rows("documents/own_documents.jsonl", lambda: plan.own_documents(self.spec, arm.spec))
        if plan.documents is None:
            return
        told = (list(planned), self._shown(arm), self.templates, arm.spans)
        asked = [documents.prefixes] + ([documents.critiques] if self.target.critic else [])
        yield rows("documents/prefixes.jsonl", lambda: (prefix for make in asked for prefix in make(*told)))
        made, numbers, none = self._planned(arm, plan.documents), plan.numbers(planned), dict[str, int]()
        for folder, wanted, skip in (("documents/", numbers, none), (RESERVED, plan.reserves(planned), numbers)):
            for node_id, clauses in planned.items():
                if folder == RESERVED and not any(wanted[clause.id] for clause in clauses):
                    continue
                path = f"{folder}{node_id.removeprefix(arm.spec.name + '.')}.jsonl"
                inputs = partial(made.inputs, clauses, wanted, skip)
                yield Artefact(path, made.lines(clauses, wanted, skip), inputs)

    def _shown(self, arm: MadeArm) -> Shown:
        return shown_by(self.target.context, arm.spec, self.templates, arm.spans)

    def _planned(self, arm: MadeArm, block: Documents) -> Planned:
        return Planned(block, arm.spec, self.library, self.templates, arm.spans)

    def _demos(self, arm: MadeArm, plan: Contents) -> Iterator[Artefact]:
        if plan.own:
            for name, chats in plan.own_chats(self.spec, arm.spec).items():
                yield rows(f"demos/{name}.jsonl", partial(iter, chats))
        for block in plan.demos:
            numbers = plan.numbers_of_chats(block, arm.spec)
            written = demos.planned(block, arm.spec, numbers, self.shapes, self.templates, arm.spans)
            yield rows(f"demos/{block.name}.jsonl", written)
        if plan.demos and plan.chats:
            yield rows("demos/prefixes.jsonl", lambda: self._demo_prefixes(arm, plan))

    def _demo_prefixes(self, arm: MadeArm, plan: Contents) -> Iterator[Prefix]:
        for block in plan.demos:
            yield from demos.prefixes(block, arm.spec, self._shown(arm), self.templates, arm.spans)

    def _evals(self) -> Iterator[Artefact]:
        for block in self.spec.evals:
            yield rows(f"evals/{block.name}.jsonl", self._asked(block))
        kinds: dict[str, list[str]] = {"names": [b.name for b in self.spec.evals], "judged": [], "agentic": []}
        for open_block in self.spec.open_evals:
            yield rows(f"evals/{open_block.name}.jsonl", self.open_rows(open_block))
            kinds[open_block.kind].append(open_block.name)
        yield text("evals/tasks.py", partial(self._code, "tasks", kinds))
        for kind, module in (("judged", "judging"), ("agentic", "agentic")):
            if kinds[kind]:
                yield text(f"evals/{module}.py", partial(self._code, module, {}))
        for task in self.spec.tasks:
            if task.tool == "inspect" and task.path:
                yield text(f"evals/{task.name}.py", partial(self._brought, task.path))
            for path in task.files:
                yield text(f"tasks/{task.name}/{path}", partial(self._brought, path))

    def _asked(self, block: Eval) -> Callable[[], Iterator[EvalRow]]:
        return evals.rows(block, self.full, self.others, self.templates, self.made[0].spans)

    def open_rows(self, block: OpenEval) -> Callable[[], Iterator[OpenRow]]:
        made = self.made[0]
        return open_evals.rows(block, made.spec, self.others, self.target, self.templates, made.spans)

    def _code(self, module: str, values: dict[str, Any]) -> str:
        return self.templates.render(f"evals/{module}.py.jinja", values).rstrip() + "\n"

    def _brought(self, path: str) -> str:
        return self.sources[path].decode("utf-8-sig")

    def _train(self, arm: MadeArm, target: Target) -> Iterator[Artefact]:
        yield text("train/midtrain.yaml", lambda: recipe("midtrain", target, self.templates))
        yield text("train/finetune.yaml", lambda: recipe("finetune", target, self.templates))
        chat = self.target.model.chat_template
        yield text("train/chat_template.jinja", lambda: self.templates.text(f"chat/{chat}.jinja"))
        if self.mix and arm is self.made[0]:  # one mix for all arms
            yield rows("train/mix.jsonl", lambda: self.mix)

    def _sourcemap(self, arm: MadeArm) -> dict[str, Any]:
        """Every id of the arm, and every id that an eval row is about, to its place."""
        ids = {self.spec.name, arm.spec.name} | {node_id for node_id, _ in arm.spec.texts()}
        # eval rows are `full`'s in every arm, and may be about nodes of other specs
        asked = [b.about for b in self.spec.evals] + [b.about for b in self.spec.open_evals]
        ids |= {node_id for node_id, _ in self.full.texts()} | {a for about in asked for a in about if "." in a}
        found = {}
        for node_id in sorted(ids):
            found[node_id] = self.places(arm.spans[node_id])
        return found

    def _own_rows(self, arm: MadeArm, plan: Contents) -> dict[str, Any]:
        """Every row of the author's that the arm has, to its line. Beside the source map, which every run holds a copy of."""
        ids = {row.id for row in plan.own_documents(self.spec, arm.spec)}
        ids |= {chat.id for chats in plan.own_chats(self.spec, arm.spec).values() for chat in chats}
        # of a row that is there several times each has an id of its own, which begins with the first's
        places = {row_id: arm.spans.get("-".join(row_id.split("-")[:2])) for row_id in sorted(ids)}
        return {row_id: self.places(where) for row_id, where in places.items() if where}

    def _manifest(self, arm: MadeArm, plan: Contents, planned: dict[str, list[Any]]) -> dict[str, Any]:
        """All but the digests and counts of the files, which whoever writes them adds."""
        asked = (row for block in self.spec.evals for row in self._asked(block)())
        opened = (row for block in self.spec.open_evals for row in self.open_rows(block)())
        return {
            "schema_version": SCHEMA_VERSION,
            "spec": self.spec.name,
            "arm": arm.name,
            "neutral": plan.neutral,
            "declared": list(arm.declared),
            "demos": {b.name: {"justify": b.justify, "thinking": b.thinking} for b in plan.demos if plan.chats},
            "target": plan.target(self.target).model_dump(mode="json"),
            "fingerprints": {
                **self._fingerprints(arm.spec, plan.target(self.target)),
                **plan.planned_from(arm.spec, self.target.context),
            },
            "held_out": self.spec.held_out(),
            "open_evals": {block.name: block.kind for block in self.spec.open_evals},
            "coverage": coverage(self.spec, arm.spec, plan, planned, chain(asked, opened)),
            "reserve": {clause: number for clause, number in plan.reserves(planned).items() if number},
        }

    def _fingerprints(self, spec: ArmSpec, target: Target) -> dict[str, Any]:
        paths = sorted(p for p in self.sources if _is_of_builds(p))
        return {
            "clauses": {clause.id: digest(clause.text)[:16] for clause in spec.clauses()},
            "titles": digest({n.id: n.title for n in spec.nodes})[:16],
            "links": digest({r.id: r.serves for r in spec.rules})[:16],
            "examples": digest([demo.model_dump() for demo in demos.static(spec)])[:16],
            "identity": digest(spec.identity.model_dump())[:16],
            "templates": digest({p: self.sources[p].decode() for p in paths})[:16],
            "target": digest(target.model_dump(mode="json"))[:16],
        }


def _is_of_builds(path: str) -> bool:
    """A template that builds are made of; the page and the capability guard are no part of any."""
    return path.startswith("shipped:templates/") and not path.startswith(
        ("shipped:templates/report/", "shipped:templates/guard/")
    )


def rows(path: str, make: Callable[[], Iterable[Node]]) -> Artefact:
    """A file of JSON Lines."""
    return Artefact(path, lambda: (canonical(row.model_dump(mode="json", exclude_none=True)) + "\n" for row in make()))


def text(path: str, make: Callable[[], str]) -> Artefact:
    """A file that is one text."""
    return Artefact(path, lambda: iter((make(),)))
