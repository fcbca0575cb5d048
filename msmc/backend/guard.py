"""The capability guard: what a model lost besides what it was to learn.

Next-token loss on neutral text, instructions whose following code can check, and the author's own lm-eval tasks, of every
model and of the base model. A figure that fell by more than the target permits stands beside the headline: an arm that merely
broke the model would otherwise pass for one that changed its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from msmc.backend.harness import language_model, silent
from msmc.backend.headline import interval
from msmc.backend.instructions import FILE, Instruction, followed, instructions
from msmc.backend.statistics import estimate, one_seed
from msmc.shipped import shipped
from msmc.stored import read_jsonl

PASSAGES = shipped() / "templates" / "guard" / "passages.yaml"
FILES = (PASSAGES, FILE)
VERSION = 1
"""Of what is written of the same texts."""
MOST_TOKENS = 40
"""Of a reply: every prompt asks for a sentence or two, and what rambles on is cut."""
Item = dict[str, Any]


# ---- what a model says -------------------------------------------------------------------------------------------------


def guard(
    model: Path,
    adapter: Path | None,
    prompts: int,
    progress: Callable[[int, int], None],
    batch_size: int = 8,
    system: str | None = None,
) -> list[Item]:
    """An item for each passage ({loss, loss_per_byte}, in nats a token and a byte) and each prompt ({followed}: 1 or 0).

    A passage is a document by itself, without a chat template; a prompt is a user's turn, behind `system` where there is one,
    and is answered greedily. What cannot be scored has nulls and a reason. `progress(answers so far, answers in all)`.
    """
    texts, asked = yaml.safe_load(PASSAGES.read_text("utf-8")), instructions(prompts)
    total = len(texts) + len(asked)
    with silent():
        asks = language_model(model, adapter, batch_size, lambda done: progress(done, total))
        return [*_losses(asks, texts), *_replies(asks, asked, system)]


def _losses(asks: Any, texts: list[dict[str, str]]) -> Iterator[Item]:
    from lm_eval.api.instance import Instance

    requests = [Instance("loglikelihood_rolling", {}, (text["text"],), n) for n, text in enumerate(texts)]
    for text, logprob in zip(texts, asks.loglikelihood_rolling(requests, disable_tqdm=True), strict=True):
        tokens, size = len(asks.tok_encode(text["text"])), len(text["text"].encode())
        finite = math.isfinite(logprob)
        measures = {
            "loss": -logprob / tokens if finite else None,
            "loss_per_byte": -logprob / size if finite else None,
        }
        reason = None if finite else "the log-likelihood of the text is not finite"
        yield _item(text["topic"], text["topic"], measures, reason)


def _replies(asks: Any, asked: Sequence[Instruction], system: str | None) -> Iterator[Item]:
    from lm_eval.api.instance import Instance

    turns = [{"role": "system", "content": system}] if system is not None else []
    chats = [[*turns, {"role": "user", "content": instruction.prompt}] for instruction in asked]
    contexts = [asks.apply_chat_template(chat) for chat in chats]
    # lm_eval would cut the others from the left
    fits = [len(asks.tok_encode(context)) + MOST_TOKENS <= asks.max_length for context in contexts]
    arguments = {"until": [], "do_sample": False, "max_gen_toks": MOST_TOKENS}
    requests = [
        Instance("generate_until", {}, (context, arguments), n) for n, context in enumerate(contexts) if fits[n]
    ]
    asks.batch_size_per_gpu *= 2  # a step of decoding is short: it waits for the weights, not for the prompts
    replies = iter(asks.generate_until(requests, disable_tqdm=True) if requests else [])
    for instruction, chat, whole in zip(asked, chats, fits, strict=True):
        if not whole:
            reason = "its prompt is longer than the model's context"
            yield _item(instruction.name, instruction.check, {"followed": None}, reason)
            continue
        reply = next(replies)
        right = float(followed(instruction.check, instruction.given, reply))
        said = {"messages": [*chat, {"role": "assistant", "content": reply}]}
        yield _item(instruction.name, instruction.check, {"followed": right}, None, said)


def _item(
    item: str, topic: str, measures: dict[str, float | None], unscoreable: str | None, transcript: Any = None
) -> Item:
    return {
        "id": f"guard/{item}",
        "eval": "guard",
        "item": item,
        "topic": topic,
        "rung": None,
        "about": [],
        "measures": measures,
        "unscoreable": unscoreable,
        "transcript": transcript,
    }


# ---- what it lost ------------------------------------------------------------------------------------------------------


class Figure(NamedTuple):
    """One thing that a model may lose."""

    what: str
    measure: str
    sign: int
    """1 where more of the measure is worse, -1 where less is."""
    eval: str = "guard"
    """Or one of the author's own tasks."""


FIGURES = (Figure("loss", "loss", 1), Figure("instructions", "followed", -1))
"""`what`: the threshold's name in a target."""


def guard_drops(base_items: Iterable[Item], items: Iterable[Item], thresholds: dict[str, Any]) -> list[dict[str, Any]]:
    """What a model lost of the guard's own figures, for each threshold of {loss, instructions}."""
    before, after = list(base_items), list(items)
    found = (dropped(figure, before, after, thresholds[figure.what]) for figure in FIGURES)
    return [told for told in found if told]


