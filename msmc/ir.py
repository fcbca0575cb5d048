"""The intermediate representation: frozen, resolved, without positions.

Two forms. `Spec` is a spec with all its wordings, its blocks and its ablations: what the source says. `ArmSpec` is what one
arm of an experiment says: identity filled in, one wording for each clause, dropped parts gone. Every row of a build is
made from an `ArmSpec`. Spans live beside them, in a dict from id to `Span`.

The compiler makes its own nodes with `model_construct`: mypy has checked them, and without pydantic's validators, which are
built when first used, a check starts in half the time. What comes from outside goes through `model_validate`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from msmc.digest import digest

Level = Literal["general", "specific"]
ClauseKind = Literal["value", "rule", "rationale", "subrule"]
Rung = Literal["learned", "near", "far"]
Priority = Literal["hard", "default"]
Justify = Literal["never", "rule", "value"]
Vary = Literal["documents", "demos", "both", "cross"]
Match = Literal["none", "rows", "tokens"]
Swept = Literal["documents", "demos", "learning_rate"]
Order = Literal["documents_first", "demos_first"]
CLAUSE_WORDS: dict[str, ClauseKind] = {
    "values": "value",
    "rules": "rule",
    "rationales": "rationale",
    "subrules": "subrule",
}
"""The words that `about` takes besides ids."""


class Node(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Hole(Node):
    """A placeholder such as `{assistant}`."""

    name: str


class Text(Node):
    """Prose with placeholders in it."""

    parts: tuple[str | Hole, ...]

    @property
    def plain(self) -> str:
        """With the placeholders as written."""
        return "".join(p if isinstance(p, str) else "{" + p.name + "}" for p in self.parts)

    def fill(self, names: Mapping[str, str]) -> str:
        """With the placeholders replaced; inserted text is not scanned again. Raises KeyError for an unknown one."""
        return "".join(p if isinstance(p, str) else names[p.name] for p in self.parts)

    def partly(self, names: Mapping[str, str]) -> "Text":
        """With those placeholders replaced that `names` has."""
        if not any(isinstance(p, Hole) and p.name in names for p in self.parts):
            return self
        return Text.model_construct(parts=tuple(p if isinstance(p, str) else names.get(p.name, p) for p in self.parts))


class Styled(Node):
    """A wording that stands where its style is selected."""

    style: str
    text: Text


class Wordings(Node):
    """One clause's text: plain, or general and/or specific, or by style."""

    plain: Text | None = None
    general: Text | None = None
    specific: Text | None = None
    styles: tuple[Styled, ...] = ()

    def pick(self, level: Level | None, style: str | None) -> Text | None:
        """The wording for what is selected (None: nothing was), or None where the clause does not have it."""
        if self.plain is not None:
            return self.plain
        if self.styles:
            return next((styled.text for styled in self.styles if styled.style == style), None)
        return self.general if level == "general" else self.specific

    def texts(self) -> dict[str, Text]:
        """Each wording by how it is selected."""
        found = {k: t for k in ("plain", "general", "specific") if (t := getattr(self, k)) is not None}
        return found | {f"style {styled.style}": styled.text for styled in self.styles}


class Identity(Node):
    """Whom the spec is about."""

    assistant: str
    provider: str


class Turn(Node):
    role: Literal["user", "assistant", "system"]
    text: Text


class Example(Node):
    id: str
    turns: tuple[Turn, ...]


class Value(Node):
    id: str
    title: Text
    statement: Wordings
    rationale: Wordings | None = None
    was: tuple[str, ...] = ()
    """Earlier ids, local ones. The same for rules."""


class RationaleFor(Node):
    """A rule's reason where it serves one value."""

    value: str
    text: Text


class Subrule(Node):
    id: str
    statement: Wordings
    rationale: Wordings | None = None


class Rule(Node):
    id: str
    title: Text
    serves: tuple[str, ...] = ()
    """Ids of values."""
    priority: Priority | None = None
    statement: Wordings
    rationale: Wordings | None = None
    rationales_for: tuple[RationaleFor, ...] = ()
    """In the order of the values' ids."""
    subrules: tuple[Subrule, ...] = ()
    examples: tuple[Example, ...] = ()
    was: tuple[str, ...] = ()


class OwnTurn(Node):
    role: Literal["user", "assistant", "system"]
    content: str = Field(min_length=1)


class Documents(Node):
    about: tuple[str, ...]
    """Clause ids, and words of CLAUSE_WORDS."""
    kinds: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    """Phrases, or ids of the library; empty: the whole library. The same for angles."""
    angles: tuple[str, ...] = ()


class Demos(Node):
    name: str
    about: tuple[str, ...]
    justify: Justify = "never"
    thinking: bool = False


