"""Texts of any size that are hard on a parser or on what comes behind it: unclosed, deep, long, many, mistaken all over."""

from collections.abc import Callable

HEAD = 'spec s "S" { assistant "A" by "B" '


def _spec(line: str) -> Callable[[int], str]:
    """A spec of n lines, `{n}` in them their number."""
    return lambda n: HEAD + "\n" + "\n".join(line.replace("%", str(i)) for i in range(n)) + "\n}\n"


def _library(line: str) -> Callable[[int], str]:
    return lambda n: "\n".join(line.replace("%", str(i)) for i in range(n)) + "\n"


RULE = 'rule r% { statement "A rule." }'
NASTY: dict[str, tuple[Callable[[int], str], int]] = {
    "opening braces": (lambda n: HEAD + "{" * n, 25_000),
    "closing braces": (lambda n: HEAD + "}" * n, 25_000),
    "braces on their lines": (lambda n: HEAD + "\n{" * n + "\n}" * n, 10_000),
    "rules in rules": (lambda n: HEAD + "\nrule r {" * n, 2_000),
    "rules in rules on one line": (lambda n: HEAD + "rule r {" * n + "}" * n, 2_000),
    "quotes": (lambda n: HEAD + '"' * n, 25_000),
    "quotes on their lines": (lambda n: HEAD + '\n"' * n, 10_000),
    "escaped quotes of a block that nothing closes": (lambda n: HEAD + '"""' + '\\""" ' * n, 5_000),
    "backslashes": (lambda n: HEAD + '"' + "\\" * n, 25_000),
    "unknown escapes": (lambda n: HEAD + 'rule r { statement "a' + "\\q" * n + '" } }', 2_000),
    "rules with unknown escapes": (_spec('rule r% { statement "a \\q" }'), 1_000),
    "holes": (lambda n: HEAD + 'rule r { statement "a' + "{assistant} " * n + '" } }', 5_000),
    "unknown holes": (lambda n: HEAD + 'rule r { statement "a' + "{nobody} " * n + '" } }', 1_000),
    "a long block": (lambda n: HEAD + 'rule r { statement """' + "\n  some prose" * n + '\n""" } }', 50_000),
    "a long line": (lambda n: HEAD + 'rule r { statement "' + "some prose " * n + '" } }', 50_000),
    "a long word": (lambda n: HEAD + "a" * n, 100_000),
    "a long comment": (lambda n: "#" * n, 100_000),
    "comments": (lambda n: "# msmc: allow x\n" * n, 5_000),
    "empty lines": (lambda n: "\n" * n + "x", 100_000),
    "tabs": (lambda n: "\t" * n + "x\n" + " " * n + "}", 100_000),
    "prose": (lambda n: "An assistant is a helper, and not more; it says so.\n" * n, 10_000),
    "prose with braces": (lambda n: 'He said: "a {b} c" (d); it\'s.\n' * n, 5_000),
    "markdown": (lambda n: '# Title\n\n- item: *text* {x}\n\n```json\n{"a": 1}\n```\n' * n, 2_000),
    "commas": (lambda n: HEAD + "rule r { serves a" + "," * n + " } }", 25_000),
    "a long list": (lambda n: HEAD + "documents { about " + ", ".join(["rules"] * n) + " } }", 5_000),
    "a long list of strangers": (
        lambda n: HEAD + "documents { about " + ", ".join(f"a{i}" for i in range(n)) + " } }",
        1_000,
    ),
    "a long path": (lambda n: HEAD + "documents { about a" + ".a" * n + " } }", 5_000),
    "dots": (lambda n: HEAD + "documents { about a" + "." * n, 25_000),
    "rules": (_spec(RULE), 2_000),
    "rules on one line": (lambda n: HEAD + " ".join(RULE.replace("%", str(i)) for i in range(n)) + " }", 2_000),
    "rules of a library": (_library(RULE), 2_000),
    "rules outside": (lambda n: 'spec s "S" { }\n' + _library(RULE.replace("rule", "documents"))(n), 1_000),
    "the same rule": (_spec('rule r { statement "A rule." }'), 1_000),
    "rules that say nothing": (_spec("rule r% {}"), 1_000),
    "rules that serve strangers": (_spec('rule r% { serves v% statement "a" }'), 1_000),
    "rules that serve strangers beside values": (
        _spec('value w% { statement "v" } rule r% { serves v% statement "a" }'),
        500,
    ),
    "rules with a mistake": (_spec('rule r% { statement: "A rule." }'), 500),
    "rules that nothing closes": (_spec('rule r% { statement "A rule."'), 500),
    "rules with a quote too many": (_spec('rule r% { statement "A rule."" }'), 500),
    "rules with a block that nothing closes": (_spec('rule r% { statement """A rule." }'), 500),
    "one rule with mistakes": (lambda n: HEAD + "\nrule r {" + '\n  statement: "A rule."' * n + "\n} }", 2_000),
    "a rule's statements": (lambda n: HEAD + "\nrule r {" + '\n  statement "A rule."' * n + "\n} }", 2_000),
    "a rule's subrules": (
        lambda n: HEAD + '\nrule r { statement "a"' + "".join(f'\n  subrule s{i} "a"' for i in range(n)) + "\n} }",
        2_000,
    ),
    "a rule's examples": (
        lambda n: (
            HEAD
            + '\nrule r { statement "a"'
            + "".join(f'\n  example e{i} {{ user "a" assistant "b" }}' for i in range(n))
            + "\n} }"
        ),
        1_000,
    ),
    "an example's turns": (lambda n: HEAD + "rule r { example e { " + 'user "a" assistant "b" ' * n + "} } }", 2_000),
    "specs": (_library('spec s% "S" { assistant "A" by "B" rule r { statement "a" } }'), 300),
    "specs that extend the last": (
        lambda n: "spec s0 {}\n" + "\n".join(f"spec s{i + 1} extends s{i} {{}}" for i in range(n)),
        300,
    ),
    "specs that extend the next": (
        lambda n: "\n".join(f"spec s{i} extends s{i + 1} {{}}" for i in range(n)) + f"\nspec s{n} {{}}",
        300,
    ),
    "imports": (_library('import "x%.msm" as y%'), 1_000),
    "params": (_spec('param p% "P"'), 1_000),
    "arms": (lambda n: HEAD + "ablation x { " + "".join(f"arm a{i} {{ drop value }} " for i in range(n)) + "} }", 200),
    "items of a wrong kind": (_spec('statement "a"'), 1_000),
    "words": (lambda n: "rule " * n, 20_000),
    "keywords on their lines": (lambda n: "rule x\n" * n, 2_000),
    "spec heads": (lambda n: "spec x\n" * n, 2_000),
    "document heads": (lambda n: "documents {\n" * n, 2_000),
    "NUL": (lambda n: HEAD + "\0" * n, 25_000),
    "carriage returns": (lambda n: HEAD + "\r" * n + "\r\n" * n, 25_000),
    "signs": (lambda n: HEAD + ";:=[](<>)'“" * n, 5_000),
    "letters of no alphabet": (lambda n: HEAD + "\u202e\ufeff\U0001f600é" * n, 10_000),
}
"""By name: the text of a size, and a size that is checked within a second or so."""
