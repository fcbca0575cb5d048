"""A template in parts, each rendered by itself and for what it needs alone: joined, they are what the whole renders."""

from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import meta, nodes

PURE = frozenset(
    {
        *(nodes.Output, nodes.TemplateData, nodes.If, nodes.CondExpr, nodes.Name, nodes.Const, nodes.Getattr),
        *(nodes.Getitem, nodes.Slice, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat),
        *(nodes.Add, nodes.Sub, nodes.Mul, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword),
        *(nodes.Filter, nodes.Test),
    }
)
"""What sets no variable that a later part might read, and says the same of the same values."""


class Part(NamedTuple):
    needs: frozenset[str]
    tree: nodes.Template

    @property
    def shows(self) -> str | None:
        """The variable that the part shows as it is, and nothing beside it."""
        (output,) = self.tree.body if len(self.tree.body) == 1 else (None,)
        alone = output.nodes[0] if isinstance(output, nodes.Output) and len(output.nodes) == 1 else None
        return alone.name if isinstance(alone, nodes.Name) else None


def parts(tree: nodes.Template, apart: frozenset[str]) -> list[Part]:
    """The parts of a template, where neighbours that need the same are one; the whole as one part, where it cannot be parted.

    Variables of `apart` are left alone where they are shown as they are.
    """
    if not all(_pure(node) for node in tree.find_all(nodes.Node)):
        return [_part(tree, tree.body)]
    found: list[Part] = []
    for node in _pieces(tree):
        new = _part(tree, [node])
        if found and new.shows not in apart and found[-1].shows not in apart:
            together = found[-1].needs | new.needs
            if len(together) <= 1 or found[-1].needs == new.needs:
                new = _part(tree, [*found.pop().tree.body, node])
        found.append(new)
    return found or [_part(tree, [])]


def _pure(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Name) and node.ctx != "load":
        return False
    return type(node) in PURE and not (isinstance(node, nodes.Filter) and node.name == "random")


def _pieces(tree: nodes.Template) -> Iterator[nodes.Node]:
    for node in tree.body:
        if isinstance(node, nodes.Output):
            yield from (nodes.Output([shown], lineno=shown.lineno) for shown in node.nodes)
        else:
            yield node


def _part(tree: nodes.Template, body: list[nodes.Node]) -> Part:
    part = nodes.Template(body, lineno=tree.lineno)
    assert tree.environment is not None
    part.set_environment(tree.environment)
    return Part(frozenset(meta.find_undeclared_variables(part)), part)
