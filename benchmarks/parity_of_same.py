"""How far two corpora of one arm are apart that differ in their seeds alone: what the thresholds of `gates.parity` come from.

`python benchmarks/parity_of_same.py [--documents N] [--pairs N]`: the `template` writer on the cheese specs. Prints the largest
ratio of naming rates and the largest difference of any word's share of documents, of pairs of the same arm and, beside them, of
arms that an ablation compares.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from msmc.backend.gates.parity import Compared, Corpus, compare
from msmc.backend.template_writer import TemplateWriter
from msmc.build import Build, DocumentRow
from msmc.compile import compile
from msmc.digest import seed_of
from msmc.disk import ProjectSources
from msmc.gated import Gated
from msmc.ir import ArmSpec
from msmc.library import Library
from msmc.project import load_target

ROOT = Path(__file__).parents[1]
ARMS = "  ablation style { arm rules { drop rationale } arm bare { drop value, rationale } }\n}\n"
SPECS = ("america", "affordability")


class Project(Mapping[str, bytes]):
    """The shipped specs, with an ablation in one of them."""

    def __init__(self, spec: str) -> None:
        self._spec, self._shipped = spec, ProjectSources(ROOT)

    def __getitem__(self, path: str) -> bytes:
        text = self._shipped[path]
        return text.rstrip()[:-1] + ARMS.encode() if path == self._spec else text

    def __iter__(self) -> Iterator[str]:
        return iter(self._shipped)

    def __len__(self) -> int:
        return len(self._shipped)


def main() -> int:
    options = _options()
    library = Library(ProjectSources(ROOT))
    table = Table("spec", "compared", "documents", "assistant", "provider", "furthest word", "beyond")
    for name in SPECS:
        path = f"specs/cheese/{name}.msm"
        target = load_target("cpu", ROOT, (f"documents.per_clause={options.documents}",))
        outcome = compile(Project(path), path, target, "style")
        if not outcome.builds:
            sys.exit("\n".join(problem.message for problem in outcome.problems))
        corpora = {}
        for build in outcome.builds:
            spec = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
            rows, writer = list(_rows(build)), TemplateWriter(spec, library)
            for n in range(options.pairs + 1):
                texts = [(row.id, writer.write(_reseeded(row, n))) for row in rows]
                corpora[f"{build.arm}, {n}"] = Corpus(
                    spec, [{"id": id, "cell": {}, "text": text} for id, text in texts]
                )
        for arm in dict.fromkeys(key.partition(", ")[0] for key in corpora):
            for n in range(options.pairs):
                pair = [f"{arm}, {n}", f"{arm}, {n + 1}"]
                _line(table, name, compare({key: corpora[key] for key in pair}, Gated())[0])
        for arm in ("style.rules", "style.bare"):
            _line(table, name, compare({key: corpora[f"{key}, 0"] for key in ("full", arm)}, Gated())[0])
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    return 0


def _line(table: Table, spec: str, found: Compared) -> None:
    ratios = [f"{max(rates) / max(min(rates), 1e-9) - 1:.3f}" for rates in found.naming.values()]
    word, one, other = found.furthest
    beyond = ", ".join(apart.what for apart in found.apart) or "-"
    arms, numbers = " and ".join(found.arms), " and ".join(map(str, found.documents))
    table.add_row(spec, arms, numbers, *ratios, f"{word} {abs(one - other):.3f}", beyond)


def _reseeded(row: DocumentRow, n: int) -> DocumentRow:
    return row.model_copy(update={"seed": seed_of("attempt", row.seed, n)}) if n else row


def _rows(build: Build) -> Iterator[DocumentRow]:
    for artefact in build.artefacts:
        folder, _, file = artefact.path.rpartition("/")
        if folder == "documents" and file != "prefixes.jsonl":
            yield from (DocumentRow.model_validate_json(line) for line in artefact)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=20, help="of each clause")
    parser.add_argument("--pairs", type=int, default=3, help="of each arm")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
