"""What the grammar would take at an offset: the parser's own answer, for completion."""

import re
from typing import NamedTuple

import lark

from msmc.syntax.cut import pieces
from msmc.syntax.parse import _grammar

HERE = "\0"
"""Stands at the place in question: no text has it, so the lexer stops there, unless the place is in a comment."""
SPEC = re.compile(r"^[ \t]*spec\b", re.MULTILINE)


class Expected(NamedTuple):
    keywords: tuple[str, ...] = ()
    after: str = ""
    """The word that a name stands behind (`serves`, `about`, `of`, …), where a name is possible."""


def expected(text: str, offset: int) -> Expected:
    """What may stand at an offset that no word has begun before; nothing in comments, in literals and behind errors.

    Reads from the last declaration that begins before the offset, so that neither a long file nor a mistake far above counts,
    and from the file's beginning where that says nothing.
    """
    before = text[:offset]
    declarations = pieces(before)
    inside = "spec s {" if SPEC.search(before) else ""
    tried = [inside + before[declarations[-1].start :]] if declarations else []
    return next((found for part in (*tried, before) if (found := _ask(part)) is not None), Expected())


def _ask(text: str) -> Expected | None:
    """None: the text has a mistake, or the place is in a literal."""
    grammar = _grammar()
    parser = grammar.parse_interactive(text + HERE, start="start")
    try:
        parser.exhaust_lexer()
        return Expected()  # the mark was swallowed: a comment
    except lark.UnexpectedCharacters as error:
        if error.pos_in_stream != len(text):
            return None
    except lark.UnexpectedInput:
        return None
    accepted = parser.accepts()  # type: ignore[no-untyped-call]
    patterns = {t.name: t.pattern.value for t in grammar.terminals if t.pattern.type == "str"}
    words = sorted(patterns[name] for name in accepted if name in patterns and patterns[name].isidentifier())
    stack = [item for item in parser.parser_state.value_stack if isinstance(item, lark.Token)]
    last = next((str(token) for token in reversed(stack) if token.type in patterns and str(token).isidentifier()), "")
    return Expected(tuple(words), last if "NAME" in accepted else "")
