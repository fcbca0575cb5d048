"""A study as the page reads it: the comparison, the run folders behind it, and the build that they were scored on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msmc.backend.comparison import Values, read_run
from msmc.stored import read_json, read_jsonl

RUNGS = {
    "learned": "what the models were trained on: the spec's own text and the trained items",
    "near": "unseen items of the trained domain",
    "far": "items of other domains",
}
OWN = "own"
"""Where evaluations stand that are on no rung: the author's own tasks, of which nobody says how far they are."""
AT_THE_END = "at the end"
MOMENTS = {
    "scores-after-midtrain": "after midtraining",
    "scores-after-finetune": "after fine-tuning",
    "scores": AT_THE_END,
}
"""When a model was asked: the links of a run's folder."""
Row = dict[str, Any]


def rows_of(**chosen: Any) -> str:
    """A link to rows on the page: what the filters are set to, a word or several of each; without `when`, what was asked at the
    end."""
    return f"#rows?{urlencode({'when': AT_THE_END} | chosen, doseq=True)}"


@dataclass(frozen=True)
class Study:
    """Runs in the comparison's order, each with its folder."""

    comparison: dict[str, Any]
    folders: list[Path]

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """Of each run its run.json."""
        return [read_run(folder) for folder in self.folders]

    @cached_property
    def arms(self) -> list[str]:
        """The models by name, whatever their seed, those of a sweep last."""
        runs = sorted(self.comparison["runs"], key=lambda run: bool(run["swept"]))
        return list(dict.fromkeys(run["name"] for run in runs))

    @property
    def seeds(self) -> list[int]:
        return sorted({run["seed"] for run in self.comparison["runs"]})

    @property
    def evals(self) -> dict[str, dict[str, Any]]:
        """Evaluations by name, in the order of their rungs, those that are on none last."""
        found = {n: block | {"rung": block["rung"] or OWN} for n, block in self.comparison["evals"].items()}
        return dict(sorted(found.items(), key=lambda entry: [*RUNGS, OWN].index(entry[1]["rung"])))

    @cached_property
    def figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By model, over all its seeds, and by evaluation."""
        return {arm["name"]: {figure["eval"]: figure for figure in arm["figures"]} for arm in self.comparison["arms"]}

    def estimate(self, arm: str, name: str) -> dict[str, Any] | None:
        """Of a model by an evaluation's own measure."""
        measures = self.figures[arm].get(name, {}).get("measures", {})
        found: dict[str, Any] | None = measures.get(self.evals[name]["measure"])
        return found

    @cached_property
    def places(self) -> Mapping[str, str]:
        """`file:line` of every node of every arm that was trained on, and of what evaluations are about."""
        return {
            node: f"{place['file']}:{place['line']}"
            for run in self.runs
            for sourcemap in run["sourcemaps"].values()
            for node, place in sourcemap.items()
        }

    @cached_property
    def values_of(self) -> Values:
        """Of a clause the values that it is told for."""
        return Values([run.get("serves", {}) for run in self.runs])

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return {row["clause"]: row["kind"] for run in self.runs for row in run["coverage"]}

    def kind(self, clause: str) -> str:
        """`value`, `rule`, `rationale` or `subrule`."""
        return self._kinds.get(clause) or clause.rpartition(".")[2]

    @cached_property
    def questions(self) -> dict[str, Row]:
        """The evaluations' rows by id, of the build that the runs keep; none where that was removed."""
        manifest = self.runs[0]["builds"]["full"]
        for path in sorted(self.folders[0].absolute().parents[3].glob("builds/*/full/manifest.json")):
            if read_json(path) == manifest:
                files = sorted(path.parent.glob("evals/*.jsonl"))
                return {row["id"]: row for file in files for row in read_jsonl(file)}
        return {}

    def asked(self, link: str) -> bool:
        """Was any model asked at this moment?"""
        return any((folder / link / "scores.jsonl").is_file() for folder in self.folders)

    def stage_rows(self, number: int, pattern: str) -> Iterator[tuple[Path, Row]]:
        """The rows of a run's files, each with its file."""
        for path in sorted(self.folders[number].glob(pattern)):
            yield from ((path, row) for row in read_jsonl(path))