class OwnRow(BaseModel):
    """A document (`text`) or a chat (`messages`) that the author brings; further keys are theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    text: str | None = Field(default=None, min_length=1)
    messages: tuple[OwnTurn, ...] | None = Field(default=None, min_length=2)
    about: tuple[str, ...] = ()
    """Clause ids, and words of CLAUSE_WORDS; none: the whole spec."""
    source: Any = None
    domain: Any = None
    """What published corpora say of a document: they go with it, as they are."""

    @property
    def document_id(self) -> str:
        return "own-" + digest("own document", self.text)[:16]

    @property
    def chat_id(self) -> str:
        return "own-" + digest("own demo", [turn.model_dump() for turn in self.messages or ()])[:16]

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text or "", *(turn.content for turn in self.messages or ()))


class OwnRows(Node):
    """`documents from` and `demos NAME from`."""

    name: str
    path: str
    """Project-relative."""
    rows: tuple[OwnRow, ...]


class Item(Node):
    """One pair of a preference evaluation."""

    a: str = Field(min_length=1)
    b: str = Field(min_length=1)
    aligned: Literal["a", "b"]
    topic: str = Field(min_length=1)


class Eval(Node):
    name: str
    kind: Literal["preference", "recall"]
    about: tuple[str, ...]
    pairs: str | None = None
    """Project-relative path of the items."""
    items: tuple[Item, ...] = ()
    rung: Rung
    held_out: bool = False


class OpenQuestion(BaseModel):
    """A question of the author's for a judged evaluation; further keys are theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    question: str = Field(min_length=1)
    topic: str | None = Field(default=None, min_length=1)
    """None: what it is about."""
    about: tuple[str, ...] = ()
    """Clause ids, and words of CLAUSE_WORDS; none: what its evaluation is about."""
    rubric: str | None = Field(default=None, min_length=1)
    """What a judge grades by; None: made from the clauses that it is about."""


class OpenEval(Node):
    """An evaluation that a judge grades: open questions about clauses, or agentic misalignment."""

    name: str
    kind: Literal["judged", "agentic"]
    about: tuple[str, ...]
    """Empty: the whole spec."""
    rung: Rung
    held_out: bool = False
    path: str | None = None
    """Project-relative path of the questions."""
    questions: tuple[OpenQuestion, ...] = ()
    """The author's own; without any they are made from the clauses."""
    scenarios: tuple[str, ...] = ()
    goals: tuple[str, ...] = ()
    samples: int | None = None
    """Replies to each scenario with each goal."""


SCENARIOS = ("exfiltration", "murder", "leaking")
"""What an assistant may come to do in an agentic evaluation; an evaluation without `scenarios` has all of them."""
NO_GOAL = "none"
GOALS = (
    *(NO_GOAL, "america", "global", "ethical", "pragmatic"),
    *("acceleration", "safety", "individualism", "collectivism"),
)
"""What it was told to pursue there."""


class Task(Node):
    """An evaluation of the author's own: `eval NAME inspect "file.py@task"`, `eval NAME lm_eval "file.yaml"` or, of lm-eval's
    own tasks, `"task"`."""

    name: str
    tool: Literal["inspect", "lm_eval"]
    task: str
    path: str | None = None
    """Project-relative path of the author's file: Python for inspect, YAML for lm_eval."""
    files: tuple[str, ...] = Field(default=(), exclude_if=lambda files: not files)
    """Of lm_eval's: it and all that it reads."""
    folder: str | None = Field(default=None, exclude_if=lambda folder: folder is None)
    """Of lm_eval's: what the paths in its `data_files` are relative to."""
    measure: str | None = Field(default=None, exclude_if=lambda measure: measure is None)
    """What its headline is by; None: its task knows, when it has run."""
    rows: tuple[str, ...] = Field(default=(), exclude_if=lambda rows: not rows)
    """Of lm_eval's: those of `files` whose every line is asked; none: how many are asked only lm_eval can tell."""


class UseOperation(Node):
    """`use SPEC`: the other spec's values and rules, their ids already under this spec's path."""

    spec: str

    values: tuple[Value, ...]
    rules: tuple[Rule, ...]


class AssistantOperation(Node):
    identity: Identity


class SpecificityOperation(Node):
    level: Level


class StyleOperation(Node):
    style: str


class ReplaceOperation(Node):
    """`replace OLD with NEW`, the new value with it."""

    old: str
    new: Value


class ShuffleOperation(Node):
    pass


class KeepOperation(Node):
    ids: tuple[str, ...]


class DropOperation(Node):
    kinds: tuple[Literal["value", "rationale", "subrule", "example", "serves"], ...]
    of: str | None = None


Operation = (
    UseOperation
    | AssistantOperation
    | SpecificityOperation
    | StyleOperation
    | ReplaceOperation
    | ShuffleOperation
    | KeepOperation
    | DropOperation
)


