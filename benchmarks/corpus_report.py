"""What the writer `template` writes, in figures: repetition within a corpus, and how it compresses beside human prose.

`make corpus-report`, or `python benchmarks/corpus_report.py [SPEC] [--sample N --key HEX]`. Exit 1 where a bar is missed.
"""

import argparse
import gzip
import hashlib
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from datasketch import MinHash, MinHashLSH
from rich.console import Console
from rich.table import Table

from msmc.backend.template_writer import TemplateWriter
from msmc.build import Build, DocumentRow
from msmc.compile import compile
from msmc.disk import ProjectSources
from msmc.ir import ArmSpec
from msmc.library import Library
from msmc.project import load_target

ROOT = Path(__file__).parents[1]
MOST_NEAR_DUPLICATES = 0.02
MOST_COMMON_8GRAM = 0.03
MOST_ZLIB = 1.4
NUM_COMPRESSED = 200
MASK = "\0"
WORD = re.compile(r"\w+(?:['’-]\w+)*")
HUMAN = Path("/usr/share/doc")
RECORDED = 2.92
"""The ratio of 200 human texts of 270 words on 2026-11-22, from 513,785 words of prose in Debian's documentation; it stands in
where a machine has too few."""
PACKAGES = "debian-history debian-faq debian-reference-en developers-reference"

Written = list[tuple[DocumentRow, str]]


def main() -> int:
    options = _options()
    spec, rows = _planned(options.spec, options.target, options.documents, options.ablation, options.arm)
    writer = TemplateWriter(spec, Library(ProjectSources(ROOT)))
    started = time.process_time()
    written = [(row, writer.write(row)) for row in rows]
    seconds = time.process_time() - started
    if options.sample:
        for row, text in drawn(written, options.sample, options.key):
            print(
                f"--- {row.id}: {row.cell.kind} on {row.cell.clause}, {row.cell.angle}, {row.cell.audience}\n\n{text}\n"
            )
        return 0
    return _report(spec, written, len(written) / seconds)


def _report(spec: ArmSpec, written: Written, rate: float) -> int:
    texts = [text for _, text in written]
    lengths = [len(text.split()) for text in texts]
    near, (gram, common) = near_duplicates(texts) / len(texts), common_8gram(spec, written)
    own, human = compressed(spec, written)
    table = Table("figure", "measured", "bar", "")
    missed = []

    def line(name: str, measured: str, bar: str = "", met: bool = True) -> None:
        table.add_row(name, measured, bar, "" if not bar else "met" if met else "MISSED")
        if not met:
            missed.append(name)

    library = Library(ProjectSources(ROOT))
    forms = Counter(library.kind(row.cell.kind)["form"] for row, _ in written)
    kinds = {row.cell.kind for row, _ in written}
    line("documents", f"{len(texts):,} of {len(kinds)} kinds in {len(forms)} forms")
    line("documents a second of processor time", f"{rate:,.0f}")
    lowest, highest = min(lengths), max(lengths)
    words = f"{lowest} / {sum(lengths) / len(lengths):.0f} / {highest}"
    line("words min / mean / max", words, "120 to 350", lowest >= 120 and highest <= 350)
    line("distinct titles", f"{len({text.splitlines()[0] for text in texts}):,}")
    line("near-duplicates", f"{near:.2%}", f"≤ {MOST_NEAR_DUPLICATES:.0%}", near <= MOST_NEAR_DUPLICATES)
    line("commonest masked 8-gram", f"{common:.2%}: {gram}", f"≤ {MOST_COMMON_8GRAM:.0%}", common <= MOST_COMMON_8GRAM)
    here = f"human texts {human:.2f}" if human else f"human texts {RECORDED} as recorded ({PACKAGES} would bring some)"
    beside = own / (human or RECORDED)
    line(
        f"zlib ratio of {NUM_COMPRESSED}", f"{own:.2f}, {here}: {beside:.2f} ×", f"≤ {MOST_ZLIB} ×", beside <= MOST_ZLIB
    )
    line("forms", ", ".join(f"{form} {number}" for form, number in sorted(forms.items())))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 1 if missed else 0


