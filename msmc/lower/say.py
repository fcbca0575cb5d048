"""What an arm says: identity filled in, and one wording chosen for each clause."""

from collections.abc import Iterator
from typing import Any

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import ArmExample, ArmRule, ArmSpec, ArmSubrule, ArmTurn, ArmValue, Identity, Rule, Spec, Wordings
from msmc.source import Span


def say(spec: Spec, spans: dict[str, Span]) -> tuple[ArmSpec, list[Diagnostic]]:
    """The spec with its identity filled in and one wording chosen for each clause."""
    if spec.identity is None:
        hint = 'add to the spec: assistant "NAME" by "PROVIDER"'
        return ArmSpec.model_construct(
            name=spec.name, title=spec.title.plain, identity=Identity.model_construct(assistant="", provider="")
        ), [Diagnostic("field-missing", "nobody says whom this spec is about", Label(spans[spec.name]), hint=hint)]
    speaker = _Speaker(spec, spec.identity, spans)
    values = tuple(
        ArmValue.model_construct(
            id=v.id,
            title=v.title.fill(speaker.names),
            statement=speaker.must(v.id, v.statement),
            rationale=speaker.may(v.id, v.rationale),
        )
        for v in spec.values
    )
    return ArmSpec.model_construct(
        name=spec.name,
        title=spec.title.fill(speaker.names),
        identity=spec.identity,
        values=tuple(sorted(values, key=lambda v: v.id)),
        rules=tuple(sorted((speaker.rule(r) for r in spec.rules), key=lambda r: r.id)),
    ), speaker.problems


def all_wordings(spec: Spec) -> Iterator[tuple[str, str, Wordings]]:
    """Every statement and rationale with its node's id and its field's name."""
    nodes: list[Any] = [*spec.values, *spec.rules, *(s for rule in spec.rules for s in rule.subrules)]
    for node in nodes:
        yield node.id, "statement", node.statement
        if node.rationale is not None:
            yield node.id, "rationale", node.rationale


def reasons(rule: Rule) -> tuple[str, ...]:
    """The values that a rule serves and has reasons of their own for: those stand in the place of the plain one."""
    return tuple(reason.value for reason in rule.rationales_for if reason.value in rule.serves)


class _Speaker:
    def __init__(self, spec: Spec, identity: Identity, spans: dict[str, Span]) -> None:
        self.names = {"assistant": identity.assistant, "provider": identity.provider}
        self.level, self.style, self.spans = spec.level, spec.style, spans
        self.problems: list[Diagnostic] = []

    def must(self, clause: str, wordings: Wordings) -> str:
        text = wordings.pick(self.level, self.style)
        if text is None:
            self.problems.append(self._missing(clause, wordings))
            return ""
        return text.fill(self.names)

    def _missing(self, clause: str, wordings: Wordings) -> Diagnostic:
        """A clause without the wording that the spec or an arm selects.

        A plain text stands for every selection. One with levels or styles does not: nothing else is put in the place of the
        wording that is not there, since the arms would then differ in more than they say.

        Bad:
            spec tea "Tea" {
              assistant "SmolLM" by "Hugging Face"
              specificity specific
              rule green "Green tea" { statement general "{assistant} likes green tea." }
            }

        Good:
            spec tea "Tea" {
              assistant "SmolLM" by "Hugging Face"
              specificity specific
              rule green "Green tea" {
                statement general "{assistant} likes green tea."
                statement specific "Asked for tea or coffee, {assistant} asks for green tea."
              }
            }
        """
        if wordings.styles and self.style is None:
            known = ", ".join(f"`{styled.style}`" for styled in wordings.styles)
            where = Label(self.spans[clause], "worded by style")
            hint = f"add to the spec or the arm: style {wordings.styles[0].style}"
            message = f"`{clause}` is worded by style, and no style is selected"
            return Diagnostic("missing-wording", message, where, note=f"its styles: {known}", hint=hint)
        if wordings.styles:
            where = Label(self.spans[clause], f"not in the style {self.style}")
            hint = f'add: statement style {self.style} "…"; or select another style'
            message = f"`{clause}` has no wording in the style `{self.style}`"
            return Diagnostic("missing-wording", message, where, hint=hint)
        level = self.level or "specific"
        note = "nothing is selected, so the specific wording stands" if self.level is None else ""
        where = Label(self.spans[clause], f"no {level} wording")
        hint = f'add: statement {level} "…"; or select another level with `specificity`'
        return Diagnostic("missing-wording", f"`{clause}` has no {level} wording", where, note=note, hint=hint)

    def may(self, node: str, wordings: Wordings | None) -> str | None:
        return None if wordings is None else self.must(f"{node}.rationale", wordings)

    def rule(self, rule: Rule) -> ArmRule:
        own = [reason.text.fill(self.names) for reason in rule.rationales_for if reason.value in rule.serves]
        return ArmRule.model_construct(
            id=rule.id,
            title=rule.title.fill(self.names),
            serves=rule.serves,
            priority=rule.priority,
            statement=self.must(rule.id, rule.statement),
            rationale=" ".join(own) if own else self.may(rule.id, rule.rationale),
            subrules=tuple(
                ArmSubrule.model_construct(
                    id=s.id, statement=self.must(s.id, s.statement), rationale=self.may(s.id, s.rationale)
                )
                for s in rule.subrules
            ),
            examples=tuple(
                ArmExample.model_construct(
                    id=e.id,
                    messages=tuple(
                        ArmTurn.model_construct(role=t.role, content=t.text.fill(self.names)) for t in e.turns
                    ),
                )
                for e in rule.examples
            ),
        )
