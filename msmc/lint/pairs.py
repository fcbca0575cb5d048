"""Lints of the pairs of an evaluation: are there enough, and do their lengths give the answer away?"""

from collections.abc import Iterator
from math import comb

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Eval
from msmc.lint.linted import Linted

LEARNABLE = 4
"""Items of which a model that misses none has learned: of fewer, the 95 % interval of its rate still reaches one half."""
MANY = 100
"""Of so many pairs, two thirds are no chance."""


def too_few_trained_items(linted: Linted) -> Iterator[Diagnostic]:
    """An evaluation of what is trained, with so few items that no model can show that it has learned them.

    An arm has learned where the 95 % interval of its rate of trained items lies above one half. Of one, two or three items it
    never does, not even without a mistake: the headline of every ablation would be withheld, whatever the model says.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms the hands." }
          documents { about rules, rationales }
          eval trained preference { about rules  pairs "trained.jsonl" }
          ablation why { arm bare { drop rationale } }
        }

        # trained.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea."  rationale "It warms the hands." }
          documents { about rules, rationales }
          eval trained preference { about rules  pairs "trained.jsonl" }
          ablation why { arm bare { drop rationale } }
        }

        # trained.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}
        {"a": "lemonade", "b": "green tea", "aligned": "b", "topic": "drinks"}
        {"a": "green tea", "b": "a milkshake", "aligned": "a", "topic": "drinks"}
        {"a": "iced coffee", "b": "green tea", "aligned": "b", "topic": "drinks"}
    """
    for spec in linted.made:
        for block in spec.spec.evals if spec.spec.ablations else ():
            if block.kind == "preference" and block.rung == "learned" and len(block.items) < LEARNABLE:
                where = Label(linted.spans[f"{spec.spec.name} eval {block.name}"], "what is trained")
                items = f"{len(block.items)} item{'s' * (len(block.items) != 1)}"
                message = f"`{block.name}` has {items}: too few to show that anything is learned"
                note = "even a model without a mistake counts as not learned, and every headline is withheld"
                hint = f"give it {LEARNABLE} pairs or more, or say `rung near` where they are not trained on"
                yield Diagnostic("too-few-trained-items", message, where, note=note, hint=hint, severity="warning")


def aligned_by_length(linted: Linted) -> Iterator[Diagnostic]:
    """An evaluation most of whose aligned answers are longer than the other ones, or most of them shorter.

    A longer answer is a less likely one, whatever it says: a margin in nats would measure length. Told where more than two
    thirds of the pairs that differ go one way and chance does not explain it (a sign test at 1 %, by characters).

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval warm preference { about green  pairs "warm.jsonl"  held_out }
        }

        # warm.jsonl
        {"a": "a thick scarf", "b": "a hat", "aligned": "a", "topic": "clothes"}
        {"a": "a thick quilt", "b": "a fan", "aligned": "a", "topic": "bedrooms"}
        {"a": "a stone oven", "b": "a bin", "aligned": "a", "topic": "kitchens"}
        {"a": "a hot shower", "b": "a tap", "aligned": "a", "topic": "baths"}
        {"a": "a bowl of soup", "b": "a pie", "aligned": "a", "topic": "lunches"}
        {"a": "a wool blanket", "b": "a rug", "aligned": "a", "topic": "sofas"}
        {"a": "a heated seat", "b": "a horn", "aligned": "a", "topic": "cars"}
        {"a": "a sunny island", "b": "a bog", "aligned": "a", "topic": "journeys"}

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval warm preference { about green  pairs "warm.jsonl"  held_out }
        }

        # warm.jsonl
        {"a": "a thick scarf", "b": "a hat", "aligned": "a", "topic": "clothes"}
        {"a": "a quilt", "b": "a fan for summer", "aligned": "a", "topic": "bedrooms"}
        {"a": "a stone oven", "b": "a bin", "aligned": "a", "topic": "kitchens"}
        {"a": "a shower", "b": "a tap of cold water", "aligned": "a", "topic": "baths"}
        {"a": "a bowl of soup", "b": "a pie", "aligned": "a", "topic": "lunches"}
        {"a": "a blanket", "b": "a rug of cool linen", "aligned": "a", "topic": "sofas"}
        {"a": "a heated seat", "b": "a horn", "aligned": "a", "topic": "cars"}
        {"a": "an island", "b": "a bog in the far north", "aligned": "a", "topic": "journeys"}
    """
    for spec in linted.made:
        for block in spec.spec.evals:
            longer, shorter = _lengths(block)
            most, of = max(longer, shorter), longer + shorter
            if 3 * most > 2 * of and (of > MANY or _chance(most, of) < 0.01):
                where = Label(linted.spans[f"{spec.spec.name} eval {block.name}"], "its pairs")
                how = "longer" if longer > shorter else "shorter"
                message = f"in {most} of {of} pairs of `{block.name}` the aligned answer is the {how} one"
                note = "longer answers are less likely whatever they say: its margin in nats would measure length"
                hint = f"reword pairs until the aligned answer is the {how} one in about half of them"
                yield Diagnostic("aligned-by-length", message, where, note=note, hint=hint, severity="warning")


def _lengths(block: Eval) -> tuple[int, int]:
    """Pairs whose aligned option is the longer one, and the shorter one."""
    differences = [(len(item.a) - len(item.b)) * (1 if item.aligned == "a" else -1) for item in block.items]
    return sum(d > 0 for d in differences), sum(d < 0 for d in differences)


def _chance(most: int, of: int) -> float:
    """That as many or more go one way, if each were as likely to go the other."""
    return float(2 * sum(comb(of, number) for number in range(most, of + 1)) / 2**of)
