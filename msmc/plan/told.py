"""A forecast in words, its summary last; and as data."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msmc.plan.change import Change
from msmc.plan.criticising import Asked
from msmc.plan.estimate import Estimate
from msmc.plan.forecast import Forecast
from msmc.plan.matched import Matched
from msmc.plan.money import money
from msmc.plan.writing import Writing
from msmc.writer import Remote

REASONS = 8
"""Reasons for stale rows that are told without --full."""


def as_text(found: Forecast, change: Change | None, adapter: int | None, full: bool) -> str:
    head = (
        f"{found.spec}" + (f", ablation {found.ablation}" if found.ablation else "") + f", target {found.target.name}"
    )
    lines = [head, *(_every(found) if full else ())]
    if found.target.context == "spec":
        lines.append("  context: spec: each prompt shows the whole spec, so every edit makes every row stale")
    lines += _paired(found, full)
    lines += _changed(change, full) if change else [f"  no build of `{found.spec}` to compare with: every row is new"]
    return "\n".join([*lines, "", *_summary(found, adapter)])


def _every(found: Forecast) -> Iterator[str]:
    yield f"  {'documents of':<34} {'rows':>9} {'prompt tokens':>18} {'cached':>7} {'reply tokens':>18} {'own':>6}"
    for w in found.asked:
        row = f"{w.rows:>9,} {_about(w.prompt):>18} {w.cached:>7.0%} {_about(w.reply):>18} {w.own:>6,}"
        shared = f"  {w.shared:,} more are shared" if w.shared else ""
        yield f"  {_name(found, w):<34} {row}{shared}"
    yield f"\n  {'training of':<34} {'stage':<9} {'rows':>9} {'tokens':>18} {'updates':>8}"
    seen = set()
    for model, stage in found.training:
        shared = "  shared" if (stage.kind, stage.of) in seen else ""
        seen.add((stage.kind, stage.of))
        row = f"{stage.kind:<9} {stage.rows:>9,.0f} {_about(stage.tokens):>18} {stage.updates:>8,.0f}{shared}"
        yield f"  {model:<34} {row}"
    yield ""


def _name(found: Forecast, writing: Writing) -> str:
    return writing.arm + (", chats" if any(chats.writing is writing for chats in found.chats) else "")


def _paired(found: Forecast, full: bool) -> Iterator[str]:
    """The cells that two arms both have, planned and as they are trained on."""
    if found.matched is None:
        return
    pairs = found.matched.pairs if full else found.matched.pairs[:REASONS]
    for pair in pairs:
        planned, after = _both(pair.planned, pair.paired), _both(pair.matched, pair.paired_then)
        yield f"  {' and '.join(pair.arms)} have the same cells in {planned} documents; matched, in {after}"
    if len(pairs) < len(found.matched.pairs):
        yield f"  … and {len(found.matched.pairs) - len(pairs)} more pairs: --full"


def _both(rows: dict[str, int], paired: int) -> str:
    return f"{paired:,} of {' and '.join(f'{number:,}' for number in rows.values())}"


def _changed(change: Change, full: bool) -> Iterator[str]:
    new = "new (other kinds, audiences or angles: other cells)" if change.other_cells else "new"
    counts = ((change.new, new), (change.stale, "stale"), (change.gone, "gone"), (change.unchanged, "unchanged"))
    yield f"  against {change.place}: " + ", ".join(
        f"{count:,} {what}" for count, what in counts if count or what == new
    )
    reasons = change.why.most_common(None if full else REASONS)
    for reason, rows in reasons:
        yield f"    {rows:,} stale by {reason}"
    if len(change.why) > len(reasons):
        yield f"    … and by {len(change.why) - len(reasons)} more: --full"


def _summary(found: Forecast, adapter: int | None) -> Iterator[str]:
    by = "its own tokenizer" if found.exact else "4.2 characters a token: the model is not on this machine yet"
    rows = sum(w.rows for w in found.writing)
    if rows:
        yield f"write     {_counted(found.writing, 'documents')}: {_tokens(found.writing)} (by {by})"
    if found.chats:
        writing, number = [chats.writing for chats in found.chats], sum(chats.chats for chats in found.chats)
        yield f"{'' if rows else 'write':<9} {_counted(writing, f'turns of {number:,} chats')}: {_tokens(writing)}"
    if found.unwritten:
        yield f"          {found.unwritten:,} rows of chats, which the writer `{found.target.writer_name}` cannot write"
    for what, asked in (("documents", found.writing), ("chats", [chats.writing for chats in found.chats])):
        if found.target.model_writer and (how := max(asked, key=lambda w: w.rows).how if asked else ""):
            yield f"          {what}: replies {how}"
    if found.matched:
        yield f"match     {_matched(found.matched)}"
    yield f"cost      {_cost(found)}"
    yield from (f"          {_criticised(asked)}" for asked in found.criticised)
    stages, all_stages = len(found.stages), len(found.training)
    shared = f" ({all_stages - stages} more are shared)" if all_stages > stages else ""
    seeds = f" for each of {found.seeds} seeds" if found.seeds > 1 else ""
    yield f"train     {stages} stages{shared}{seeds}: {_about(found.trained)} tokens in all"
    yield f"evaluate  {found.models} models{seeds} on {found.eval_rows:,} rows each"
    if found.judging.replies:
        judge = found.target.judge
        by = f"{judge.model}, each reply {judge.repeats} times" if judge else "no judge: the target names none"
        planted = " and those that are planted"
        yield f"judge     {found.judging.replies:,} replies{planted}: {found.judging.gradings:,} gradings by {by}"
    rates = found.rates
    known = f"as {rates.stages} stages of earlier runs took" if rates.stages else "as SmolLM2-135M takes there"
    rate = f"{rates.tokens:,.0f} tokens and {rates.rows:,.0f} rows a second"
    took = f"{found.hours:.1f} h" if found.hours >= 1 else f"{60 * found.hours:.0f} min"
    hours = f"about {took} on {rates.device}, {known} ({rate})"
    yield f"time      {hours}; " + (f"{found.hours * rates.gpus:.1f} GPU hours" if rates.gpus else "no GPU")
    size = found.build_bytes + 6 * found.reply.value + (adapter or 0) * stages * found.seeds
    yield f"disk      about {_size(size)}" + ("" if adapter else ", and the adapters")


def _counted(asked: Iterable[Writing], what: str) -> str:
    rows, spare, shared, grown = (
        sum(n) for n in zip(*((w.rows, w.reserve, w.shared, w.grown) for w in asked), strict=True)
    )
    more = [f"at worst {rows + spare:,}, with the reserve"] if spare else []
    more += [f"{grown:,} of them to match"] if grown else []
    more += [f"{shared:,} more are shared by arms"] if shared else []
    return f"{rows:,} {what}" + (f" ({'; '.join(more)})" if more else "")


def _tokens(asked: Sequence[Writing]) -> str:
    prompt, reply = (sum(estimates, Estimate(0)) for estimates in ([w.prompt for w in asked], [w.reply for w in asked]))
    cached = sum(w.cached * w.prompt.value for w in asked) / (prompt.value or 1)
    kept = f"{cached:.0%} of them prefixes that a server keeps"
    return f"{_about(prompt)} prompt tokens, {kept}; {_about(reply)} reply tokens"


def _matched(matched: Matched) -> str:
    grown = [f"`{name}` grows by {arm.grown.total():,}" for name, arm in matched.arms.items() if arm.grown]
    left = min(arm.reserve for arm in matched.arms.values())
    more = f"; {', '.join(grown)} of its reserve, of which {left:,} or more are left" if grown else ""
    return f"each of {len(matched.arms)} arms has {_about(matched.size)} {matched.by} of documents{more}"


def _cost(found: Forecast) -> str:
    price, name = found.target.price, found.target.writer_name
    if not isinstance(found.target.model_writer, Remote):
        runs = "runs on this machine" if found.target.model_writer else "is offline"
        return f"nothing: the writer `{name}` {runs}"
    if price is None:
        return f"unknown: nobody told the price of `{name}`; writer.price in the target does"
    low, expected, worst = money(found.asked, price)
    unit = price.currency
    return f"{amount(expected)} {unit} expected, {amount(low)} at least, {amount(worst)} at worst (`{name}`: {price})"


def _criticised(asked: Asked) -> str:
    """A line for the critic, and one for the rewriter."""
    what = "critiques" if asked.part == "critic" else "rewrites"
    told = f"{asked.expected:,} {what} by `{asked.model.title}`, at worst {asked.worst:,}"
    told += f", each of {asked.prompt:,.0f} tokens and {asked.reply:,.0f} of a reply"
    if asked.costs is None:
        return f"{told}; unknown: {asked.model.part}.price in the target tells the price"
    if not isinstance(asked.model, Remote):
        return told
    price, (expected, worst) = asked.model.known_price, asked.costs
    return f"{told}; {amount(expected)} {price.currency if price else ''} expected, {amount(worst)} at worst ({price})"


def amount(cost: float) -> str:
    """Money with as many decimals as it needs."""
    return f"{cost:,.2f}" if cost >= 1 or not cost else f"{cost:.2g}"


def _about(estimate: Estimate) -> str:
    error = f" ± {estimate.share:.0%}" if estimate.share >= 0.005 else ""
    return f"{estimate.value:,.0f}{error}"


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def adapter_bytes(config: Path, r: int) -> int | None:
    """An adapter on all linear layers of a model with a Llama's parts, in float32; None where the model is another's."""
    try:
        data = json.loads(config.read_text("utf-8"))
        hidden, inner, layers = data["hidden_size"], data["intermediate_size"], data["num_hidden_layers"]
        heads, kv_heads = data["num_attention_heads"], data["num_key_value_heads"]
    except (OSError, ValueError, KeyError):
        return None
    kv = (data.get("head_dim") or hidden // heads) * kv_heads
    both_ways = 2 * (hidden + hidden) + 2 * (hidden + kv) + 3 * (hidden + inner)  # q o, k v, gate up down
    return int(4 * r * layers * both_ways)


def as_data(found: Forecast, change: Change | None) -> dict[str, Any]:
    """The same for other people's scripts: totals with the half-width of their 95 % intervals."""
    return {
        "spec": found.spec,
        "ablation": found.ablation,
        "target": found.target.name,
        "tokenizer": "own" if found.exact else "rate",
        "documents": [_asked(w) | {"own": w.own} for w in found.writing],
        "chats": found.unwritten + sum(chats.writing.rows for chats in found.chats),
        "written_chats": [
            _asked(c.writing) | {"chats": c.chats, "learned_tokens": _data(c.learned.tokens)} for c in found.chats
        ],
        "match": _match_data(found.matched) if found.matched else None,
        "training": [
            {"model": model, "stage": s.kind, "rows": round(s.rows), "tokens": _data(s.tokens), "updates": s.updates}
            for model, s in found.training
        ],
        "stages": len(found.stages),
        "seeds": found.seeds,
        "models": found.models,
        "eval_rows": found.eval_rows,
        "criticised": [
            {
                "part": asked.part,
                "requests": asked.expected,
                "requests_at_worst": asked.worst,
                "prompt_tokens_each": round(asked.prompt),
                "reply_tokens_each": round(asked.reply),
                "cost": dict(zip(("expected", "worst"), asked.costs, strict=True)) if asked.costs else None,
            }
            for asked in found.criticised
        ],
        "judging": found.judging._asdict(),
        "tokens_to_train": _data(found.trained),
        "replies": next((w.how for w in found.asked if w.how), None),
        "cost": _cost_data(found),
        "gpu_hours": round(found.hours * found.rates.gpus, 2),
        "hours": round(found.hours, 2),
        "change": {**vars(change), "why": dict(change.why)} if change else None,
        "problems": [{"name": p.name, "message": p.message, "hint": p.hint} for p in found.problems],
    }


def _asked(w: Writing) -> dict[str, Any]:
    return {
        "arm": w.arm,
        "rows": w.rows,
        "grown": w.grown,
        "shared": w.shared,
        "reserve": w.reserve,
        "prompt_tokens": _data(w.prompt),
        "cached": round(w.cached, 3),
        "reply_tokens": _data(w.reply),
    }


def _match_data(matched: Matched) -> dict[str, Any]:
    arms = {
        name: {"grown": arm.grown.total(), "reserve_left": arm.reserve, "documents": arm.kept.total()}
        for name, arm in matched.arms.items()
    }
    pairs = [
        {
            "arms": pair.arms,
            "planned": {"documents": pair.planned, "paired": pair.paired},
            "matched": {"documents": pair.matched, "paired": pair.paired_then},
        }
        for pair in matched.pairs
    ]
    return {"by": matched.by, "size": _data(matched.size), "arms": arms, "pairs": pairs}


def _cost_data(found: Forecast) -> dict[str, Any] | None:
    """None where nobody knows it."""
    price = found.target.price
    return {**money(found.asked, price)._asdict(), "price": price.model_dump()} if price else None


def _data(estimate: Estimate) -> dict[str, int]:
    return {"value": round(estimate.value), "error": round(estimate.error)}