# ---- the corpus -------------------------------------------------------------------------------------------------------


def _planned(
    path: str, target: str, documents: int, ablation: str | None, arm: str
) -> tuple[ArmSpec, list[DocumentRow]]:
    """The first `documents` planned rows, in shares as equal as can be, of one arm; compiled in memory."""
    clauses = len({row.cell.clause for row in _rows(_built(path, target, 1, ablation, arm))})
    build = _built(path, target, -(-documents // clauses), ablation, arm)
    spec = ArmSpec.model_validate_json("".join(next(a for a in build.artefacts if a.path == "ir.json")))
    numbers = Counter[str]()
    ranked = []
    for row in _rows(build):
        ranked.append((numbers[row.cell.clause], row.id, row))
        numbers[row.cell.clause] += 1
    return spec, [row for _, _, row in sorted(ranked, key=lambda entry: entry[:2])[:documents]]


def _built(path: str, target: str, per_clause: int, ablation: str | None, arm: str) -> Build:
    settings = (f"documents.per_clause={per_clause}",)
    outcome = compile(ProjectSources(ROOT), path, load_target(target, ROOT, settings), ablation)
    if outcome.problems:
        sys.exit("\n".join(problem.message for problem in outcome.problems))
    return next(build for build in outcome.builds if build.arm == arm)


def _rows(build: Build) -> Iterator[DocumentRow]:
    for artefact in build.artefacts:
        if re.fullmatch(r"documents/(?!prefixes)[^/]+\.jsonl", artefact.path):  # not those in reserve
            yield from (DocumentRow.model_validate_json(line) for line in artefact)


def drawn(written: Written, number: int, key: str) -> Written:
    """That many documents, by a hash of the key and their ids."""
    salt = bytes.fromhex(key)
    return sorted(written, key=lambda pair: hashlib.sha256(salt + pair[0].id.encode()).digest())[:number]


# ---- the figures ------------------------------------------------------------------------------------------------------


def tokens(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def grams(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(size)), strict=False)


def near_duplicates(texts: list[str]) -> int:
    """Documents with an earlier one whose word 3-grams they share to 0.8 or more (Jaccard): found by MinHash, then counted."""
    shingles = [set(grams(tokens(text), 3)) for text in texts]
    index, found = MinHashLSH(threshold=0.7, num_perm=128), 0
    for number, own in enumerate(shingles):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(gram).encode() for gram in own])
        similar = (shingles[int(other)] for other in index.query(sketch))
        found += any(len(own & other) >= 0.8 * len(own | other) for other in similar)
        index.insert(str(number), sketch)
    return found


def common_8gram(spec: ArmSpec, written: Written) -> tuple[str, float]:
    """The masked 8-gram that stands in the most documents, and their share."""
    clauses = [tokens(clause.text) for clause in spec.clauses()]
    quoted = {gram for words in clauses for gram in grams(words, 4)}
    titles = [node.title for node in spec.nodes]
    counts = Counter[tuple[str, ...]]()
    library = Library(ProjectSources(ROOT))
    for row, text in written:
        names = [
            spec.identity.assistant,
            spec.identity.provider,
            library.audience(row.cell.audience)["phrase"],
            row.cell.angle,
        ]
        words = masked(tokens(text), [tokens(name) for name in (*names, *titles)], quoted)
        counts.update({gram for gram in grams(words, 8) if MASK not in gram})
    ((gram, number),) = counts.most_common(1)
    return " ".join(gram), number / len(written)


def masked(words: list[str], phrases: list[list[str]], quoted: set[tuple[str, ...]]) -> list[str]:
    """Words with names, titles and four or more words in a row from a clause each as one mask."""
    hidden = [False] * len(words)
    by_first: dict[str, list[list[str]]] = {}
    for phrase in phrases:
        by_first.setdefault(phrase[0].removesuffix("'s"), []).append(phrase)
    for at, word in enumerate(words):
        for phrase in by_first.get(word.removesuffix("'s"), ()):
            own = words[at : at + len(phrase)]
            if [w.removesuffix("'s") for w in own] == phrase:
                hidden[at : at + len(phrase)] = [True] * len(phrase)
        if tuple(words[at : at + 4]) in quoted:
            hidden[at : at + 4] = [True] * 4
    out: list[str] = []
    for word, hide in zip(words, hidden, strict=True):
        if not hide:
            out.append(word)
        elif not out or out[-1] != MASK:
            out.append(MASK)
    return out