def dropped(
    figure: Figure, base_items: Iterable[Item], items: Iterable[Item], threshold: float
) -> dict[str, Any] | None:
    """What a model lost against the base model, item by item; None where the base model has nothing to lose.

    `drop` is by how much the figure is worse, with its 95 % interval: a rise of the loss in nats a token, a fall of the share of
    instructions that are followed. It is beyond where it is greater than the threshold, and where a model has no figure any more
    that the base model has: then `drop` is null. Items that the base model cannot score, such as a prompt too long for it, are
    left out of both.
    """
    before, after = ({item["item"]: item for item in which} for which in (base_items, items))
    asked = [item for item in before.values() if item["measures"].get(figure.measure) is not None]
    pairs = [
        (item["topic"], item["measures"][figure.measure], value)
        for item in asked
        if (value := after.get(item["item"], {"measures": {}})["measures"].get(figure.measure)) is not None
    ]
    if not asked:
        return None
    told = {"what": figure.what, "eval": figure.eval, "measure": figure.measure, "threshold": threshold}
    told |= {"n": len(pairs), "missing": len(asked) - len(pairs)}
    if not pairs:
        return told | dict.fromkeys(("base", "model", "drop", "low", "high")) | {"beyond": True}
    differences = one_seed([figure.sign * (b - a) for _, a, b in pairs], [topic for topic, *_ in pairs])
    of_one = figure.sign < 0 and all(0 <= value <= 1 for _, *both in pairs for value in both)
    lost = estimate(differences, share=of_one, paired=True)
    return told | {
        "base": round(sum(a for _, a, _ in pairs) / len(pairs), 6),
        "model": round(sum(b for *_, b in pairs) / len(pairs), 6),
        "drop": round(lost.mean, 6),
        "low": None if lost.low is None else round(lost.low, 6),
        "high": None if lost.high is None else round(lost.high, 6),
        "beyond": lost.mean > threshold,
    }


BASE_ITEMS = "base.jsonl"
"""Beside the items of a trained model's guard and own tasks: the base model's, so that no list of runs need hold it."""


def drops_of_run(folder: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """What the model of a run folder lost, for `comparison.json`; nothing of the base model itself."""
    found, plan = list[dict[str, Any]](), run["target"]["evaluate"]["guard"]
    for name, stage in run["stages"].items():
        place = folder / name
        if not (place / BASE_ITEMS).is_file():
            continue
        if name == "guard":
            found += guard_drops(read_jsonl(place / BASE_ITEMS), read_jsonl(place / "items.jsonl"), plan)
        elif (figure := _of_task(stage)) and (permitted := _permitted(plan["tasks"], stage["eval"])) is not None:
            told = dropped(figure, read_jsonl(place / BASE_ITEMS), read_jsonl(place / "items.jsonl"), permitted)
            found += [told] if told else []
    return [{"run": run["run"]["name"], "seed": run["seed"], **told} for told in found]


def _of_task(stage: dict[str, Any]) -> Figure | None:
    """The primary measure of an own task. None where the task does not say whether more of it is better."""
    measure = stage["primary_measure"]
    better = stage["higher_is_better"].get(measure)
    return None if better is None else Figure(stage["eval"], measure, -1 if better else 1, stage["eval"])


def _permitted(tasks: float | dict[str, float], name: str) -> float | None:
    """The threshold of all own tasks, or of those that have one by name."""
    return tasks.get(name) if isinstance(tasks, dict) else tasks


def guard_lines(drops: Sequence[dict[str, Any]]) -> list[tuple[str, bool]]:
    """The guard in words, for the table and the page: a line for each drop beyond its threshold; where there is none, one
    that says so. With each, whether it is a warning."""
    beyond = [drop for drop in drops if drop["beyond"]]
    if beyond:
        return [(_said(drop), True) for drop in beyond]
    worst: dict[tuple[str, str], dict[str, Any]] = {}
    for drop in drops:
        of = drop["eval"], drop["what"]
        worst[of] = max(worst.get(of, drop), drop, key=lambda d: d["drop"])
    told = "; ".join(map(_most, worst.values()))
    return [(f"Guard: no model lost more than the target permits ({told}).", False)] if told else []


def _said(drop: dict[str, Any]) -> str:
    start = f"Guard: {drop['run']} (seed {drop['seed']})"
    if drop["drop"] is None:
        figure = drop["what"] if drop["eval"] == "guard" else f"{drop['measure']} of {drop['eval']}"
        return f"{start} has no figure for {figure} any more: none of {drop['missing']} items can be scored."
    lost = interval({"mean": drop["drop"], "low": drop["low"], "high": drop["high"]})
    against = f"{drop['model']:.2f} against the base model's {drop['base']:.2f}"
    fell = drop["model"] <= drop["base"]
    if drop["eval"] != "guard":
        told = f"has {against} in {drop['measure']} of {drop['eval']}, a {'fall' if fell else 'rise'} of {lost}"
    elif drop["what"] == "loss":
        told = f"has a loss of {against} on neutral text, a rise of {lost} nats a token"
    else:
        told = f"follows {against} of the instructions, a fall of {lost}"
    missing = f", {drop['missing']} missing" if drop["missing"] else ""
    noise = ", which may be none" if drop["low"] is None or drop["low"] <= 0 else ""
    return f"{start} {told}{noise} (n {drop['n']}{missing}, permitted {drop['threshold']:g})."


def _most(drop: dict[str, Any]) -> str:
    """Of a drop within its threshold."""
    figure = f"{drop['eval']} {drop['measure']}"
    if drop["eval"] == "guard":
        figure = "loss" if drop["what"] == "loss" else "instructions followed"
    change = drop["model"] - drop["base"] + 0.0  # of -0.0 it makes 0.0
    return f"{figure} {change:+.2f} at worst, in {drop['run']}"
