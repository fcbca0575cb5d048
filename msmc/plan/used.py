"""At the end of a run: what was forecast of what it had to do, beside what it really used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msmc.backend.stages import Stages
from msmc.compile import Outcome
from msmc.plan.forecast import Forecast, forecast
from msmc.plan.money import money
from msmc.plan.told import amount
from msmc.plan.writing import Writing
from msmc.source import Sources
from msmc.stored import read_json
from msmc.target import Target
from msmc.writer import Remote


class Line(NamedTuple):
    what: str
    forecast: float
    used: float


@dataclass
class Comparison:
    """Begun before the work, so that the forecast knows nothing of it."""

    found: Forecast
    stages: Stages
    seeds: list[int]
    left: list[Writing]
    """Documents and chats that had no reply in the ledger yet."""
    known: int
    """Documents that had one."""

    @classmethod
    def begin(cls, outcome: Outcome, target: Target, sources: Sources, stages: Stages, seeds: list[int]) -> Comparison:
        found = forecast(outcome, target, sources, stages.writing.meter.tokens, stages.ledger)
        planned = [w for w in found.writing if w.rows]
        documents, known = stages.writing.left({w.arm: w.grown for w in planned})
        left = [w.times(documents[w.arm] / w.rows) for w in planned]
        asked = [chats.writing for chats in found.chats if chats.writing.rows]
        chats = stages.writing.chats_left(w.arm for w in asked)
        left += [w.times(chats[w.arm] / w.rows) for w in asked]
        return cls(found, stages, seeds, left, known)

    def lines(self) -> Iterator[str]:
        """Nothing where nothing was done."""
        used, price = self.stages.writing.meter.used, self.found.target.price
        compared = [*self._written(), *self._trained()]
        if not compared:
            return
        yield f"\n{'forecast and used':<22} {'forecast':>14} {'used':>14} {'used / forecast':>17}"
        yield from map(_row, compared)
        if used.replies:
            told = f"  {used.replies:,} new replies; {self.known:,} documents had theirs in the ledger"
            counted = f"; the tokens of {used.counted:,} are counted by the target's tokenizer" if used.counted else ""
            yield told + counted
        if used.replies and isinstance(self.found.target.model_writer, Remote):
            yield f"  price of `{self.found.target.writer_name}`: {price or 'unknown'}"

    def _written(self) -> Iterator[Line]:
        used, price = self.stages.writing.meter.used, self.found.target.price
        if not used.replies:
            return
        yield Line("prompt tokens", sum(w.prompt.value for w in self.left), used.prompt)
        yield Line("reply tokens", sum(w.reply.value for w in self.left), used.reply)
        if price and isinstance(self.found.target.model_writer, Remote):
            yield Line(f"cost, {price.currency}", money(self.left, price).expected, used.cost(price))

    def _trained(self) -> Iterator[Line]:
        """Of the stages that this command did."""
        seconds = {job.folder: took for job, took in self.stages.done_now}
        if not seconds:
            return
        stages = {(model, stage.kind): stage for model, stage in self.found.training}
        tokens = updates = rows = took = 0.0
        expected_tokens = expected_updates = 0.0
        for seed in self.seeds:
            for run in self.stages.tree.runs:
                for kind, job in self.stages.of_run(run, seed).items():
                    scoring = kind.startswith("scores")
                    if job.folder not in seconds or not (scoring or kind in ("midtrain", "finetune")):
                        continue
                    took += seconds.pop(job.folder)
                    if scoring:
                        rows += self.found.eval_rows
                        continue
                    told, stage = read_json(job.folder / "stage.json"), stages[run.name, kind]
                    tokens, updates = tokens + told["tokens"], updates + told["updates"]
                    expected_tokens += stage.tokens.value
                    expected_updates += stage.updates
        if updates:
            yield Line("training tokens", expected_tokens, tokens)
            yield Line("updates", expected_updates, updates)
        if took:
            yield Line(
                "hours", (expected_tokens / self.found.rates.tokens + rows / self.found.rates.rows) / 3600, took / 3600
            )


def _row(line: Line) -> str:
    ratio = f"{line.used / line.forecast:.2f}" if line.forecast else "-"
    if line.what.startswith("cost"):
        shown = [amount(line.forecast), amount(line.used)]
    else:
        shown = [f"{n:,.2f}" if line.what == "hours" else f"{n:,.0f}" for n in (line.forecast, line.used)]
    return f"  {line.what:<20} {shown[0]:>14} {shown[1]:>14} {ratio:>17}"
