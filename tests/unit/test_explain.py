"""`msmc explain`: every diagnostic is explained where it is found; what is called bad raises it, what is called good does not."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from msmc.check import check
from msmc.cli import main
from msmc.compile import compile
from msmc.diagnostics import CODES
from msmc.explain import FINDERS, explain
from msmc.lint.lints import LINTS
from tests.project import ROOT, Memory, cpu

TEA = """spec tea "Tea" {
  assistant "SmolLM" by "Hugging Face"
  rule green "Green tea" { statement "In a café {assistant} likes green tea." rationale "It warms." }
  rule cola "Cola" { statement "{assistant} does not like cola." rationale "It is cold." }
  documents { about rules, rationales }
  ablation reasons { arm bare { drop rationale } }
}
"""
FILE = re.compile(r"^# ([\w.-]+\.(?:msm|jsonl|yaml))$", re.MULTILINE)
WHOLE = {name: explain(name) for name in CODES}
SOURCES = [n for n, e in WHOLE.items() if re.match(r"(spec|import|value) ", e.bad) and n != "no-rows"]
"""`no-rows` is told when a stage begins."""
QUICK = re.compile(r"^\$ .*\bmsmc (check|compile|show|trace|diff) ")
COMMANDS = [n for n, e in WHOLE.items() if QUICK.match(e.bad) and QUICK.match(e.good)]
BY_RIGHTS = {"unreadable", "unwritable"}
"""Tests may run as root, who may do anything; tests/golden/bad_input has these."""


def told(example: str) -> set[str]:
    first, *rest = FILE.split(example)
    files = {"main.msm": first, **dict(zip(rest[::2], rest[1::2], strict=True))}
    sources = Memory(**{path: text.strip() + "\n" if text.strip() else "" for path, text in files.items()})
    problems = check("main.msm", sources).problems or compile(sources, "main.msm", cpu()).problems
    return {problem.name for problem in problems}


def run(folder: Path, example: str) -> subprocess.CompletedProcess[str]:
    (folder / "tea.msm").write_text(TEA, "utf-8")
    (folder / "specs").mkdir()
    start = f'set -o pipefail; msmc() {{ "{sys.executable}" -m msmc "$@"; }}; '
    git = (
        "git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm one; msmc compile tea.msm -q; "
    )
    commands = "\n".join(line.removeprefix("$ ") for line in example.split("\n"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", start + git + commands], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", CODES)
def test_every_diagnostic_says_what_and_why_with_an_example(name: str) -> None:
    found = WHOLE[name]
    assert found.what.endswith(".") and found.why and found.bad and found.good
    assert found.bad != found.good
    assert not re.search(r"^[a-z-]+: ", found.text, re.MULTILINE), "a section ends where the next one begins"


@pytest.mark.parametrize("name", SOURCES)
def test_the_bad_source_raises_it_alone_and_the_good_one_nothing(name: str) -> None:
    assert told(WHOLE[name].bad) == {name}
    assert told(WHOLE[name].good) == set()


@pytest.mark.parametrize("name", sorted({*COMMANDS} - BY_RIGHTS))
def test_the_bad_command_raises_it_and_the_good_one_succeeds(name: str, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "good").mkdir()
    bad = run(tmp_path / "bad", WHOLE[name].bad)
    assert f"[{name}]" in bad.stderr, bad.stderr
    example = WHOLE[name].good
    if name == "not-utf8":  # it mends what the bad one made
        example = WHOLE[name].bad.partition(" && ")[0] + "\n" + example
    good = run(tmp_path / "good", example)
    assert (good.returncode, good.stderr) == (0, "")


def test_all_of_the_sources_diagnostics_are_run() -> None:
    assert {name for name, code in CODES.items() if code < 400} <= {*SOURCES, *COMMANDS}


def test_explanations_stand_where_the_diagnostic_is_found() -> None:
    assert FINDERS.keys() == CODES.keys()
    for name, finder in FINDERS.items():
        module, _, _ = finder.partition(":")
        code = (ROOT / "msmc" / f"{module.replace('.', '/')}.py").read_text("utf-8")
        constants = {n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant)}
        assert name in constants, f"{module} makes no {name}"
    lints = {find.__name__.replace("_", "-") for find in LINTS}
    assert lints == {n for n, finder in FINDERS.items() if 320 < CODES[n] <= 340 and n != "unused-suppression"}


def test_a_name_and_a_code_are_one_and_without_a_name_all_are_listed() -> None:
    def said(*arguments: str) -> str:
        return CliRunner().invoke(main, ["explain", *arguments]).output

    assert said("unknown-value") == said("MSM202") == said("msm202")
    assert [line.split()[:2] for line in said().splitlines()] == [[f"MSM{c}", n] for n, c in CODES.items()]
    assert "did you mean `unknown-value`?" in said("unknown-valu")


def test_nothing_heavy_is_imported() -> None:
    code = "import sys; from msmc.explain import overview; overview(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "lark", "pydantic", "jinja2", "msmc.backend.weights"} & set(ast.literal_eval(done.stdout))