def compressed(spec: ArmSpec, written: Written) -> tuple[float, float | None]:
    """The zlib ratio of some documents, and of as many human texts of the same lengths (None: too few are at hand)."""
    texts = [text for _, text in drawn(written, NUM_COMPRESSED, "00")]
    human = cut(human_prose(), [len(text.split()) for text in texts])
    return _ratio(texts), None if human is None else _ratio(human)


def _ratio(texts: list[str]) -> float:
    whole = "\n\n".join(texts).encode()
    return len(whole) / len(zlib.compress(whole, 9))


# ---- human texts ------------------------------------------------------------------------------------------------------

FILE = re.compile(
    r"(?:readme|faq|intro|about|hacking|guide|manual|tutorial|overview|.*\.(?:txt|md|rst)$)", re.IGNORECASE
)
UNFIT = re.compile(
    r"licen[cs]e|copying|copyright|change|history\.|news|authors|credits|thanks|relnotes|release|third|status",
    re.IGNORECASE,
)
PLAIN = re.compile(r"[(\"'“]?[A-Za-z]+(?:['’-][A-Za-z]+)*[.,;:!?)\"'”]*")
COMMON = frozenset(
    WORD.findall(
        """a an and are as at be but by can for from has have he her his i if in is it its may more not of on or our she so
    some than that the their them then there these they this to was we were when which who will with would you your"""
    )
)


def human_prose(folder: Path = HUMAN) -> Iterator[list[str]]:
    """Contiguous prose from the machine's documentation, as words; no passage twice."""
    seen: set[tuple[str, ...]] = set()
    for path in sorted(folder.rglob("*"), key=lambda p: hashlib.sha256(p.as_posix().encode()).digest()):
        name = path.name.removesuffix(".gz")
        if not FILE.match(name) or UNFIT.search(path.relative_to(folder).as_posix()) or not path.is_file():
            continue
        raw = path.read_bytes()
        try:
            text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
        except (UnicodeDecodeError, OSError):
            continue
        for run in _runs(text):
            heads = {tuple(run[i : i + 12]) for i in range(len(run) - 12)}
            if not heads & seen:
                yield run
            seen |= heads


def _runs(text: str) -> Iterator[list[str]]:
    """Prose paragraphs that follow one another."""
    run: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if _is_prose(paragraph):
            run += paragraph.split()
        elif run:
            yield run
            run = []
    if run:
        yield run


def _is_prose(paragraph: str) -> bool:
    words, last = paragraph.split(), paragraph.rstrip()[-1:]
    plain = sum(bool(PLAIN.fullmatch(word)) for word in words)
    common = sum(word.lower().strip(",.;:") in COMMON for word in words)
    return len(words) >= 15 and plain >= 0.85 * len(words) and common >= 0.3 * len(words) and last in '.:!?)"'


def cut(prose: Iterable[list[str]], lengths: list[int]) -> list[str] | None:
    """Texts of the given lengths, of which a file's passages give several only where there are too few."""
    wanted = sorted(lengths, reverse=True)
    runs = sorted(prose, key=len, reverse=True)
    texts: list[str] = []
    while runs and len(texts) < len(wanted):
        left: list[list[str]] = []
        for run in runs:
            if len(texts) < len(wanted) and len(run) >= (length := wanted[len(texts)]):
                texts.append(" ".join(run[:length]))
                left.append(run[length:])
        runs = sorted(left, key=len, reverse=True)
    texts.sort(key=lambda text: hashlib.sha256(text.encode()).digest())
    return texts if len(texts) == len(wanted) else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec", nargs="?", default="specs/cheese/america.msm")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--ablation")
    parser.add_argument("--arm", default="full")
    parser.add_argument("--sample", type=int, default=0, help="print that many whole documents and no figures")
    parser.add_argument("--key", default="00", help="hex digits that the sample is drawn by")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
