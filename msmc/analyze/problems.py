"""What is wrong with names and fields: a function for each diagnostic words it, and explains it for `msmc explain`."""

from collections.abc import Iterable, Sequence

from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.source import Span
from msmc.syntax import ast


def unknown_name(path: ast.Path, what: str, known: Iterable[str], label: str = "not defined") -> Diagnostic:
    """A name that nothing has: of a rule, a clause, a spec, an evaluation, a control, an entry of the library.

    Names are those of this spec, of the one it extends, and `alias.name` for what an import of this very file offers.
    What an imported file imports itself is not passed on.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about green, balck }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about green }
        }
    """
    message = f"there is no {what} `{path.dotted}`"
    return Diagnostic("unknown-name", message, Label(path.span, label), hint=did_you_mean(path.dotted, known))


def unknown_value(path: ast.Path, known: Iterable[str]) -> Diagnostic:
    """A value that is not defined, where only a value can stand.

    Rules serve values: of their spec, of the one it extends, or of an import as `alias.value`. Which documents are told of
    a value hangs on it, so that a misspelt one is never skipped.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          value honesty "Honesty" { statement "{assistant} is honest." }
          rule green "Green tea" { serves honsety  statement "{assistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          value honesty "Honesty" { statement "{assistant} is honest." }
          rule green "Green tea" { serves honesty  statement "{assistant} likes green tea." }
        }
    """
    message = f"there is no value `{path.dotted}`"
    hint = did_you_mean(path.dotted, known)
    return Diagnostic("unknown-value", message, Label(path.span, "not defined"), hint=hint)


def duplicate_id(message: str, again: Span, first: Span, hint: str, label: str = "first here") -> Diagnostic:
    """Two things with one id.

    An id is the path of a node, and rows, scores and the source map go by it. Two values or rules of a spec, two parts of
    a rule, two imports of a file, and two specs of a compilation each need names of their own.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          rule green "More of it" { statement "{assistant} likes it twice." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          rule refill "More of it" { statement "{assistant} likes it twice." }
        }
    """
    return Diagnostic("duplicate-id", message, Label(again, "again here"), (Label(first, label),), hint=hint)


def reserved_id(message: str, span: Span, hint: str = "", note: str = "", label: str = "reserved") -> Diagnostic:
    """A name that means something else already.

    `values`, `rules`, `rationales` and `subrules` mean all clauses of a kind, `statement` and the like are fields, `full`
    and the names of controls are arms, and some names are files of the build tree.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule values "Values" { statement "{assistant} has some." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule what_counts "Values" { statement "{assistant} has some." }
        }
    """
    return Diagnostic("reserved-id", message, Label(span, label), note=note, hint=hint)


def unknown_placeholder(hole: ast.Name, known: Iterable[str]) -> Diagnostic:
    """A placeholder that nothing fills in.

    `{assistant}`, `{provider}` and the params of a spec are filled in. Any other `{word}` would reach the model as it is,
    in every document of its clause. For braces as text write `\\{`.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{asistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """
    message = f"`{{{hole.word}}}` stands for nothing"
    label, note = Label(hole.span, "unknown placeholder"), "for braces as text write \\{"
    return Diagnostic("unknown-placeholder", message, label, note=note, hint=did_you_mean(hole.word, known))


def field_twice(message: str, again: Span, first: Span, hint: str = "keep one of them") -> Diagnostic:
    """A field, block or wording that stands twice where one can stand.

    The order of declarations never changes meaning, so neither of them could win.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement "{assistant} likes green tea."
            statement "{assistant} loves green tea."
          }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement general "{assistant} likes green tea."
            statement specific "{assistant} asks for green tea in every café."
          }
        }
    """
    return Diagnostic("field-twice", message, Label(again, "again here"), (Label(first, "first here"),), hint=hint)


def field_missing(message: str, span: Span, label: str, hint: str) -> Diagnostic:
    """Something that has to be said is not: a statement, whom the spec is about, what a block is about, words in a text.

    Nothing is made up in its place. A spec takes its identity from `assistant "…" by "…"`, unless the target names one.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { rationale "It warms." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms." }
        }
    """
    return Diagnostic("field-missing", message, Label(span, label), hint=hint)


def idle_override(name: ast.Name, fields: Sequence[str], first: Span | None) -> Diagnostic:
    """A declaration that writes over what is inherited, and says the same.

    A reader looks for the difference, and a later change of the inherited text is lost here. A warning.

    Bad:
        import "base.msm" as base
        spec tea "Tea" extends base.base {
          rule green { statement "{assistant} likes green tea." }
        }

        # base.msm
        spec base "Base" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }

    Good:
        import "base.msm" as base
        spec tea "Tea" extends base.base {
          rule green { statement "{assistant} likes green tea, iced." }
        }

        # base.msm
        spec base "Base" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """
    told = " and ".join(f"`{field}`" for field in fields)
    message = f"`{name.word}` overrides {told} with what is inherited"
    related = (Label(first, "inherited from here"),) if first and first != name.span else ()
    where = Label(name.span, "changes nothing")
    return Diagnostic("idle-override", message, where, related, hint="leave it out", severity="warning")


def import_missing(path: str, span: Span, instead: str = "") -> Diagnostic:
    """An import of a file that is not there.

    The path is relative to the file that imports.

    Bad:
        import "fod.msm" as food
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { serves food.thrift  statement "{assistant} brings bread." }
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
    hint = f'did you mean "{instead}"?' if instead else "the path is relative to the importing file"
    return Diagnostic("import-missing", f"there is no file `{path}` to import", Label(span), hint=hint)


def import_escapes(written: str, span: Span) -> Diagnostic:
    """A path that leads out of the project, or an absolute one.

    The same sources give the same build wherever the project lies, so that all of them are in it. It is the folder with
    `.git`, or the one with `specs/`.

    Bad:
        import "../../shared/food.msm" as food
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { statement "{assistant} brings bread." }
        }

    Good:
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { statement "{assistant} brings bread." }
        }
    """
    hint = "imports are relative and stay in the project: the folder with .git, or the one with specs/"
    return Diagnostic("import-escapes", f"`{written}` lies outside the project", Label(span), hint=hint)


def import_circle(message: str, span: Span, note: str) -> Diagnostic:
    """Files that import each other, or specs that extend each other, in a circle.

    What two files share belongs into a third one that both import.

    Bad:
        import "food.msm" as food
        spec picnic "Picnics" {
          assistant "SmolLM" by "Hugging Face"
          rule bread "Bread" { serves food.thrift  statement "{assistant} brings bread." }
        }

        # food.msm
        import "main.msm" as picnic
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
    return Diagnostic("import-circle", message, Label(span), note=note)
