"""The syntax tree: one dataclass for each rule of `grammar/msm.lark` of the same name, with names unresolved.

The fields of a class are the children of its rule in order; a last field that is a tuple takes all the rest.
"""

from dataclasses import dataclass
from typing import TypeAlias

from msmc.ir import Text
from msmc.source import Span


@dataclass(frozen=True, slots=True)
class Ast:
    span: Span


@dataclass(frozen=True, slots=True)
class Name(Ast):
    word: str


@dataclass(frozen=True, slots=True)
class Path(Ast):
    words: tuple[Name, ...]

    @property
    def dotted(self) -> str:
        return ".".join(name.word for name in self.words)


@dataclass(frozen=True, slots=True)
class Quoted(Ast):
    """A string or a block: its text with escapes undone, and where each placeholder stands."""

    text: Text
    holes: tuple[Name, ...]

    @property
    def plain(self) -> str:
        """The text with its placeholders as they were written, for what takes no interpolation."""
        return self.text.plain


@dataclass(frozen=True, slots=True)
class LevelWording(Ast):
    level: Name


@dataclass(frozen=True, slots=True)
class StyleWording(Ast):
    style: Name


@dataclass(frozen=True, slots=True)
class ImportDecl(Ast):
    path: Quoted
    alias: Name


@dataclass(frozen=True, slots=True)
class Version(Ast):
    text: Quoted


@dataclass(frozen=True, slots=True)
class Assistant(Ast):
    name: Quoted
    provider: Quoted


@dataclass(frozen=True, slots=True)
class Param(Ast):
    name: Name
    text: Quoted


@dataclass(frozen=True, slots=True)
class Specificity(Ast):
    level: Name


@dataclass(frozen=True, slots=True)
class Style(Ast):
    name: Name


@dataclass(frozen=True, slots=True)
class Statement(Ast):
    wording: LevelWording | StyleWording | None
    text: Quoted


@dataclass(frozen=True, slots=True)
class Rationale(Ast):
    wording: LevelWording | StyleWording | None
    text: Quoted


@dataclass(frozen=True, slots=True)
class RationaleFor(Ast):
    value: Path
    text: Quoted


@dataclass(frozen=True, slots=True)
class Was(Ast):
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class ValueDecl(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Serves(Ast):
    values: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Priority(Ast):
    degree: Name


@dataclass(frozen=True, slots=True)
class Subrule(Ast):
    name: Name
    text: Quoted


@dataclass(frozen=True, slots=True)
class SubruleBlock(Ast):
    name: Name
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Turn(Ast):
    role: Name
    text: Quoted


@dataclass(frozen=True, slots=True)
class Example(Ast):
    name: Name
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class RuleDecl(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class About(Ast):
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Kinds(Ast):
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Audiences(Ast):
    choices: tuple[Name | Quoted, ...]


@dataclass(frozen=True, slots=True)
class Angles(Ast):
    choices: tuple[Name | Quoted, ...]


@dataclass(frozen=True, slots=True)
class Documents(Ast):
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class DocumentsFrom(Ast):
    path: Quoted


@dataclass(frozen=True, slots=True)
class Justify(Ast):
    reason: Name


@dataclass(frozen=True, slots=True)
class Thinking(Ast):
    switch: Name


@dataclass(frozen=True, slots=True)
class Demos(Ast):
    name: Name
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class DemosFrom(Ast):
    name: Name
    path: Quoted


@dataclass(frozen=True, slots=True)
class Pairs(Ast):
    path: Quoted


@dataclass(frozen=True, slots=True)
class Rung(Ast):
    distance: Name


@dataclass(frozen=True, slots=True)
class HeldOut(Ast):
    pass


@dataclass(frozen=True, slots=True)
class EvalBlock(Ast):
    name: Name
    kind: Name
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class EvalTask(Ast):
    name: Name
    tool: Name
    task: Quoted


@dataclass(frozen=True, slots=True)
class Use(Ast):
    spec: Path


@dataclass(frozen=True, slots=True)
class Replace(Ast):
    old: Path
    new: Path


@dataclass(frozen=True, slots=True)
class Shuffle(Ast):
    pass


@dataclass(frozen=True, slots=True)
class Keep(Ast):
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Drop(Ast):
    kinds: tuple[Name, ...]
    of: Path | None


@dataclass(frozen=True, slots=True)
class Arm(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Control(Ast):
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Vary(Ast):
    varied: Name


@dataclass(frozen=True, slots=True)
class Match(Ast):
    matched: Name


@dataclass(frozen=True, slots=True)
class Primary(Ast):
    name: Name


@dataclass(frozen=True, slots=True)
class Seeds(Ast):
    number: Name


@dataclass(frozen=True, slots=True)
class Ablation(Ast):
    name: Name
    title: Quoted | None
    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class SpecDecl(Ast):
    name: Name
    title: Quoted | None
    extends: Path | None
    items: tuple[Ast, ...]


TopLevel: TypeAlias = ImportDecl | SpecDecl | ValueDecl | RuleDecl


@dataclass(frozen=True, slots=True)
class File(Ast):
    """A whole file (the rule `start`)."""

    items: tuple[TopLevel, ...]
    allowances: tuple[Name, ...]
    """The comments `# msmc: allow NAME -- reason`."""
