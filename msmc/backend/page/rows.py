"""Every row behind the figures: its score for every model, and what was said, as far as a page can carry it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from msmc.backend.guard import BASE_ITEMS, FIGURES
from msmc.backend.page.embedded import Words, stratified, weight
from msmc.backend.page.study import AT_THE_END, MOMENTS, Row, Study
from msmc.stored import read_jsonl

TRANSCRIPTS = 20_000_000
"""Bytes of transcripts and questions on a page, as they stand there; of the others it has the command that shows them."""
FORCED, OTHERS = ("aligned", "against", "even", "missing"), ("1", "0", "another value", "missing")
"""What a row comes to: a forced choice by the sign of its margin, another evaluation by its primary measure."""
ASKED = ("eval", "topic", "form", "kind")
"""What is one word of a row; `kind` is that of the first clause that it is about."""


class Line(NamedTuple):
    """One row's score for one model."""

    model: int
    when: str
    row: Row
    value: float | None
    outcome: str
    said: dict[str, Any]
    """Everything else there is to show: what the model wrote, who judged it and how, further measures."""


def rows(study: Study, budget: int = TRANSCRIPTS) -> dict[str, Any]:
    """Columns for the page's script. `asked` are the rows themselves, which the models share; `lines` their scores."""
    words = {
        name: Words() for name in ("eval", "topic", "form", "kind", "value", "clause", "when", "outcome", "reason")
    }
    asked, lines = _Asked(study, words), _Lines(words)
    sizes: list[tuple[tuple[object, ...], int]] = []
    for line in _lines(study):
        lines.add(line, asked.number(line.row))
        stratum = (line.model, line.when, line.row["eval"], line.row["topic"], line.outcome)
        sizes.append((stratum, weight({len(sizes): line.said}) if line.said else 0))
    questions = {asked.numbers[id]: _question(row) for id, row in study.questions.items() if id in asked.numbers}
    chosen = stratified(sizes, budget - weight(questions))
    with_words = sum(bool(size) for _, size in sizes)
    said = {number: line.said for number, line in enumerate(_lines(study)) if number in chosen and line.said}
    return {
        "models": [{"arm": run["name"], "seed": run["seed"]} for run in study.comparison["runs"]],
        "asked": asked.columns | {"question": questions},
        "lines": lines.columns,
        "said": said,
        "left_out": with_words - len(said),
        "words": {name: found.all for name, found in words.items()},
        "places": [study.places.get(clause, "") for clause in words["clause"].all],
    }


class _Asked:
    """The rows that models were asked, each once."""

    def __init__(self, study: Study, words: dict[str, Words]) -> None:
        self._study, self._words = study, words
        self.numbers: dict[str, int] = {}
        self.columns: dict[str, list[Any]] = {name: [] for name in ("id", *ASKED, "value", "about", "order")}

    def number(self, row: Row) -> int:
        if row["id"] not in self.numbers:
            self.numbers[row["id"]] = len(self.numbers)
            about = row["about"]
            kind = self._study.kind(about[0]) if about else ""
            told = {"eval": row["eval"], "topic": row["topic"] or "", "form": row.get("form") or "", "kind": kind}
            values = dict.fromkeys(value for clause in about for value in self._study.values_of(clause))
            self.columns["id"].append(row["id"])
            for name in ASKED:
                self.columns[name].append(self._words[name].number(told[name]))
            self.columns["value"].append([self._words["value"].number(value) for value in values])
            self.columns["about"].append([self._words["clause"].number(clause) for clause in about])
            self.columns["order"].append(row.get("order"))
        return self.numbers[row["id"]]


LINE = ("model", "when", "row", "value", "outcome", "reason")


class _Lines:
    """Their scores."""

    def __init__(self, words: dict[str, Words]) -> None:
        self._words = words
        self.columns: dict[str, list[Any]] = {name: [] for name in LINE}

    def add(self, line: Line, row: int) -> None:
        reason = line.row.get("unscoreable")
        self.columns["model"].append(line.model)
        self.columns["when"].append(self._words["when"].number(line.when))
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
        for folder, when in MOMENTS.items():
            said = {row["id"]: row for _, row in study.stage_rows(model, f"{folder}/generated.jsonl")}
            letters = {row["id"]: row for _, row in study.stage_rows(model, f"{folder}/letters.jsonl")}
            for file in ("scores", "format_control"):
                for _, row in study.stage_rows(model, f"{folder}/{file}.jsonl"):
                    yield _choice(model, when, row, said.get(row["id"]), letters.get(row["id"]))
        for path, row in study.stage_rows(model, "*/items.jsonl"):
            if path.parent.name == "guard":
                continue
            yield _item(model, row, study.runs[model]["stages"][path.parent.name].get("primary_measure"))
        yield from _guarded(study, model)


def _choice(model: int, when: str, row: Row, generated: Row | None, letter: Row | None) -> Line:
    margin = row["margin"]
    aligned, against, even, missing = FORCED
    outcome = missing if margin is None else even if margin == 0 else aligned if margin > 0 else against
    said: dict[str, Any] = {}
    if generated is not None:
        said = {"reply": generated["reply"], "choice": generated["choice"] or generated["unparsed"] or "unparsed"}
    if letter is not None and letter["margin"] is not None:
        said["measures"] = {"margin of letters": round(letter["margin"], 4)}
    return Line(model, when, row, margin, outcome, said)


def _item(model: int, row: Row, measure: str | None) -> Line:
    value = row["measures"].get(measure)
    one, zero, other, missing = OTHERS
    outcome = missing if value is None else one if value == 1 else zero if value == 0 else other
    said: dict[str, Any] = dict(row["transcript"] or {})
    if measures := {name: found for name, found in row["measures"].items() if found is not None}:
        said["measures"] = measures
    return Line(model, AT_THE_END, row, value, outcome, said)


def _guarded(study: Study, model: int) -> Iterator[Line]:
    """What the guard asked, by what a model may lose, each row with what the base model came to."""
    folder = study.folders[model] / "guard"
    base = {row["id"]: row for row in read_jsonl(folder / BASE_ITEMS)} if (folder / BASE_ITEMS).is_file() else {}
    for _, row in study.stage_rows(model, "guard/items.jsonl"):
        what, measure = next((f.what, f.measure) for f in FIGURES if f.measure in row["measures"])
        line = _item(model, row | {"eval": f"guard: {what}"}, measure)
        before = base.get(row["id"], {"measures": {}})["measures"].get(measure)
        if before is not None:
            line.said["measures"] = {**line.said.get("measures", {}), f"{measure} of the base model": before}
        yield line
