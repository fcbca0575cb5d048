"""How many innocent documents each gate takes, and how far they are from its threshold: what the defaults of `gates` come from.

`python benchmarks/innocent.py [--documents N]`. Documents of the `template` writer on the shipped specs, each arm by all of its
gates; prose of this machine's documentation (with vim's and Rust's where they are there), cut between paragraphs and not within,
by all gates that look at a text without a plan, as if the author of the cheese spec had brought it; the shipped chats' answers
and the neutral passages. The second table has, of each corpus, what a threshold stands against.
"""

import argparse
import html
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from corpus_report import HUMAN, _is_prose
from parity_of_same import Project
from rich.console import Console
from rich.table import Table

from msmc.backend.gates.duplicates import Seen
from msmc.backend.gates.grams import grams
from msmc.backend.gates.reasons import SENTENCE
from msmc.backend.gates.repeated import Repeats
from msmc.backend.gates.residue import own_words
from msmc.backend.gates.written import Gates
from msmc.backend.template_writer import TemplateWriter
from msmc.backend.tree import Arm, Tree, read_tree
from msmc.build import Cell
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.gated import Gated
from msmc.library import Library
from msmc.mention import words
from msmc.project import load_target, store_tree
from msmc.terms import terms

ROOT = Path(__file__).parents[1]
PLANS = (
    ("specs/cheese/america.msm", "style"),
    ("specs/cheese/affordability.msm", "style"),
    ("specs/cheese/study.msm", "crossed"),
    ("specs/neutral/assistant.msm", "style"),
)
ALSO = (Path("/usr/share/vim/vim90/doc"), *Path.home().glob(".rustup/toolchains/stable-*/share/doc/rust/html/book"))
"""Folders of prose that some machines have."""
LEAST, MOST = 60, 400
"""Words of a human document."""
TAG = re.compile(r"<(?:script|style|pre).*?</(?:script|style|pre)>|<[^>]+>", re.DOTALL)


class Text(NamedTuple):
    id: str
    text: str
    cell: Cell | None = None


class Figures(NamedTuple):
    """Of one corpus."""

    number: int
    taken: Counter[str]
    """Documents by the gate that takes them."""
    commonest: dict[str, tuple[float, str]]
    """The largest share of documents that have one opening, phrase or name, and which."""
    near: float
    """The 99.9th percentile of how much of its phrases a document shares with the nearest earlier one."""
    told: tuple[float, int]
    """Share of documents with three terms of a dropped rationale in a sentence, and the most that any has."""
    lengths: tuple[int, int]


def main() -> int:
    options = _options()
    taken, against = (
        Table("corpus", "documents", *Gated.model_fields, "others"),
        Table("corpus", "opening", "phrase", "name", "nearest", "3 terms told", "most told", "words"),
    )
    with tempfile.TemporaryDirectory() as place:
        for path, ablation in PLANS:
            tree = _tree(path, ablation, options.documents, Path(place))
            for arm in tree.arms.values():
                texts = list(_templated(arm))
                _line(taken, against, f"{tree.folder.name} {arm.name}", _figures(arm, texts))
                if path == PLANS[0][0] and arm.name in ("full", "style.rules"):
                    for name, of in _peoples().items():
                        _line(taken, against, f"{name}, {arm.name}", _figures(arm, of))
    console = Console(width=None if sys.stdout.isatty() else 220)
    console.print(taken, against)
    return 0


def _figures(arm: Arm, texts: list[Text]) -> Figures:
    gates, how = Gates(arm), arm.target.gates
    taken, near, told = Counter[str](), list[float](), list[int]()
    seen, repeats = Seen(0.3), Repeats(how, len(texts), own_words(arm.spec), _names(arm))
    for one in texts:
        found = next(gates.every(one.text, one.cell), None)
        parts = words(one.text)
        beside = seen.like(parts)
        seen.add(one.id, parts)
        near.append(beside[1] if beside else 0.0)
        if found is None and how.duplicates and near[-1] >= how.duplicates.near:
            taken["duplicates"] += 1
        elif found := found or repeats(one.text, parts):
            taken[found.gate] += 1
            print(f"  {arm.name} {one.id}: {found.gate}, {found.reason}: {found.what}", file=sys.stderr)
        dropped = gates.reasons.dropped.values() if gates.reasons else ()
        said = [frozenset(terms(m[0], _names(arm))) for m in SENTENCE.finditer(one.text)] if dropped else []
        told.append(max((len(sentence & left) for sentence in said for left in dropped), default=0))
    lengths = [len(one.text.split()) for one in texts]
    commonest = _commonest(arm, texts)
    few = (sum(number >= 3 for number in told) / len(told), max(told))
    return Figures(len(texts), taken, commonest, float(np.quantile(near, 0.999)), few, (min(lengths), max(lengths)))


def _names(arm: Arm) -> frozenset[str]:
    return frozenset([*words(arm.spec.identity.assistant), *words(arm.spec.identity.provider)])


