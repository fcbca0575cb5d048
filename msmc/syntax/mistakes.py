"""Mistakes of syntax in the user's words; habits of other languages by their names."""

import re
from collections.abc import Callable

import lark

from msmc.diagnostics import Diagnostic, Label
from msmc.source import SourceFile, Span
from msmc.syntax import ast
from msmc.syntax.cut import indent_of_brace, scan, without_comments, without_literals
from msmc.syntax.hints import Found, expectation, expected

Place = Callable[[int, int, str], Label]
"""A range of the text and words on it, to a label in the file."""


def syntax_error(
    source: SourceFile, text: str, offset: int, error: lark.UnexpectedInput, words: dict[str, str]
) -> Diagnostic:
    """The mistake in a text that stands at `offset` of its file. `words`: the keyword of each terminal that is one.

    unexpected-word: A word or sign that cannot stand here.

    The hint says what could. After a mistake msmc goes on with the next declaration, so that each one is told once.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { says "{assistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """

    def label(start: int, end: int, said: str) -> Label:
        return Label(Span(source.path, offset + start, offset + end), said)

    could = accepted(error)
    if isinstance(error, lark.UnexpectedToken):
        if error.token.type == "$END":
            return _unclosed(text, label)
        start, end = error.token.start_pos or 0, error.token.end_pos or 0
    else:
        assert isinstance(error, lark.UnexpectedCharacters)
        start = error.pos_in_stream or 0
        if text[start] == '"':
            return _unclosed_string(text, start, label)
        word = re.compile(r"[\w.-]+|.", re.DOTALL).match(text, start)
        end = word.end() if word else start + 1
    found = Found(start, end, could, {words[t] for t in could if words.get(t, "").isidentifier()})
    if habit := _habit(text, found):
        at, length, message, hint = habit
        return Diagnostic("foreign-syntax", message, label(at, at + length, "not written here"), hint=hint)
    said = _short(text[start:end])
    before = without_comments(text[:start]).rstrip()
    if not {"RBRACE", "$END"} & could and before and (said == "}" or "\n" in text[len(before) : start]):
        last = LAST.search(before)
        at = last.start() if last else len(before)
        where = label(at, len(before), "ends too early")
        message = f"something is missing behind `{_short(before[at:])}`"
        return Diagnostic("unexpected-word", message, where, hint=expected(found))
    where = label(start, min(end, start + len(said)), "not expected here")
    return Diagnostic("unexpected-word", f"`{said}` cannot stand here", where, hint=expectation(text, found))


LAST = re.compile(r'(?:"(?:[^"\\\n]|\\.)*"|[\w.]+|\S)\Z')
"""The last word, string or sign of a text."""


def _short(said: str) -> str:
    said = said.split("\n")[0]
    return said if len(said) <= 30 else said[:29] + "…"


def accepted(error: lark.UnexpectedInput) -> set[str]:
    """The terminals that could stand where the error is."""
    parser = getattr(error, "interactive_parser", None)  # the lexer's own answer has NAME everywhere
    return set(parser.accepts()) if parser else set()


def outside(item: ast.Ast) -> Diagnostic:
    """A block that belongs into a spec and stands in none."""
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(item).__name__).split()[0].lower()
    where = Label(Span(item.span.file, item.span.start, item.span.start + len(word)), "outside of a spec")
    return Diagnostic(
        "unexpected-word", f"`{word}` cannot stand here", where, hint='it belongs into a spec: spec name "Title" { … }'
    )


# ---- habits of other languages ------------------------------------------------------------------------------------------

QUOTES = "'`“”‘’„«»"
MARKS = {
    ";": ("`;` ends nothing in this language", "leave it out: white space and line ends mean nothing"),
    "[": ("lists have no brackets in this language", "write them bare: a, b, c"),
    "(": ("there are no parentheses in this language", "write lists bare: a, b, c"),
    "<": ("there are no tags in this language", "prose of any kind stands in quotes"),
    "//": ("comments begin with `#` in this language", "write # …"),
    "/*": ("comments begin with `#` in this language", "write # … on each line"),
    "---": ("there is no front matter in this language, as YAML and Markdown have it", "leave the `---` out"),
    "***": ("there are no Markdown rules in this language", "leave it out"),
    "- ": ("there are no dashes before items, as YAML and Markdown have them", "write lists with commas: a, b, c"),
    "* ": ("there are no bullets before items, as Markdown has them", "write lists with commas: a, b, c"),
}


