"""The syntax tree: one class for each rule of `grammar/msm.lark` of the same name, with names unresolved.

The fields of a class are the children of its rule in order; a last field that is a tuple takes all the rest.
"""

from typing import TypeAlias

from msmc.ir import Text
from msmc.source import Span
from msmc.syntax.record import Record


class Ast(Record):
    span: Span


class Name(Ast):
    word: str


class Path(Ast):
    words: tuple[Name, ...]

    @property
    def dotted(self) -> str:
        return ".".join(name.word for name in self.words)


class Quoted(Ast):
    """A string or a block: its text with escapes undone, and where each placeholder stands."""

    text: Text
    holes: tuple[Name, ...]

    @property
    def plain(self) -> str:
        """The text with its placeholders as they were written, for what takes no interpolation."""
        return self.text.plain


class LevelWording(Ast):
    level: Name


class StyleWording(Ast):
    style: Name


class ImportDecl(Ast):
    path: Quoted
    alias: Name


class Version(Ast):
    text: Quoted


class Assistant(Ast):
    name: Quoted
    provider: Quoted


class Param(Ast):
    name: Name
    text: Quoted


class Specificity(Ast):
    level: Name


class Style(Ast):
    name: Name


class Statement(Ast):
    wording: LevelWording | StyleWording | None
    text: Quoted


class Rationale(Ast):
    wording: LevelWording | StyleWording | None
    text: Quoted


class RationaleFor(Ast):
    value: Path
    text: Quoted


class Was(Ast):
    names: tuple[Name, ...]


class ValueDecl(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


class Serves(Ast):
    values: tuple[Path, ...]


class Priority(Ast):
    degree: Name


class Subrule(Ast):
    name: Name
    text: Quoted


class SubruleBlock(Ast):
    name: Name
    items: tuple[Ast, ...]


class Turn(Ast):
    role: Name
    text: Quoted


class Example(Ast):
    name: Name
    turns: tuple[Turn, ...]


class RuleDecl(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


class About(Ast):
    paths: tuple[Path, ...]


class Kinds(Ast):
    names: tuple[Name, ...]


class Audiences(Ast):
    choices: tuple[Name | Quoted, ...]


class Angles(Ast):
    choices: tuple[Name | Quoted, ...]


class Documents(Ast):
    items: tuple[Ast, ...]


class DocumentsFrom(Ast):
    path: Quoted


class Justify(Ast):
    reason: Name


class Thinking(Ast):
    switch: Name


class Demos(Ast):
    name: Name
    items: tuple[Ast, ...]


class DemosFrom(Ast):
    name: Name
    path: Quoted


class Pairs(Ast):
    path: Quoted


class Rung(Ast):
    distance: Name


class HeldOut(Ast):
    pass


class EvalBlock(Ast):
    name: Name
    kind: Name
    items: tuple[Ast, ...]


class EvalJudged(Ast):
    name: Name
    items: tuple[Ast, ...]


class EvalAgentic(Ast):
    name: Name
    items: tuple[Ast, ...]


class Questions(Ast):
    path: Quoted


class Scenarios(Ast):
    names: tuple[Name, ...]


class Goals(Ast):
    names: tuple[Name, ...]


class Samples(Ast):
    number: Name


class EvalTask(Ast):
    name: Name
    tool: Name
    task: Quoted


class Use(Ast):
    spec: Path


class Replace(Ast):
    old: Path
    new: Path


class Shuffle(Ast):
    pass


class Keep(Ast):
    paths: tuple[Path, ...]


class Drop(Ast):
    kinds: tuple[Name, ...]
    of: Path | None


class Arm(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


class Control(Ast):
    names: tuple[Name, ...]


class Vary(Ast):
    varied: Name


class Sweep(Ast):
    swept: Name
    figures: tuple[Name, ...]


class Order(Ast):
    sequences: tuple[Name, ...]


class Match(Ast):
    matched: Name


class Primary(Ast):
    name: Name


class Seeds(Ast):
    number: Name


class Ablation(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


class SpecDecl(Ast):
    name: Name
    title: Quoted | None
    extends: Path | None
    items: tuple[Ast, ...]


TopLevel: TypeAlias = ImportDecl | SpecDecl | ValueDecl | RuleDecl


class Allowance(Ast):
    """A comment `# msmc: allow NAME -- reason`; what is missing is empty."""

    name: Name
    reason: str


class File(Ast):
    """A whole file (the rule `start`)."""

    items: tuple[TopLevel, ...]
    allowances: tuple[Allowance, ...]
    broken: tuple[Span, ...]
    """Declarations that hold mistakes of syntax, and so less than their author wrote; the name alone of such a spec."""
    lost: bool
    """Are there declarations whose names could not be read?"""
