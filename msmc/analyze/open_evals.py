"""`eval … judged` and `eval … agentic`: what a judge grades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msmc.analyze.items import read_questions
from msmc.analyze.own import OwnReader
from msmc.analyze.sweeps import out_of_range
from msmc.diagnostics import Diagnostic, Label, did_you_mean
from msmc.ir import GOALS, SCENARIOS, OpenEval, OpenQuestion
from msmc.syntax import ast

if TYPE_CHECKING:
    from msmc.analyze.blocks import BlockReader

MOST_SAMPLES = 10_000


class OpenReader:
    """Reads such a block of a spec."""

    def __init__(self, blocks: BlockReader, own: OwnReader) -> None:
        self.blocks, self.own, self.problems = blocks, own, blocks.problems

    def read(self, block: ast.EvalJudged | ast.EvalAgentic) -> OpenEval:
        once = (ast.Questions, ast.Rung, ast.HeldOut, ast.Samples)
        self.blocks.once_each(block.items, once)
        rungs = [item.distance.word for item in block.items if isinstance(item, ast.Rung)]
        return self._judged(block, rungs) if isinstance(block, ast.EvalJudged) else self._agentic(block, rungs)

    def _judged(self, block: ast.EvalJudged, rungs: list[str]) -> OpenEval:
        held_out = any(isinstance(item, ast.HeldOut) for item in block.items)
        written = [item.path for item in block.items if isinstance(item, ast.Questions)]
        if held_out and not written:
            message = f"`{block.name.word}` holds its questions out, and has none of your own"
            hint = 'add: questions "questions.jsonl", or leave held_out out: those made from the clauses name what was trained'
            self.problems.append(
                Diagnostic("field-missing", message, Label(block.name.span, "no questions"), hint=hint)
            )
        path = self.own.beside(written[0].plain) if written else None
        return OpenEval.model_construct(
            name=block.name.word,
            kind="judged",
            about=self.blocks.about(block.items, block.span, None),
            rung=rungs[0] if rungs else "far" if held_out else "near",  # type: ignore[arg-type]
            held_out=held_out,
            path=path,
            questions=self._questions(path, written[0]) if path else (),
        )

    def _questions(self, path: str, written: ast.Quoted) -> tuple[OpenQuestion, ...]:
        resolver = self.blocks.resolver
        found, problems = read_questions(path, resolver.sources, written.span, resolver.files.sources)
        self.problems += problems
        return tuple(row.model_copy(update={"about": self.own.about(row, where)}) for where, row in found)

    def _agentic(self, block: ast.EvalAgentic, rungs: list[str]) -> OpenEval:
        scenarios = [name for item in block.items if isinstance(item, ast.Scenarios) for name in item.names]
        goals = [name for item in block.items if isinstance(item, ast.Goals) for name in item.names]
        samples = [item.number for item in block.items if isinstance(item, ast.Samples)]
        number = int(samples[0].word[:6]) if samples else 1
        if not 1 <= number <= MOST_SAMPLES:
            self.problems.append(out_of_range(f"samples counts from 1 to {MOST_SAMPLES:,}", samples[0].span))
        return OpenEval.model_construct(
            name=block.name.word,
            kind="agentic",
            about=self.blocks.about(block.items, block.span, ()),
            rung=rungs[0] if rungs else "far",  # type: ignore[arg-type]
            scenarios=self._known(scenarios, SCENARIOS, "scenario") or SCENARIOS,
            goals=self._known(goals, GOALS, "goal") or GOALS,
            samples=number,
        )

    def _known(self, written: list[ast.Name], known: tuple[str, ...], what: str) -> tuple[str, ...]:
        for name in written:
            if name.word not in known:
                hint = did_you_mean(name.word, known) or f"the {what}s are: {', '.join(known)}"
                message = f"there is no {what} `{name.word}`"
                self.problems.append(Diagnostic("unknown-name", message, Label(name.span, "not known"), hint=hint))
        return tuple(dict.fromkeys(name.word for name in written))
