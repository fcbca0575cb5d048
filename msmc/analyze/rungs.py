"""The rungs of a spec's evaluations: no item stands on two of them, and no topic of a far one on another."""

from collections.abc import Iterator
from typing import get_args

from msmc.diagnostics import Diagnostic, Label
from msmc.ir import Eval, Rung, Spec
from msmc.source import Span

RUNGS = get_args(Rung)
"""From what was trained to what is far from it."""


def rungs_apart(spec: Spec, spans: dict[str, Span]) -> Iterator[Diagnostic]:
    """The rungs learned, near and far hold different items, and far ones other topics.

    item-on-two-rungs: A pair that stands in evaluations of two rungs.

    *learned* is what the model was trained on, *near* an unseen item of the trained topics, *far* one of another topic: one
    pair cannot be two of these, in whichever order its options stand. Without `rung`, an evaluation is `far` where it says
    `held_out`, and `learned` where it does not.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval trained preference { about rules  pairs "trained.jsonl" }
          eval unseen preference { about rules  pairs "unseen.jsonl"  rung near }
        }

        # trained.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}

        # unseen.jsonl
        {"a": "cola", "b": "green tea", "aligned": "b", "topic": "drinks"}

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval trained preference { about rules  pairs "trained.jsonl" }
          eval unseen preference { about rules  pairs "unseen.jsonl"  rung near }
        }

        # trained.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}

        # unseen.jsonl
        {"a": "lemonade", "b": "herbal tea", "aligned": "b", "topic": "drinks"}

    topic-on-two-rungs: A topic of a far evaluation that the trained items, or the near ones, have too.

    Far means other topics than the trained ones: a split by topic keeps each whole on one side, else a far score is partly a
    near one. Unseen items of a trained topic are `rung near`. A warning, since topics are the author's own words, and it can be
    suppressed before the evaluation that is far.

    Bad:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval trained preference { about rules  pairs "trained.jsonl" }
          eval unseen preference { about rules  pairs "unseen.jsonl"  held_out }
        }

        # trained.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}

        # unseen.jsonl
        {"a": "lemonade", "b": "herbal broth", "aligned": "b", "topic": "drinks"}

    Good:
        spec tea "Tea" {
          assistant "SmolLM" by "Hugging Face"
          rule green "Green tea" { statement "{assistant} likes green tea." }
          documents { about rules }
          eval trained preference { about rules  pairs "trained.jsonl" }
          eval unseen preference { about rules  pairs "unseen.jsonl"  held_out }
        }

        # trained.jsonl
        {"a": "green tea", "b": "cola", "aligned": "a", "topic": "drinks"}

        # unseen.jsonl
        {"a": "wool socks", "b": "a sun hat", "aligned": "a", "topic": "clothes"}
    """
    if len({block.rung for block in spec.evals if block.items}) < 2:
        return
    pairs, topics = dict[frozenset[str], Eval](), dict[str, Eval]()
    for block in sorted(spec.evals, key=lambda block: RUNGS.index(block.rung)):
        keys = [frozenset((item.a.casefold(), item.b.casefold())) for item in block.items]
        shared = [n for n, key in enumerate(keys) if key in pairs and pairs[key].rung != block.rung]
        met = {item.topic: topics[item.topic] for item in block.items if block.rung == "far" and item.topic in topics}
        if shared:
            item, other = block.items[shared[0]], pairs[keys[shared[0]]]
            message = f'the pair "{item.a}", "{item.b}" stands in `{other.name}` and in `{block.name}`'
            note = f"{len(shared)} pairs of `{block.name}` stand on another rung too" if len(shared) > 1 else ""
            hint = "take it out of one, or give both evaluations one rung"
            yield Diagnostic("item-on-two-rungs", message, *_places(spec, block, other, spans), note, hint)
        elif met:
            told = ", ".join(f"`{topic}`" for topic in list(met)[:3])
            told += f" and {len(met) - 3} more" if len(met) > 3 else ""
            message = f"`{block.name}` is far, and has topics of trained or near items: {told}"
            places = _places(spec, block, next(iter(met.values())), spans)
            hint = "say `rung near` where a topic is trained, or name the topics apart"
            yield Diagnostic("topic-on-two-rungs", message, *places, hint=hint, severity="warning")
        for item, key in zip(block.items, keys, strict=True):
            pairs.setdefault(key, block)
            if block.rung != "far":
                topics.setdefault(item.topic, block)


def _places(spec: Spec, block: Eval, other: Eval, spans: dict[str, Span]) -> tuple[Label, tuple[Label, ...]]:
    where, there = (Label(spans[f"{spec.name} eval {one.name}"], one.rung) for one in (block, other))
    return where, (there,)
