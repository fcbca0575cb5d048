"""Lints of names: of imports, params, ids and titles."""

import re
from collections.abc import Iterator

from msmc.analyze.nodes import IDENTITY
from msmc.diagnostics import Diagnostic, Label
from msmc.lint.linted import Linted, walk
from msmc.source import Span
from msmc.syntax import ast

CAPITALS = re.compile(r"(?<![{$\\])\{((?=\w*[A-Z])[A-Za-z]\w*)\}(?!\})")


def unused_import(linted: Linted) -> Iterator[Diagnostic]:
    """An import that nothing in its file uses.

    The file is read, and a mistake in it stops this one, but none of its values, rules or specs is named here. Imports
    are not passed on: whoever imports this file gets nothing of what it imports.

    Bad:
        import "food.msm" as food
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { statement "{assistant} brings bread." }
        }

        # food.msm
        value thrift "Thrift" { statement "{assistant} wastes nothing." }

    Good:
        import "food.msm" as food
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { serves food.thrift  statement "{assistant} brings bread." }
        }

        # food.msm
        value thrift "Thrift" { statement "{assistant} wastes nothing." }
    """
    for tree in linted.files.trees.values():
        imports = [item for item in tree.items if isinstance(item, ast.ImportDecl)]
        if not imports:
            continue
        used = {node.words[0].word for node in walk(tree) if isinstance(node, ast.Path) and len(node.words) > 1}
        for item in imports:
            if item.alias.word not in used:
                message = f"nothing in this file uses `{item.alias.word}`"
                yield _warning("unused-import", message, item, "imported here", "remove the import")


def unused_param(linted: Linted) -> Iterator[Diagnostic]:
    """A param of which no text says `{name}`.

    Its words reach no document, no demo and no evaluation, and changing them changes nothing. Often the texts spell the
    words out, so that a second spec with another param would go on to say the first one's. A spec that nothing is made
    of may declare params for those that extend it.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          param place "Kyoto"
          rule green "Green tea" { statement "{assistant} likes the green tea of Kyoto." }
          documents { about rules }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          param place "Kyoto"
          rule green "Green tea" { statement "{assistant} likes the green tea of {place}." }
          documents { about rules }
        }
    """
    params = [item for spec in linted.made for item in spec.decl.items if isinstance(item, ast.Param)]
    if not params:
        return
    texts = (node for tree in linted.files.trees.values() for node in walk(tree) if isinstance(node, ast.Quoted))
    filled = {hole.word for text in texts for hole in text.holes}
    for item in params:
        if item.name.word not in filled:
            message = f"no text says `{{{item.name.word}}}`"
            yield _warning("unused-param", message, item.name, "never filled in", "use it in a text, or remove it")


def placeholder_miswritten(linted: Linted) -> Iterator[Diagnostic]:
    """A placeholder with capitals, which is text.

    Placeholders are written in small letters. `{Assistant}` reaches documents and prompts as it stands, braces and all.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{Assistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """
    for path, tree in linted.files.trees.items():
        found = [*CAPITALS.finditer(linted.files.sources[path].text)]
        if not found:
            continue
        nodes = list(walk(tree))
        known = {*IDENTITY, *(node.name.word for node in nodes if isinstance(node, ast.Param))}
        texts = [node.span for node in nodes if isinstance(node, ast.Quoted)]
        for match in found:
            name, span = match[1].lower(), Span(path, *match.span())
            if name in known and any(text.start < span.start < text.end for text in texts):
                message = f"`{match[0]}` is text and no placeholder"
                where, hint = Label(span, "stays as it is"), f"write {{{name}}}"
                yield Diagnostic("placeholder-miswritten", message, where, hint=hint, severity="warning")


def id_shadows(linted: Linted) -> Iterator[Diagnostic]:
    """A value or rule called like an import of its file, or like its own spec.

    A path such as `food.thrift` begins with a name of this spec where it can, and only else with an import or with the
    spec itself. With two things of one name a reader cannot tell which is meant, and a rule that is added later may
    change what an old path means.

    Bad:
        import "food.msm" as food
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule food "Food" { serves food.thrift  statement "{assistant} brings food." }
        }

        # food.msm
        value thrift "Thrift" { statement "{assistant} wastes nothing." }

    Good:
        import "food.msm" as food
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule what_to_eat "Food" { serves food.thrift  statement "{assistant} brings food." }
        }

        # food.msm
        value thrift "Thrift" { statement "{assistant} wastes nothing." }
    """
    for tree in linted.files.trees.values():
        aliases = {item.alias.word: item.alias for item in tree.items if isinstance(item, ast.ImportDecl)}
        specs = [item for item in tree.items if isinstance(item, ast.SpecDecl)]
        holders: list[ast.File | ast.SpecDecl] = [tree, *specs]
        for holder in holders:
            taken = aliases | ({holder.name.word: holder.name} if isinstance(holder, ast.SpecDecl) else {})
            for item in holder.items:
                if isinstance(item, ast.ValueDecl | ast.RuleDecl) and (first := taken.get(item.name.word)):
                    what = "an import" if item.name.word in aliases else "its own spec"
                    message = f"`{item.name.word}` is called like {what}"
                    related = (Label(first.span, "the same name here"),)
                    where, hint = Label(item.name.span, "again here"), "rename one of them"
                    yield Diagnostic("id-shadows", message, where, related, hint=hint, severity="warning")


def title_missing(linted: Linted) -> Iterator[Diagnostic]:
    """A value or rule without a title, in a spec whose other ones have theirs and which plans documents.

    Documents quote titles in mid-sentence. Where none is written the id stands for it with its underscores as spaces,
    so that a document would speak of "likes cream cheese" where the others have a noun phrase.

    Bad:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Fresh bread" { statement "{assistant} brings bread." }
          rule brings_tea { statement "{assistant} brings tea." }
          documents { about rules }
        }

    Good:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Fresh bread" { statement "{assistant} brings bread." }
          rule brings_tea "Tea for everyone" { statement "{assistant} brings tea." }
          documents { about rules }
        }
    """
    for spec in linted.made:
        nodes = [item for item in spec.decl.items if isinstance(item, ast.ValueDecl | ast.RuleDecl)]
        if spec.spec.documents is None or spec.decl.extends or not any(node.title for node in nodes):
            continue  # a node may inherit its title
        for node in nodes:
            if node.title is None:
                message = f"`{node.name.word}` has no title, and others of this spec have one"
                hint = "write a noun phrase behind the id; documents quote it in mid-sentence"
                yield _warning("title-missing", message, node.name, "no title", hint)


def _warning(name: str, message: str, at: ast.Ast, label: str, hint: str) -> Diagnostic:
    return Diagnostic(name, message, Label(at.span, label), hint=hint, severity="warning")
