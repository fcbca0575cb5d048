"""The file to compile and all that it imports."""

import posixpath
from dataclasses import dataclass, field

from msmc.analyze.problems import import_circle, import_escapes, import_missing
from msmc.diagnostics import Diagnostic, Label
from msmc.source import SourceFile, Sources
from msmc.syntax import ast
from msmc.syntax.parse import empty_file, parse


@dataclass
class Files:
    """Parsed files by project-relative path, and what each alias of a file stands for."""

    sources: dict[str, SourceFile] = field(default_factory=dict)
    trees: dict[str, ast.File] = field(default_factory=dict)
    imports: dict[tuple[str, str], str] = field(default_factory=dict)


def read_source(path: str, sources: Sources) -> SourceFile | Diagnostic:
    """One text file, or why it is none.

    file-missing: A file that is not there.

    Paths on the command line are relative to the folder you are in, those in a spec to the file that names them.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          eval drinks preference { about rules  pairs "item.jsonl" }
        }

        # items.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          eval drinks preference { about rules  pairs "items.jsonl" }
        }

        # items.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}

    not-a-file: A folder where a file is wanted.

    `check` and `fmt` take folders, with all specs in them; a spec to compile, an import and a target are single files.

    Bad:
        $ msmc compile specs

    Good:
        $ msmc compile tea.msm

    unreadable: A file that is there and cannot be read.

    Mostly its rights, or a file of somebody else's; sometimes a path that the system takes for none.

    Bad:
        $ chmod u-r tea.msm && msmc check tea.msm

    Good:
        $ chmod u+r tea.msm && msmc check tea.msm

    not-utf8: A file that is no UTF-8 text.

    A spec is UTF-8, and so are targets and rows; a byte-order mark at the beginning is dropped. Editors call it an encoding.

    Bad:
        $ iconv -f utf-8 -t latin1 tea.msm > old.msm && msmc check old.msm

    Good:
        $ iconv -f latin1 -t utf-8 old.msm > tea.msm && msmc check tea.msm
    """
    try:
        content = sources[path]
    except KeyError:
        return Diagnostic("file-missing", f"there is no file `{path}`", hint="check the path")
    except IsADirectoryError:
        return Diagnostic("not-a-file", f"`{path}` is a folder", hint=f"name a file in it, such as {path}/spec.msm")
    except (OSError, ValueError) as error:  # a path with a NUL byte is a ValueError
        hint = f"give yourself the right to read it: chmod u+r {path}" if isinstance(error, PermissionError) else ""
        return Diagnostic("unreadable", f"`{path}` cannot be read: {getattr(error, 'strerror', error)}", hint=hint)
    try:
        return SourceFile(path, content)
    except UnicodeDecodeError as error:
        message = f"`{path}` is not UTF-8 text (byte {error.start})"
        return Diagnostic("not-utf8", message, hint="save the file as UTF-8; a binary file is no spec")


def leaves(path: str, written: str) -> bool:
    """Does a path, normalised from what was written, lead out of the project?"""
    return path == ".." or path.startswith("../") or posixpath.isabs(written)


def read_files(entry: str, sources: Sources) -> tuple[Files, list[Diagnostic]]:
    """Parses `entry` and, transitively, its imports."""
    files, problems = Files(), list[Diagnostic]()
    source = read_source(entry, sources)
    if isinstance(source, Diagnostic):
        return files, [source]
    _add(source, files, sources, (entry,), problems)
    return files, problems


def _add(
    source: SourceFile, files: Files, sources: Sources, chain: tuple[str, ...], problems: list[Diagnostic]
) -> None:
    files.sources[source.path] = source
    tree, found = parse(source)
    problems += found
    if tree is None:
        return
    if not (tree.items or found):  # `fmt` takes it as it is
        problems.append(empty_file(source))
    files.trees[source.path] = tree
    for item in tree.items:
        if isinstance(item, ast.ImportDecl):
            _import(item, files, sources, chain, problems)


def _import(
    item: ast.ImportDecl, files: Files, sources: Sources, chain: tuple[str, ...], problems: list[Diagnostic]
) -> None:
    written = item.path.plain
    known = files.imports.get((chain[-1], item.alias.word))
    if known is not None:
        message = f"`{item.alias.word}` is already the name of `{known}`"
        problems.append(
            Diagnostic("duplicate-id", message, Label(item.alias.span), hint="give one of them another name")
        )
        return
    path = posixpath.normpath(posixpath.join(posixpath.dirname(chain[-1]), written))
    if leaves(path, written):
        problems.append(import_escapes(written, item.path.span))
        return
    if path in chain:
        circle = " -> ".join(f"`{p}`" for p in (*chain[chain.index(path) :], path))
        problems.append(import_circle("this import closes a circle", item.path.span, circle))
        return
    if path not in files.sources:
        source = read_source(path, sources)
        if isinstance(source, Diagnostic):
            hint = "the path is relative to the importing file"
            other = Diagnostic(source.name, source.message, Label(item.path.span), hint=hint)
            missing = source.name == "file-missing"
            ending = missing and isinstance(read_source(f"{path}.msm", sources), SourceFile)
            meant = f"{written}.msm" if ending else ""
            problems.append(import_missing(path, item.path.span, meant) if missing else other)
            return
        _add(source, files, sources, (*chain, path), problems)
    files.imports[chain[-1], item.alias.word] = path
