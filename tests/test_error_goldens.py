"""`golden/errors/<name>[.case].msm`: a source, and below `# expect` what msmc says of it, placed and in full."""

from pathlib import Path

import pytest

from msmc.compile import check, compile
from msmc.diagnostics import CODES, Diagnostic
from msmc.render import order
from msmc.source import SourceFile
from tests.project import Memory, cpu

FOLDER = Path(__file__).parent / "golden" / "errors"
CASES = sorted(FOLDER.glob("*.msm"))
MARK = "\n# expect\n"
ELSEWHERE = {
    # told by commands and the backend; tests/unit holds them
    "not-utf8", "empty-file", "unknown-ablation", "unknown-arm", "unknown-id", "not-a-file", "unreadable", "not-a-build",
    "not-a-run", "target-missing", "target-not-yaml", "target-invalid", "template-error", "model-not-found", "model-incomplete",
    "too-few-updates", "unmarked-template", "writer-cannot", "gate-failed", "coverage-short",
    "bad-recipe", "loss-not-finite", "interrupted",
    "documents-attend", "documents-truncated", "adapter-mismatch", "chat-too-long", "no-rows", "not-learned",
    "no-demos", "internal", "unwritable", "ledger-unusable", "too-few-rows", "mix-missing",
    "broken-file", "no-revision", "no-key", "writer-failed", "cap-reached", "unknown-command",
    "judge-missing", "package-missing", "task-failed", "vllm-missing", "vllm-failed",
    "ledger-missing", "parity-broken",
}  # fmt: skip


def concise(problem: Diagnostic, files: dict[str, SourceFile]) -> str:
    def place(label: object) -> str:
        file, start, end = label.span  # type: ignore[attr-defined]
        (line, column), (end_line, end_column) = files[file].position(start), files[file].position(end)
        return f"{file}:{line}:{column}-{end_line}:{end_column}"

    lines = [
        f"{problem.severity}[{problem.name}] {place(problem.primary) if problem.primary else ''} {problem.message}"
    ]
    lines += [f"  ^ {problem.primary.text}"] if problem.primary and problem.primary.text else []
    lines += [f"  related {place(label)} {label.text}" for label in problem.related]
    lines += [f"  note: {problem.note}"] if problem.note else []
    lines += [f"  hint: {problem.hint}"] if problem.hint else []
    return "\n".join(lines)


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_error(case: Path, update_golden: bool) -> None:
    source, _, expected = case.read_text("utf-8").partition(MARK)
    extra = {p.name: p.read_bytes() for p in FOLDER.glob("files/*")}
    sources = Memory(**{"main.msm": source, **extra})
    found = check("main.msm", sources)
    problems, files = found.problems, found.files.sources
    if not problems:
        problems = list(compile(sources, "main.msm", cpu()).problems)
    told = "\n".join(concise(problem, files) for problem in order(problems))
    written = "\n".join(f"# {line}" for line in told.split("\n"))
    if update_golden:
        case.write_text(f"{source}{MARK}{written}\n", "utf-8")
        expected = written
    assert written == expected.rstrip("\n")
    assert case.stem.split(".")[0] in {p.name for p in problems}, "the golden is named after what it shows"


def test_every_diagnostic_has_a_golden_or_a_test() -> None:
    assert {case.stem.split(".")[0] for case in CASES} | ELSEWHERE == set(CODES)
