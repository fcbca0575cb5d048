"""Lints of what texts say: wordings that are none, reasons that give none, reasons where there should be none."""

import re
from collections.abc import Iterator
from functools import lru_cache

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import ArmRule
from msmc.lint.linted import Linted, LintedSpec, declarations
from msmc.mention import words
from msmc.prose import one_line
from msmc.syntax import ast
from msmc.terms import terms

NEARLY_ALL = 0.9
HALF = 0.5
"""Of as many words as the statement has: else it may say something of its own with a few of them."""
FEW = 3
"""A rationale of fewer words of its own is not judged."""
STATE = r"(?:(?:it|that|there|he|she)(?:['’]s| is)(?! been\b)|(?:they|you|we)(?:['’]re| are)|i(?:['’]m| am))\b"
"""Behind `since`, what speaks of no time."""
THIRD = r"(?:(?:it|that|there|he|she)(?:['’]s| is| has| can)|they(?:['’]re| are| have| can|['’]ve))\b"
"""Behind `as`, what is not "as you have noticed"."""
SOMEBODY = r"(?:i|you|we|they|your|my|our|everyone|everybody|nobody|no one|people)\b"
"""Behind `so that`, whom it is done for: with a thing it may say how."""
CUES = ("because", "since", ", as ", "seeing", "given", "so that", "why", "reason", "due to", "owing", "account of")
"""A reply without one of these gives no reason; most have none, and spare a check the making of the pattern."""
REASON = (
    r"(?<!\bnot )(?<!\bjust )(?<!\bonly )(?<!\bmerely )(?<!\bsimply )(?<!(?:is|re)n['’]t )(?<!wasn['’]t )\bbecause\b"
    rf"|\bsince {STATE}|, as {THIRD}|\bseeing (?:as|that) (?:{STATE}|{THIRD})|\bgiven (?:that|how)\b"
    rf"|\bso that {SOMEBODY}|(?<!think )\b(?:that['’]s|that is|which is) why\b|\bfor (?:this|that|these|those) reasons?\b"
    r"|\b(?:the|my|one|main) reasons? (?:is|are|i|being)\b|\bdue to (?:its|how)\b|\b(?:owing to|on account of)\b"
)
QUOTED = r"\"[^\"]*\"|“[^”]*”|«[^»]*»|```.*?```|`[^`]*`|(?<!\w)['‘][^'’]*['’](?!\w)"


def wordings_identical(linted: Linted) -> Iterator[Diagnostic]:
    """Two wordings of one text with the same words.

    Wordings are there to be compared, general with specific or one style with another. Arms that select two equal ones
    cannot differ in that clause, and an effect of the wording is looked for where there is none. Line breaks and indents
    make no difference.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement general "{assistant} likes green tea."
            statement specific "{assistant} likes green tea."
          }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement general "{assistant} likes green tea."
            statement specific "Asked for tea or coffee, {assistant} asks for green tea."
          }
        }
    """
    for tree in linted.files.trees.values():
        for holder in declarations(tree):
            items = [i for i in holder.__dict__.get("items", ()) if isinstance(i, ast.Statement | ast.Rationale)]
            if len(items) == len({type(item) for item in items}):
                continue
            seen = dict[tuple[type, str], ast.Ast]()
            for item in items:
                first = seen.setdefault((type(item), one_line(item.text.plain)), item)
                if first is not item:
                    message = f"two wordings of this {type(item).__name__.lower()} are the same"
                    related = (Label(first.span, "first here"),)
                    where, hint = Label(item.span, "again here"), "reword one, or keep one without a level or style"
                    yield Diagnostic("wordings-identical", message, where, related, hint=hint, severity="warning")


