"""A Pygments lexer for `.msm`: for Sphinx, MkDocs, LaTeX's minted, rich and `pygmentize`, which find it by its entry point.

Colours only: it takes any text, and never loses a character of it. A word may be an id, so the words are told by what stands
before them: after some comes a name, after others a constant. Pygments imports this module; msmc itself does not.
"""

from typing import ClassVar

from pygments.lexer import RegexLexer, bygroups, default, include, words
from pygments.token import Comment, Keyword, Name, Number, Punctuation, String, Whitespace

NAME = r"[a-z][a-z0-9_]*"
DECLARATIONS = ("spec", "param", "value", "rule", "subrule", "example", "demos", "eval", "ablation", "arm")
REFERRING = (
    *("extends", "use", "replace", "with", "of", "for", "style", "serves", "was"),
    *("about", "kinds", "audiences", "angles", "scenarios", "goals", "keep", "control", "primary"),
)
ALONE = (
    *("version", "assistant", "user", "system", "documents", "pairs", "questions", "held_out", "samples", "seeds"),
    *("import", "from", "by"),
)
CHOICES = ("specificity", "statement", "rationale", "priority", "justify", "thinking", "rung", "vary", "sweep", "match")
CHOSEN = (
    *("general", "specific", "hard", "default", "never", "rule", "value", "on", "off", "learned", "near", "far"),
    *("documents", "demos", "both", "cross", "learning_rate", "none", "rows", "tokens"),
)
ORDERS = ("documents_first", "demos_first")
KINDS = ("value", "rationale", "subrule", "example", "serves")
ALLOWANCE = r"(#[ \t]*msmc:[ \t]*allow[ \t]+)([a-z][a-z0-9-]*|MSM[0-9]+)(.*)"


def _words(*which: str) -> words:
    return words(which, prefix=r"\b", suffix=r"\b")


class MsmLexer(RegexLexer):  # type: ignore[misc]
    """Model Specs, the language of grammar/msm.lark."""

    name = "Model Spec"
    aliases: ClassVar = ["msm"]
    filenames: ClassVar = ["*.msm"]

    tokens: ClassVar = {
        "root": [
            include("between"),
            (r'"""', String.Heredoc, "block"),
            (r'"', String.Double, "string"),
            (_words(*DECLARATIONS), Keyword.Declaration, "declared"),
            (_words("as"), Keyword, "declared"),
            (_words(*REFERRING), Keyword, "referred"),
            (r"[,.]", Punctuation, "referred"),
            (_words(*CHOICES), Keyword, "chosen"),
            (_words("drop"), Keyword, "kinds"),
            (_words("shuffle"), Keyword, "chosen kind"),
            (_words(*ALONE), Keyword),
            (_words("chat", "preference", "recall", "judged", "agentic", "inspect", "lm_eval"), Keyword.Constant),
            (_words("order"), Keyword, "orders"),
            (r"-?\b[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?\b", Number),
            (r"[{}]", Punctuation),
            (NAME, Name),
        ],
        "between": [
            (r"\s+", Whitespace),
            (ALLOWANCE, bygroups(Comment.Preproc, Comment.Special, Comment.Single)),
            (r"#.*", Comment.Single),
        ],
        "declared": [include("between"), (NAME, Name.Class, "#pop"), default("#pop")],
        "referred": [include("between"), (NAME, Name.Variable, "#pop"), default("#pop")],
        "chosen": [include("between"), (_words(*CHOSEN), Keyword.Constant, "#pop"), default("#pop")],
        "chosen kind": [include("between"), (_words("serves"), Keyword.Constant, "#pop"), default("#pop")],
        "orders": [
            include("between"),
            (words(ORDERS, prefix=r"\b", suffix=r"\b(?=\s*,)"), Keyword.Constant),
            (_words(*ORDERS), Keyword.Constant, "#pop"),
            (r",", Punctuation),
            default("#pop"),
        ],
        "kinds": [
            include("between"),
            (words(KINDS, prefix=r"\b", suffix=r"\b(?=\s*,)"), Keyword.Constant),
            (_words(*KINDS), Keyword.Constant, "#pop"),
            (r",", Punctuation),
            default("#pop"),
        ],
        "placeholder": [(r"(?<![{$\\])\{[a-z][a-z0-9_]*\}(?!\})", String.Interpol)],
        "string": [
            (r'\\["\\nt{]', String.Escape),
            include("placeholder"),
            (r'[^"\\{\n]+|\{|\\[^\n]', String.Double),
            (r'"', String.Double, "#pop"),
            default("#pop"),  # the end of the line: a string that is not closed
        ],
        "block": [
            (r'\\(?:\{|""")', String.Escape),
            include("placeholder"),
            (r'"{3,5}', String.Heredoc, "#pop"),
            (r'[^"\\{]+|["\\{]', String.Heredoc),
        ],
    }
