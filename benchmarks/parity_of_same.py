"""How far two corpora of one arm are apart that differ in their seeds alone: what the thresholds of `gates.parity` come from.

`python benchmarks/parity_of_same.py [--documents N] [--pairs N]`: the `template` writer on three shipped specs, each with its
reasons, without them, and without its values too. No corpus is in two pairs. Told are quantiles over pairs of the larger naming
rate over the smaller one, less one, and of the largest difference of any word's share of documents; then in how many pairs
the gate finds something as it is set; then in how many it finds a difference that was planted in one side. Below, the arms that
an ablation compares.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
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
SPECS = ("cheese/america", "cheese/affordability", "neutral/assistant")
SHIPPED = ("cheese/study", "crossed")
"""A spec with an ablation of its own."""
SIZES = (30, 60, 120, 240, 480)
"""Documents a side: the first of each clause before the second of any."""
QUANTILE = 0.95
WORD = "tapestry"
"""What is planted: no spec and no form has it."""
MORE, SHARE = 2, 3
"""Planted are so many times as many mentions of the assistant, and the word in one document of so many."""

Texts = list[tuple[str, str]]
"""Documents with their ids, in turns of clauses."""


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
    of_same = dict[int, list[Compared]]()
    planted = dict[int, list[tuple[bool, bool]]]()
    of_arms = list[Compared]()
    for name in SPECS:
        corpora = _written(f"specs/{name}.msm", options.documents, 2 * options.pairs)
        for spec, texts in corpora.values():
            for size in (size for size in SIZES if size <= len(texts[0])):
                for one, other in zip(texts[::2], texts[1::2], strict=True):
                    of_same.setdefault(size, []).append(_beside(spec, one[:size], spec, other[:size]))
                    named, worded = _named_more(other[:size], spec), _with_word(other[:size])
                    planted.setdefault(size, []).append(
                        (
                            "assistant" in _found(_beside(spec, one[:size], spec, named)),
                            WORD in _found(_beside(spec, one[:size], spec, worded)),
                        )
                    )
        of_arms += _of_arms(corpora)
    spec, ablation = SHIPPED
    of_arms += _of_arms(_written(f"specs/{spec}.msm", options.documents, 1, ablation))
    for apart in (apart for compared in of_arms for apart in compared.apart):
        print(apart, file=sys.stderr)
    table = Table("documents a side", "pairs", "assistant", "provider", "a word", "beyond", "named more", "worded")
    for size, pairs in sorted(of_same.items()):
        found = planted[size]
        powers = [f"{sum(each[n] for each in found) / len(found):.0%}" for n in range(2)]
        table.add_row(str(size), *_figures(pairs), *powers)
    table.add_row("arms that are compared", *_figures(of_arms), "", "")
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    print(f"the {QUANTILE:.0%} quantile, and the most; beyond: pairs with something beyond the target's defaults")
    return 0


def _of_arms(corpora: dict[str, tuple[ArmSpec, list[Texts]]]) -> list[Compared]:
    full, (first, *_) = corpora["full"]
    return [_beside(full, first, spec, texts[0]) for arm, (spec, texts) in corpora.items() if arm != "full"]


def _written(path: str, documents: int, number: int, ablation: str = "style") -> dict[str, tuple[ArmSpec, list[Texts]]]:
    """Each arm's spec with so many corpora of it."""
    target, library = load_target("cpu", ROOT, (f"documents.per_clause={documents}",)), Library(ProjectSources(ROOT))
    sources = Project(path) if ablation == "style" else ProjectSources(ROOT)
    outcome = compile(sources, path, target, ablation)
    if not outcome.builds:
        sys.exit("\n".join(problem.message for problem in outcome.problems))
    found = dict[str, tuple[ArmSpec, list[Texts]]]()
    for build in outcome.builds:
        spec = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
        rows, writer = _in_turns(_rows(build)), TemplateWriter(spec, library)
        found[build.arm] = spec, [[(row.id, writer.write(_reseeded(row, n))) for row in rows] for n in range(number)]
    return found


def _in_turns(rows: Iterable[DocumentRow]) -> list[DocumentRow]:
    seen, turns = Counter[str](), list[tuple[int, int, DocumentRow]]()
    for number, row in enumerate(rows):
        turns.append((seen[row.cell.clause], number, row))
        seen[row.cell.clause] += 1
    return [row for *_, row in sorted(turns, key=lambda turn: turn[:2])]


def _beside(spec: ArmSpec, one: Texts, theirs: ArmSpec, other: Texts) -> Compared:
    sides = [
        Corpus(of, [{"id": id, "cell": {}, "text": text} for id, text in texts])
        for of, texts in ((spec, one), (theirs, other))
    ]
    return compare({"one": sides[0], "other": sides[1]}, Gated(duplicates=None))[0]


def _found(compared: Compared) -> set[str]:
    return {apart.what for apart in compared.apart}


def _named_more(texts: Texts, spec: ArmSpec) -> Texts:
    name = spec.identity.assistant
    return [(id, f"{text}\n\n{(name + '. ') * ((MORE - 1) * text.count(name))}") for id, text in texts]


def _with_word(texts: Texts) -> Texts:
    return [(id, f"{text}\n\nA {WORD}." if n % SHARE == 0 else text) for n, (id, text) in enumerate(texts)]


def _figures(found: list[Compared]) -> list[str]:
    ratios = {
        what: [max(one.naming[what]) / max(min(one.naming[what]), 1e-9) - 1 for one in found]
        for what in ("assistant", "provider")
    }
    words = [abs(one.furthest[1] - one.furthest[2]) for one in found]
    told = (f"{np.quantile(each, QUANTILE):.3f}, {max(each):.3f}" for each in (*ratios.values(), words))
    return [str(len(found)), *told, str(sum(bool(one.apart) for one in found))]


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
    parser.add_argument("--pairs", type=int, default=10, help="of each arm")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
