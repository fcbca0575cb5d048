"""Every row behind the figures: its score for every model, and what was said, as far as a page can carry it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from msmc.backend.page.embedded import Words, stratified
from msmc.backend.page.study import Row, Study
from msmc.build import canonical

TRANSCRIPTS = 20_000_000
"""Characters of transcripts and questions on a page; of the others it has the command that shows them."""
FORCED, OTHERS = ("aligned", "against", "even", "missing"), ("1", "0", "another value", "missing")
"""What a row comes to: a forced choice by the sign of its margin, another evaluation by its primary measure."""


class Line(NamedTuple):
    """One row's score for one model."""

    model: int
    row: Row
    value: float | None
    outcome: str
    said: dict[str, Any]
    """Everything else there is to show: what the model wrote, who judged it and how, further measures."""


def rows(study: Study, budget: int = TRANSCRIPTS) -> dict[str, Any]:
    """Columns for the page's script. `asked` are the rows themselves, which the models share; `lines` their scores."""
    words = {name: Words() for name in ("eval", "topic", "outcome", "clause", "place", "reason")}
    asked, lines = _Asked(words), _Lines(words)
    sizes: list[tuple[tuple[object, ...], int]] = []
    for line in _lines(study):
        lines.add(line, asked.number(line.row))
        stratum = (line.model, line.row["eval"], line.row["topic"], line.outcome)
        sizes.append((stratum, len(canonical(line.said)) if line.said else 0))
    questions = {id: row for id, row in study.questions.items() if id in asked.numbers}
    spent = sum(len(canonical(_question(row))) for row in questions.values())
    chosen = stratified(sizes, budget - spent)
    with_words = sum(bool(size) for _, size in sizes)
    said = {number: line.said for number, line in enumerate(_lines(study)) if number in chosen and line.said}
    return {
        "models": [{"arm": run["name"], "seed": run["seed"]} for run in study.comparison["runs"]],
        "asked": asked.columns | {"question": {asked.numbers[i]: _question(row) for i, row in questions.items()}},
        "lines": lines.columns,
        "said": said,
        "left_out": with_words - len(said),
        "words": {name: found.all for name, found in words.items()},
        "places": [study.places.get(clause, "") for clause in words["clause"].all],
    }


class _Asked:
    """The rows that models were asked, each once."""

    def __init__(self, words: dict[str, Words]) -> None:
        self._words = words
        self.numbers: dict[str, int] = {}
        self.columns: dict[str, list[Any]] = {name: [] for name in ("id", "eval", "topic", "about", "form", "order")}

    def number(self, row: Row) -> int:
        if row["id"] not in self.numbers:
            self.numbers[row["id"]] = len(self.numbers)
            self.columns["id"].append(row["id"])
            self.columns["eval"].append(self._words["eval"].number(row["eval"]))
            self.columns["topic"].append(self._words["topic"].number(row["topic"] or ""))
            self.columns["about"].append([self._words["clause"].number(clause) for clause in row["about"]])
            self.columns["form"].append(row.get("form"))
            self.columns["order"].append(row.get("order"))
        return self.numbers[row["id"]]


class _Lines:
    """Their scores."""

    def __init__(self, words: dict[str, Words]) -> None:
        self._words = words
        self.columns: dict[str, list[Any]] = {name: [] for name in ("model", "row", "value", "outcome", "reason")}

    def add(self, line: Line, row: int) -> None:
        reason = line.row.get("unscoreable")
        self.columns["model"].append(line.model)
        self.columns["row"].append(row)
        self.columns["value"].append(None if line.value is None else round(line.value, 4))
        self.columns["outcome"].append(self._words["outcome"].number(line.outcome))
        self.columns["reason"].append(self._words["reason"].number(reason) if reason else -1)


def _question(row: Row) -> dict[str, Any]:
    """A row as it was asked; of a choice both answers, the aligned one named."""
    turns = row["input"]  # of Inspect's samples a text, or messages
    said = turns if isinstance(turns, str) else "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
    asked: dict[str, Any] = {"input": said}
    if row.get("choices"):
        asked |= {"choices": row["choices"], "target": "AB".find(str(row["target"]))}
    return asked


# ---- what is read -----------------------------------------------------------------------------------------------------------


def _lines(study: Study) -> Iterator[Line]:
    """In the order of the models, their files and the rows there: the same at every reading."""
    for model in range(len(study.folders)):
        said = {row["id"]: row for _, row in study.stage_rows(model, "scores/generated.jsonl")}
        letters = {row["id"]: row for _, row in study.stage_rows(model, "scores/letters.jsonl")}
        for _, row in study.stage_rows(model, "scores/scores.jsonl"):
            yield _choice(model, row, said.get(row["id"]), letters.get(row["id"]))
        for path, row in study.stage_rows(model, "*/items.jsonl"):
            yield _item(model, row, study.runs[model]["stages"][path.parent.name])


def _choice(model: int, row: Row, generated: Row | None, letter: Row | None) -> Line:
    margin = row["margin"]
    aligned, against, even, missing = FORCED
    outcome = missing if margin is None else even if margin == 0 else aligned if margin > 0 else against
    said: dict[str, Any] = {}
    if generated is not None:
        said = {"reply": generated["reply"], "choice": generated["choice"] or generated["unparsed"] or "unparsed"}
    if letter is not None and letter["margin"] is not None:
        said["measures"] = {"margin of letters": round(letter["margin"], 4)}
    return Line(model, row, margin, outcome, said)


def _item(model: int, row: Row, stage: dict[str, Any]) -> Line:
    value = row["measures"].get(stage.get("primary_measure")) if row["measures"] else None
    one, zero, other, missing = OTHERS
    outcome = missing if value is None else one if value == 1 else zero if value == 0 else other
    said: dict[str, Any] = dict(row["transcript"] or {})
    if measures := {name: found for name, found in row["measures"].items() if found is not None}:
        said["measures"] = measures
    return Line(model, row, value, outcome, said)