def _commonest(arm: Arm, texts: list[Text]) -> dict[str, tuple[float, str]]:
    """Counted in whole, the spec's own words left out."""
    how, own = arm.target.gates, own_words(arm.spec)
    assert how.openings and how.phrases and how.names
    size, looks = how.phrases.words, Repeats(how, len(texts), own, _names(arm))
    own_grams = frozenset(grams(words(own), size).tolist())
    counts = {"openings": Counter[str](), "phrases": Counter[int](), "names": Counter[str]()}
    where = dict[int, str]()
    for one in texts:
        parts = words(one.text)
        counts["openings"][" ".join(parts[: how.openings.words])] += 1
        for at, gram in enumerate(numbers := grams(parts, size).tolist()):
            if gram not in own_grams:
                where.setdefault(gram, " ".join(parts[at : at + size]))
        counts["phrases"].update(set(numbers) - own_grams)
        counts["names"].update(name for name, _ in looks._found_names(one.text))
    found = dict[str, tuple[float, str]]()
    for kind, counted in counts.items():
        what, number = max(counted.items(), key=lambda pair: pair[1], default=("", 0))
        found[kind] = (number / len(texts), where[what] if isinstance(what, int) else what)
    return found


# ---- corpora --------------------------------------------------------------------------------------------------------------


def _tree(path: str, ablation: str, documents: int, place: Path) -> Tree:
    target = load_target("cpu", ROOT, (f"documents.per_clause={documents}", "min_steps=1"))
    outcome = compile(Project(path) if ablation == "style" else ProjectSources(ROOT), path, target, ablation)
    if not outcome.builds:
        sys.exit("\n".join(problem.message for problem in outcome.problems))
    name = Path(path).stem
    return read_tree(store_tree(outcome, place / f"build-{name}", place / f"runs-{name}"))


def _templated(arm: Arm) -> Iterator[Text]:
    writer = TemplateWriter(arm.spec, Library(ProjectSources(ROOT)))
    for row in arm.documents():
        yield Text(row.id, writer.write(row), row.cell)


def _peoples() -> dict[str, list[Text]]:
    found = {"documentation": list(_numbered("doc", _documentation()))}
    mix = (json.loads(line) for line in (ROOT / "targets/mixes/general.jsonl").read_text("utf-8").splitlines())
    answers = [turn["content"] for chat in mix for turn in chat["messages"] if turn["role"] == "assistant"]
    passages = yaml.safe_load((ROOT / "templates/guard/passages.yaml").read_text("utf-8"))
    found["chats and passages"] = list(_numbered("own", [*answers, *_strings(passages)]))
    return found


def _numbered(name: str, texts: Iterable[str]) -> Iterator[Text]:
    kept = (text for text in texts if len(text.split()) >= LEAST)
    yield from (Text(f"{name}-{n}", text) for n, text in enumerate(kept))


def _strings(data: object) -> Iterator[str]:
    """All texts of some YAML."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _strings(part)


def _documentation() -> Iterator[str]:
    """Paragraphs that follow one another, as far as they are LEAST words and more together; no paragraph twice."""
    seen = set[str]()
    for folder in (HUMAN, *ALSO):
        for path in sorted(folder.rglob("*")):
            if path.with_suffix(".md").is_file() and path.suffix == ".html":
                continue  # the same text
            if path.suffix not in (".txt", ".md", ".html", "") or not path.is_file() or path.stat().st_size > 10**6:
                continue
            try:
                text = path.read_text("utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            if path.suffix == ".html":
                text = html.unescape(TAG.sub("", text.replace("</p>", "\n\n")))
            yield from _together(re.split(r"\n\s*\n", text), seen)


def _together(paragraphs: list[str], seen: set[str]) -> Iterator[str]:
    held = list[str]()
    for paragraph in [*paragraphs, ""]:
        one = " ".join(paragraph.split())
        if one and one not in seen and _is_prose(one) and len(one.split()) <= MOST // 2:
            seen.add(one)
            held.append(one)
            if sum(len(part.split()) for part in held) < MOST // 2:
                continue
        while held and held[-1].endswith(":"):  # what follows is no prose, and the text is no whole one without it
            held.pop()
        if sum(len(part.split()) for part in held) >= LEAST:
            yield "\n\n".join(held)
        held = []


# ---- the tables -----------------------------------------------------------------------------------------------------------


def _line(taken: Table, against: Table, name: str, of: Figures) -> None:
    gates = [*Gated.model_fields]
    others = sum(number for gate, number in of.taken.items() if gate not in gates)
    taken.add_row(name, f"{of.number:,}", *(str(of.taken[gate] or "") for gate in gates), str(others or ""))
    shares = [f"{share:.2%} {what}" for share, what in of.commonest.values()]
    against.add_row(
        name, *shares, f"{of.near:.2f}", f"{of.told[0]:.2%}", str(of.told[1]), "{} to {}".format(*of.lengths)
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=10, help="of each clause")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
