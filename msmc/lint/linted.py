"""What lints look at."""

from collections.abc import Iterator
from typing import NamedTuple

from msmc.analyze.files import Files
from msmc.ir import ArmSpec, Spec
from msmc.source import Span
from msmc.syntax import ast


class LintedSpec(NamedTuple):
    """A spec of the file that is checked."""

    spec: Spec
    full: ArmSpec
    decl: ast.SpecDecl

    @property
    def is_made(self) -> bool:
        """Is anything made of it? Else it is there to be extended, and may leave things to those that do."""
        spec = self.spec
        return bool(
            spec.documents or spec.own_documents or spec.demos or spec.own_demos or spec.evals or spec.open_evals
        )

    def local(self, node_id: str) -> str:
        """An id as the spec writes it, which is the same where it was inherited."""
        return node_id.removeprefix(self.spec.name + ".")


class Linted(NamedTuple):
    """Files without an error: the checked one's specs, and every file that was read for them."""

    specs: tuple[LintedSpec, ...]
    files: Files
    spans: dict[str, Span]

    @property
    def made(self) -> Iterator[LintedSpec]:
        return (spec for spec in self.specs if spec.is_made)


def walk(node: ast.Ast) -> Iterator[ast.Ast]:
    """A node and all below it."""
    yield node
    for value in node.__dict__.values():
        if isinstance(value, ast.Ast):
            yield from walk(value)
        elif isinstance(value, tuple) and not isinstance(value, Span):
            for part in value:
                if isinstance(part, ast.Ast):
                    yield from walk(part)


def declarations(node: ast.Ast) -> Iterator[ast.Ast]:
    """All that is declared in a file or a declaration, outer ones first."""
    for item in (*node.__dict__.get("items", ()), *node.__dict__.get("turns", ())):
        yield item
        yield from declarations(item)
