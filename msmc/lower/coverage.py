"""Coverage as it is planned: of each clause of an arm its documents, its demos and the rows of evaluations."""

from collections import Counter
from collections.abc import Iterable, Iterator

from msmc.build import EvalRow, OpenRow
from msmc.ir import ArmSpec, Clause, Spec
from msmc.lower.contents import Contents


def coverage(
    spec: Spec, arm: ArmSpec, plan: Contents, planned: dict[str, list[Clause]], asked: Iterable[EvalRow | OpenRow]
) -> dict[str, dict[str, int]]:
    """Rows by clause: those to be written and those that exist."""
    counts = {clause.id: Counter(documents=0, demos=0, evals=0) for clause in arm.clauses()}
    for clause_id, number in plan.numbers(planned).items():
        counts[clause_id]["documents"] += number
    for block in plan.demos:
        for clause_id, number in plan.numbers_of_chats(block, arm).items():
            counts[clause_id]["demos"] += number
    # an open question is one row, a forced choice two; what is planted asks nothing of the model
    plain = (row for row in asked if isinstance(row, EvalRow) or row.metadata.canary is None)
    evals = (("evals" if isinstance(row, EvalRow) else "open", about) for row in plain for about in row.about)
    for what, about in (*_brought(spec, arm, plan), *evals):
        if about in counts:
            counts[about][what] += 1
    return {clause: dict(count) for clause, count in counts.items()}


def _brought(spec: Spec, arm: ArmSpec, plan: Contents) -> Iterator[tuple[str, str]]:
    """What rows that stand in the spec or come with it are for, with each clause that they are about."""
    if not plan.own:
        return
    for name, chats in plan.own_chats(spec, arm).items():
        yield from (("demos", a) for demo in chats for a in (demo.about[:1] if name == "static" else demo.about))
    yield from (("documents", a) for row in plan.own_documents(spec, arm) for a in row.about)
