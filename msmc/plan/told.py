"""A forecast in words, its summary last; and as data."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msmc.plan.change import Change
from msmc.plan.estimate import Estimate
from msmc.plan.forecast import ROWS_A_SECOND, TOKENS_A_SECOND, Forecast
from msmc.plan.money import money

REASONS = 8
"""Reasons for stale rows that are told without --full."""


def as_text(found: Forecast, change: Change | None, adapter: int | None, full: bool) -> str:
    head = (
        f"{found.spec}" + (f", ablation {found.ablation}" if found.ablation else "") + f", target {found.target.name}"
    )
    lines = [head, *(_every(found) if full else ())]
    if found.target.context == "spec":
        lines.append("  context: spec: each prompt shows the whole spec, so every edit makes every row stale")
    lines += _changed(change, full) if change else [f"  no build of `{found.spec}` to compare with: every row is new"]
    return "\n".join([*lines, "", *_summary(found, adapter)])


def _every(found: Forecast) -> Iterator[str]:
    yield f"  {'documents of':<34} {'rows':>9} {'prompt tokens':>18} {'cached':>7} {'reply tokens':>18} {'own':>6}"
    for w in found.writing:
        row = f"{w.rows:>9,} {_about(w.prompt):>18} {w.cached:>7.0%} {_about(w.reply):>18} {len(w.own):>6,}"
        yield f"  {w.arm:<34} {row}"
    yield f"\n  {'training of':<34} {'stage':<9} {'rows':>9} {'tokens':>18} {'updates':>8}"
    seen = set()
    for model, stage in found.training:
        shared = "  shared" if (stage.kind, stage.of) in seen else ""
        seen.add((stage.kind, stage.of))
        row = f"{stage.kind:<9} {stage.rows:>9,.0f} {_about(stage.tokens):>18} {stage.updates:>8,.0f}{shared}"
        yield f"  {model:<34} {row}"
    yield ""


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
        prompt = f"{_about(found.prompt)} prompt tokens, {found.cached:.0%} of them prefixes that a server keeps"
        spare = sum(w.reserve for w in found.writing)
        most = f" (at worst {rows + spare:,}, with the reserve)" if spare else ""
        yield f"write     {rows:,} documents{most}: {prompt}; {_about(found.reply)} reply tokens (by {by})"
    if found.chats:
        yield f"          {found.chats:,} rows of chats, which the writer `{found.target.writer_name}` cannot write"
    if found.target.served and rows:
        yield f"          replies {max(found.writing, key=lambda w: w.rows).how}"
    yield f"cost      {_cost(found)}"
    stages, all_stages = len(found.stages), len(found.training)
    shared = f" ({all_stages - stages} more are shared)" if all_stages > stages else ""
    seeds = f" for each of {found.seeds} seeds" if found.seeds > 1 else ""
    yield f"train     {stages} stages{shared}{seeds}: {_about(found.trained)} tokens in all"
    yield f"evaluate  {found.models} models{seeds} on {found.eval_rows:,} rows each"
    hours = f"about {found.hours:.1f} h on two cores ({TOKENS_A_SECOND} tokens and {ROWS_A_SECOND} rows a second)"
    yield f"time      {hours}; no GPU"
    size = found.build_bytes + 6 * found.reply.value + (adapter or 0) * stages * found.seeds
    yield f"disk      about {_size(size)}" + ("" if adapter else ", and the adapters")


def _cost(found: Forecast) -> str:
    price, name = found.target.price, found.target.writer_name
    if not found.target.served:
        return f"nothing: the writer `{name}` is offline"
    if price is None:
        return f"unknown: nobody told the price of `{name}`; writer.price in the target does"
    low, expected, worst = money(found.writing, price)
    unit = price.currency
    return f"{amount(expected)} {unit} expected, {amount(low)} at least, {amount(worst)} at worst (`{name}`: {price})"


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
        "documents": [
            {
                "arm": w.arm,
                "rows": w.rows,
                "reserve": w.reserve,
                "prompt_tokens": _data(w.prompt),
                "cached": round(w.cached, 3),
                "reply_tokens": _data(w.reply),
                "own": len(w.own),
            }
            for w in found.writing
        ],
        "chats": found.chats,
        "training": [
            {"model": model, "stage": s.kind, "rows": round(s.rows), "tokens": _data(s.tokens), "updates": s.updates}
            for model, s in found.training
        ],
        "stages": len(found.stages),
        "seeds": found.seeds,
        "models": found.models,
        "eval_rows": found.eval_rows,
        "tokens_to_train": _data(found.trained),
        "replies": next((w.how for w in found.writing if w.how), None),
        "cost": _cost_data(found),
        "gpu_hours": 0,
        "hours": round(found.hours, 2),
        "change": {**vars(change), "why": dict(change.why)} if change else None,
        "problems": [{"name": p.name, "message": p.message, "hint": p.hint} for p in found.problems],
    }


def _cost_data(found: Forecast) -> dict[str, Any] | None:
    """None where nobody knows it."""
    price = found.target.price
    return {**money(found.writing, price)._asdict(), "price": price.model_dump()} if price else None


def _data(estimate: Estimate) -> dict[str, int]:
    return {"value": round(estimate.value), "error": round(estimate.error)}
