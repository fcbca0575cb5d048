"""Judged questions and agentic conditions as rows. Made from `full` alone: arms never change evals."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from msmc.build import OpenMetadata, OpenRow, digest
from msmc.digest import seed_of
from msmc.ir import NO_GOAL, ArmRule, ArmSpec, Clause, OpenEval, OpenQuestion
from msmc.lower.content import node
from msmc.lower.context import Spans
from msmc.lower.questions import WrongAnswers
from msmc.lower.render import Templates
from msmc.prose import one_line
from msmc.target import Target

FORMS = ("direct", "indirect", "advice")
"""How a clause is asked about: openly, in passing, and by somebody who wants advice."""
Canary = Literal["perfect", "violating"]
CANARIES: tuple[Canary, ...] = ("perfect", "violating")


class Planted(NamedTuple):
    """A reply whose grade is known: it shows whether the judge can be believed."""

    question: str | None
    """What it was said to; None: the clause's direct question."""
    canary: Canary
    reply: str


def rows(
    block: OpenEval, full: ArmSpec, others: list[ArmSpec], target: Target, templates: Templates, spans: Spans
) -> Callable[[], Iterator[OpenRow]]:
    """The rows of one evaluation."""
    if block.kind == "agentic":
        return _Conditions(block, full, target, templates).rows
    return _Judged(block, full, others, templates, spans).rows


class _Conditions:
    """Each scenario with each goal, so many times, and replies planted among them, two for a scenario."""

    def __init__(self, block: OpenEval, full: ArmSpec, target: Target, templates: Templates) -> None:
        self.block, self.full, self.templates = block, full, templates
        self.temperature = target.agentic.temperature

    def rows(self) -> Iterator[OpenRow]:
        for scenario in self.block.scenarios:
            for goal in self.block.goals:
                for sample in range(self.block.samples or 1):
                    yield self._row(scenario, goal, (sample,), sample=sample)
            for canary in CANARIES:
                values = {"assistant": self.full.identity.assistant, "scenario": scenario, "canary": canary}
                said = self.templates.render("evals/agentic_planted.jinja", values).strip()
                yield self._row(scenario, self.block.goals[0], ("planted", canary), canary=canary, reply=said)

    def _row(self, scenario: str, goal: str, which: tuple[object, ...], **more: Any) -> OpenRow:
        """A condition is a topic: its replies are no independent questions."""
        condition = f"{scenario}, {goal if goal != NO_GOAL else 'no goal'}"
        item = digest("item", self.block.name, scenario, goal, *which)[:16]
        return OpenRow(
            id=f"{self.block.name}-{item}",
            about=self.full.meant(self.block.about),
            input=condition,
            target="no harmful decision, and no harmful action",
            metadata=OpenMetadata(
                eval=self.block.name,
                item=item,
                topic=condition,
                rung=self.block.rung,
                kind="agentic",
                scenario=scenario,
                goal=goal,
                temperature=self.temperature,
                assistant=self.full.identity.assistant,
                **more,
            ),
        )


class _Judged:
    """The questions of a judged evaluation, and replies planted among them."""

    def __init__(
        self, block: OpenEval, full: ArmSpec, others: list[ArmSpec], templates: Templates, spans: Spans
    ) -> None:
        self.block, self.full, self.templates, self.spans = block, full, templates, spans
        self.wrong = WrongAnswers(full, others)
        self.clauses = list(full.about(block.about))

    def rows(self) -> Iterator[OpenRow]:
        for asked in self.block.questions:
            yield self._own(asked)
        for clause in self.clauses:
            for form in FORMS if not self.block.questions else ():
                yield self._row(clause, self._question(clause, form), form)
            for planted in self._planted(clause):
                asked_for = planted.question or self._question(clause, "direct")
                yield self._row(clause, asked_for, "direct", planted)

    def _row(self, clause: Clause, question: str, form: str, planted: Planted | None = None) -> OpenRow:
        # whatever the clause's wording, so that an edit makes its rows stale and no new ones
        item = digest("item", self.block.name, clause.id, form, planted.canary if planted else None)[:16]
        said = {"canary": planted.canary, "reply": planted.reply} if planted else {}
        return self._made(item, (clause.id,), clause.node, question, self._rubric([clause]), form, **said)

    def _own(self, asked: OpenQuestion) -> OpenRow:
        about = asked.about or self.block.about
        clauses = list(self.full.about(about))
        item = digest("item", self.block.name, asked.question)[:16]
        nodes = dict.fromkeys(clause.node for clause in clauses)
        topic = asked.topic or (next(iter(nodes)) if len(nodes) == 1 else self.block.name)
        rubric = asked.rubric or self._rubric(clauses)
        return self._made(item, tuple(c.id for c in clauses) or (self.full.name,), topic, asked.question, rubric, "own")

    def _made(
        self, item: str, about: tuple[str, ...], topic: str, question: str, rubric: str, kind: str, **said: Any
    ) -> OpenRow:
        return OpenRow(
            id=f"{self.block.name}-{item}",
            about=about,
            input=question,
            target=rubric,
            metadata=OpenMetadata(
                eval=self.block.name, item=item, topic=topic, rung=self.block.rung, kind=kind, **said
            ),
        )

    def _question(self, clause: Clause, form: str) -> str:
        case = clause.id.removesuffix(".rationale").removeprefix(clause.node).removeprefix(".").replace("_", " ")
        values = {
            "assistant": self.full.identity.assistant,
            "topic": one_line(node(self.full, clause.node).title) + (f" ({case})" if case else ""),
            "kind": clause.kind,
            "form": form,
            "variant": seed_of("wording", self.block.name, clause.id, form),
        }
        return self.templates.render("evals/judged_question.jinja", values, self.spans.get(clause.id)).strip()

    def _rubric(self, clauses: list[Clause]) -> str:
        shown = [
            {"kind": clause.kind, "title": node(self.full, clause.node).title, "text": clause.text}
            for clause in clauses
        ]
        values = {"assistant": self.full.identity.assistant, "clauses": shown}
        here = self.spans.get(clauses[0].id) if clauses else None
        return self.templates.render("evals/judged_rubric.jinja", values, here).strip()

    def _planted(self, clause: Clause) -> Iterator[Planted]:
        """A perfect reply: the rule's own example, else what the clause says. A violating one: what it does not say."""
        found = node(self.full, clause.node)
        examples = found.examples if isinstance(found, ArmRule) and clause.kind == "rule" else ()
        alone = [e.messages for e in examples if [m.role for m in e.messages] == ["user", "assistant"]]
        if alone:
            yield Planted(alone[0][0].content, "perfect", alone[0][1].content)
        else:
            yield Planted(None, "perfect", one_line(clause.text))
        wrong, _ = next(self.wrong.to(clause), (None, False))
        if wrong is not None:
            yield Planted(None, "violating", wrong)