def _habit(text: str, found: Found) -> tuple[int, int, str, str] | None:
    """Where, how long, message and hint; None where it is no habit that we know.

    foreign-syntax: Something that other languages write, and this one does not.

    Colons, equals signs, semicolons, lists with dashes or brackets, trailing commas, other quotes and other comments are
    known for what they are, and told with what stands in their place here.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement = "{assistant} likes green tea." }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """
    at = found.start
    mark = next((m for m in (*MARKS, "-\n", "*\n") if text.startswith(m, at)), None)
    if text[at] in ":=":
        length = 2 if text[at : at + 2] in (":=", "==", "=>", "::") else 1
        language = "YAML and JSON have it" if text[at] == ":" else "TOML and HCL have it"
        hint = "leave it out: what is said stands right behind its word"
        return at, length, f"no `{text[at : at + length]}` behind a word, as {language}", hint
    if text[at] in QUOTES:
        return (
            at,
            1,
            f"`{text[at]}` is no quotation mark in this language",
            'put text between straight double quotes: "…"',
        )
    if word := _no_id(text, found):
        begin, end, better = word
        hint = f"for example `{better}`: small letters, digits and `_`, a letter first"
        return begin, end - begin, f"`{text[begin:end]}` cannot be an id", hint
    if mark is not None:
        message, hint = MARKS[mark.replace("\n", " ")]
        return at, len(mark.strip()), message, hint
    return _trailing_comma(text, found)


def _no_id(text: str, found: Found) -> tuple[int, int, str] | None:
    """A word where an id must be, or behind the part of it that is one: where it is, and the id it could be."""
    begin = found.start
    while begin and (text[begin - 1].isalnum() or text[begin - 1] in "_-"):
        begin -= 1
    match = re.compile(r"[\w-]+").match(text, begin)
    if (
        match is None
        or ("NAME" not in found.accepted and begin == found.start)
        or (match[0].isdigit() and begin < found.start)  # the whole part of a fraction
        or re.fullmatch(r"[a-z][a-z0-9_]*|-+", match[0])
    ):
        return None
    better = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", match[0])).lower().strip("_")
    better = re.sub(r"[^a-z0-9_]", "", better)
    better = better if better[:1].isalpha() else f"n{better}"
    line = text[text.rfind("\n", 0, begin) + 1 : begin]
    if not line.strip() or begin == match.end():
        return None  # a line that begins so is prose, not an id
    return begin, match.end(), better


def _trailing_comma(text: str, found: Found) -> tuple[int, int, str, str] | None:
    """A comma before a keyword, which is then read as a name, or before a brace."""
    if not (text[found.start].isalnum() or text[found.start] in '"{}_'):
        return None  # something else is wrong there
    before = without_literals(text[: found.start], comments=False).rstrip()
    word = re.search(r",\s*?\n\s*[a-z_]+$" if text[found.start] not in '"{' else r",\s*[a-z_]+$", before)
    at = len(before) - 1 if before.endswith(",") else word.start() if word else -1
    if at < 0 or (before.endswith(",") and text[found.start].isalnum() and "\n" not in text[at : found.start]):
        return None
    return at, 1, "a list ends without a comma", "leave the last `,` out"


# ---- what is never closed -----------------------------------------------------------------------------------------------


def _unclosed_string(text: str, start: int, label: Place) -> Diagnostic:
    """A text whose closing quotes are missing.

    A string ends on its line; prose that goes on over lines stands between triple quotes.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea. }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """
    block = text.startswith('"""', start)
    end = text.find("\n", start)
    where = label(start, end if end >= 0 else len(text), "opened here")
    hint = (
        'close it with """ on a line of its own'
        if block
        else 'close it with " on the same line, or write """ … """ for prose'
    )
    return Diagnostic("unclosed-string", "this text is never closed", where, hint=hint)


def unclosed_brace(source: SourceFile) -> Diagnostic:
    """The brace that a whole file lacks.

    unclosed-brace: A `{` without its `}`.

    The place is found by the lines that begin like declarations and by their indents, so it helps to have them in order: `msmc
    fmt` sets them.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
        }
    """
    return _unclosed(source.text, lambda start, end, said: Label(Span(source.path, start, end), said))


def _unclosed(text: str, label: Place) -> Diagnostic:
    at = _opener(text)
    where = label(
        *((at, at + 1, "opened here") if at is not None else (len(text.rstrip()),) * 2 + ("the file ends here",))
    )
    message = "this `{` is never closed" if at is not None else "the file ends in the middle of a declaration"
    return Diagnostic("unclosed-brace", message, where, hint="add the missing `}`" if at is not None else "")


def _opener(text: str) -> int | None:
    """Where the `{` stands that lacks its `}`: one whose brace belongs to a line further out, else the last one that is open."""
    opened: list[int] = []
    for match in scan(text):
        if match["brace"] == "{":
            opened.append(match.start())
        elif match["brace"] == "}" and opened:
            last = opened.pop()
            if indent_of_brace(text, match.start()) < _indent(text, last):
                return last
    return opened[-1] if opened else None


def num_unclosed(text: str) -> int:
    """How many braces are not closed."""
    braces = [match["brace"] for match in scan(text) if match["brace"]]
    return max(0, braces.count("{") - braces.count("}"))


def _indent(text: str, at: int) -> int:
    line = text[text.rfind("\n", 0, at) + 1 :]
    return len(line) - len(line.lstrip(" \t"))
