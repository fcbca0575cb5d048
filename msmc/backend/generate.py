"""Answers in the model's own words: greedy, from the prompts that are scored, and read strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from msmc.backend.eval_rows import Row, Rows, SomeRows, each, in_order, limited
from msmc.backend.score import Told, end_of_turn, prompt_of
from msmc.mention import phrases, words

TOKENS = 32
"""Of a reply, at most: an option is named in its first sentence or not at all."""


class Read(NamedTuple):
    """What a reply was read as."""

    choice: Literal["A", "B"] | None
    unparsed: str | None
    """Why there is no choice."""


def answerable(rows: Rows, items: int | None) -> Rows:
    """Both orders of `items` items of each evaluation, of those whose question shows the options: nobody fills a gap in the
    very words of one of two endings that were not shown."""
    shown = SomeRows(rows, [n for n, row in enumerate(each(rows)) if row["metadata"].get("form") != "cloze"])
    return limited(shown, items)


def generate(model: Any, rows: Rows, out: Path, progress: Told, system: str | None = None) -> None:
    """Has lm_eval's model class (`score.language_model`) answer each row greedily, and writes JSON Lines to `out`, in order:
    {id, eval, item, order, topic, rung, reply, choice: "A"|"B"|null, unparsed: null or the reason}."""
    from lm_eval.api.instance import Instance

    tokenizer, size = model.tokenizer, model.batch_size
    lengths = [len(tokenizer(prompt_of(tokenizer, row, system)).input_ids) for row in each(rows)]
    order = sorted(range(len(rows)), key=lambda n: (-lengths[n], n))
    sampling = {"until": [end] if (end := end_of_turn(tokenizer)) else [], "max_gen_toks": TOKENS, "do_sample": False}
    with in_order(out, len(rows)) as put:
        for start in range(0, len(order), size):
            batch = [(n, rows[n]) for n in order[start : start + size]]
            asked = [
                Instance("generate_until", {}, (prompt_of(tokenizer, row, system), sampling), n)
                for n, row in batch
                if lengths[n] + TOKENS <= model.max_length
            ]
            replies = {
                request.idx: reply
                for request, reply in zip(asked, model.generate_until(asked, disable_tqdm=True), strict=True)
            }
            for n, row in batch:
                put(n, _answered(row, replies.get(n)))
            progress(start + len(batch), len(rows))


def _answered(row: Row, reply: str | None) -> Row:
    read = Read(None, "its prompt is too long") if reply is None else read_reply(reply, _options(row))
    told = {key: row["metadata"][key] for key in ("eval", "item", "order", "topic", "rung")}
    return {"id": row["id"], **told, "reply": reply, **read._asdict()}


def _options(row: Row) -> tuple[str, str]:
    first, second = row["metadata"].get("options") or row["choices"]
    return first, second


def read_reply(reply: str, options: tuple[str, str]) -> Read:
    """The one of two options that a reply names, by whole phrases as in `msmc.mention`.

    What mentions both options alike names neither; where one phrase lies in another (`cheese` in `cream cheese`), the longer
    counts.
    """
    first, second = (set(phrases(option)) for option in options)
    of: dict[tuple[str, ...], Literal["A", "B"]] = {phrase: "A" for phrase in first - second}
    of |= {phrase: "B" for phrase in second - first}
    lengths = sorted({len(phrase) for phrase in of}, reverse=True)
    spoken, named, at = words(reply), set[Literal["A", "B"]](), 0
    if not spoken:
        return Read(None, "the reply is empty")
    while at < len(spoken):
        met = next((phrase for n in lengths if (phrase := tuple(spoken[at : at + n])) in of), None)
        if met:
            named.add(of[met])
        at += len(met) if met else 1
    if len(named) == 1:
        return Read(named.pop(), None)
    return Read(None, "it names both options" if named else "it names neither option")