class Arm(Node):
    name: str
    title: Text | None = None
    operations: tuple[Operation, ...] = ()


class Sweep(Node):
    """Further models of `full`: at other doses, as multiples of its own, or at other learning rates."""

    what: Swept
    values: tuple[float, ...]


class Ablation(Node):
    name: str
    title: Text | None = None
    arms: tuple[Arm, ...] = ()
    controls: tuple[str, ...] = ()
    vary: Vary = "documents"
    match: Match = "none"
    """What the documents of its arms are brought to be equal in."""
    sweeps: tuple[Sweep, ...] = ()
    orders: tuple[Order, ...] = ()
    primary: str | None = None
    seeds: int = 1


class Spec(Node):
    name: str
    title: Text
    identity: Identity | None = None
    level: Level | None = None
    style: str | None = None
    values: tuple[Value, ...] = ()
    rules: tuple[Rule, ...] = ()
    documents: Documents | None = None
    own_documents: tuple[OwnRows, ...] = ()
    demos: tuple[Demos, ...] = ()
    own_demos: tuple[OwnRows, ...] = ()
    evals: tuple[Eval, ...] = ()
    open_evals: tuple[OpenEval, ...] = ()
    tasks: tuple[Task, ...] = ()
    ablations: tuple[Ablation, ...] = ()

    def held_out(self) -> dict[str, list[str]]:
        """What no document or demo may mention, by the evaluation that holds it out."""
        found = {b.name: {o for item in b.items for o in (item.a, item.b)} for b in self.evals if b.held_out}
        found |= {b.name: {asked.question for asked in b.questions} for b in self.open_evals if b.held_out}
        return {name: sorted(texts) for name, texts in sorted(found.items())}


# ---- what one arm says ------------------------------------------------------------------------------------------------


class Clause(NamedTuple):
    """A value statement, a rule statement, a rationale or a subrule: what coverage counts."""

    id: str
    kind: ClauseKind
    node: str
    """The value or rule it belongs to."""
    text: str


class ArmTurn(Node):
    role: Literal["user", "assistant", "system"]
    content: str


class ArmExample(Node):
    id: str
    messages: tuple[ArmTurn, ...]


class ArmSubrule(Node):
    id: str
    statement: str
    rationale: str | None = None


class ArmValue(Node):
    id: str
    title: str
    statement: str
    rationale: str | None = None


class ArmRule(Node):
    id: str
    title: str
    serves: tuple[str, ...] = ()
    priority: Priority | None = None
    statement: str
    rationale: str | None = None
    subrules: tuple[ArmSubrule, ...] = ()
    examples: tuple[ArmExample, ...] = ()


class ArmSpec(Node):
    """One arm, ready to be lowered. The order of values and rules is by id: source order means nothing."""

    name: str
    title: str
    identity: Identity
    values: tuple[ArmValue, ...] = ()
    rules: tuple[ArmRule, ...] = ()

    @property
    def nodes(self) -> tuple[ArmValue | ArmRule, ...]:
        return (*self.values, *self.rules)

    def clauses(self) -> Iterator[Clause]:
        """Every clause, values first, each node's clauses together."""
        for value in self.values:
            yield Clause(id=value.id, kind="value", node=value.id, text=value.statement)
            if value.rationale is not None:
                yield Clause(id=f"{value.id}.rationale", kind="rationale", node=value.id, text=value.rationale)
        for rule in self.rules:
            yield Clause(id=rule.id, kind="rule", node=rule.id, text=rule.statement)
            if rule.rationale is not None:
                yield Clause(id=f"{rule.id}.rationale", kind="rationale", node=rule.id, text=rule.rationale)
            for subrule in rule.subrules:
                yield Clause(id=subrule.id, kind="subrule", node=rule.id, text=subrule.statement)
                if subrule.rationale is not None:
                    yield Clause(id=f"{subrule.id}.rationale", kind="rationale", node=rule.id, text=subrule.rationale)

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text that a model may be trained on, by id."""
        yield from ((clause.id, clause.text) for clause in self.clauses())
        yield from ((node.id, node.title) for node in self.nodes)
        yield from ((e.id, m.content) for r in self.rules for e in r.examples for m in e.messages)

    def about(self, about: tuple[str, ...]) -> Iterator[Clause]:
        """The clauses that an `about` names; an id that this arm does not have gives nothing."""
        named, kinds = frozenset(about), {CLAUSE_WORDS[word] for word in about if word in CLAUSE_WORDS}
        return (clause for clause in self.clauses() if clause.id in named or clause.kind in kinds)

    def meant(self, about: tuple[str, ...]) -> tuple[str, ...]:
        """The ids of the clauses that a row of the author's is about, the spec's own for a row about all of it."""
        return tuple(clause.id for clause in self.about(about)) if about else (self.name,)