def rationale_restates_rule(linted: Linted) -> Iterator[Diagnostic]:
    """A rationale that says only what its statement says already.

    Nine in ten of its words stand in the statement or the title, not counting words such as "the", "because" and
    "wants", and it has at least half as many. Documents about such a rationale have no reason to explain, and an arm
    without it loses nothing, so the comparison that rationales are written for measures noise. The same for values and
    subrules.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement "Asked for a hot drink, {assistant} recommends green tea."
            rationale "{assistant} should recommend green tea when it is asked for a hot drink."
          }
          documents { about rules, rationales }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement "Asked for a hot drink, {assistant} recommends green tea."
            rationale "It warms, and it keeps nobody awake."
          }
          documents { about rules, rationales }
        }
    """
    for spec in linted.specs:
        identity = spec.full.identity
        names = frozenset([*words(identity.assistant), *words(identity.provider)])
        subrules = (s for node in spec.full.rules for s in node.subrules)
        for node in (*spec.full.nodes, *subrules):
            if node.rationale is None:
                continue
            if _restates(node.rationale, f"{node.statement} {getattr(node, 'title', '')}", names):
                where = Label(linted.spans[f"{node.id}.rationale"], "says nothing that is new")
                message = f"the rationale of `{spec.local(node.id)}` says again what its statement says"
                related = (Label(linted.spans[node.id], "said here"),)
                hint = "say why, or leave it out"
                yield Diagnostic("rationale-restates-rule", message, where, related, hint=hint, severity="warning")


@lru_cache(2**15)  # an editor asks again for all but one
def _restates(reason: str, statement: str, names: frozenset[str]) -> bool:
    own, said = (terms(text, names) for text in (reason, statement))
    if len(own) < FEW or len(set(own)) < HALF * len(set(said)):
        return False
    return sum(w in said for w in own) >= NEARLY_ALL * len(own)


def demo_gives_reason(linted: Linted) -> Iterator[Diagnostic]:
    """An example whose reply gives a reason, though `justify never` is written for demos of its rule.

    With `justify never` the demos show what the assistant does and leave the why to the documents. A demo that says it
    teaches the reason on the spot, also in the arms that were to do without it, and what the documents add can no longer
    be told apart.

    Found by English words: because, so that somebody, that is why, since and as where they cannot speak of time, and
    their like; not what stands in quotation marks. A reason without such a word is not seen. Precision 0.96, recall 0.79
    on the seventy-two replies of tests/golden/lints/demo_gives_reason.txt.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement "{assistant} likes green tea."
            example ask {
              user "Tea or coffee?"
              assistant "Green tea, because it is easy on the stomach."
            }
          }
          demos chats chat { about rules  justify never }
        }

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" {
            statement "{assistant} likes green tea."
            example ask {
              user "Tea or coffee?"
              assistant "Green tea, please."
            }
          }
          demos chats chat { about rules  justify never }
        }
    """
    for spec in linted.made:
        for rule in spec.full.rules:
            if not rule.examples or not _never_justified(spec, rule):
                continue
            for example in rule.examples:
                replies = [m.content for m in example.messages if m.role == "assistant"]
                if found := next((f for reply in replies if (f := gives_reason(reply))), None):
                    message = f'`{spec.local(example.id)}` gives a reason ("{found}"), and its demos say justify never'
                    where = Label(linted.spans[example.id], "in a reply of this example")
                    hint = "leave the reason to a rationale"
                    yield Diagnostic("demo-gives-reason", message, where, hint=hint, severity="warning")


def gives_reason(reply: str) -> str | None:
    """The words by which a reply gives a reason."""
    said = one_line(reply).lower()
    if not any(cue in said for cue in CUES):
        return None
    found = re.search(REASON, re.sub(QUOTED, " ", said))
    return found[0].strip(" ,") if found else None


def _never_justified(spec: LintedSpec, rule: ArmRule) -> bool:
    """Are there demos of a rule, and is `justify never` written in all of them?"""
    blocks = {item.name.word: item for item in spec.decl.items if isinstance(item, ast.Demos)}
    about = [
        block for block in spec.spec.demos if any(clause.node == rule.id for clause in spec.full.about(block.about))
    ]
    written = [any(isinstance(item, ast.Justify) for item in blocks[block.name].items) for block in about]
    return bool(about) and all(written) and all(block.justify == "never" for block in about)
