"""`golden/diff/CASE.txt`: a line `# why`, the command, both sources as files, and after `-- expected --` all that it prints.

`pytest --update-golden` rewrites what stands there; read the diff as prose.
"""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from msmc.cli import main

CASES = sorted((Path(__file__).parent / "golden" / "diff").glob("*.txt"))
MARK = "-- expected --\n"


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.stem)
def test_diff(case: Path, update_golden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _, expected = case.read_text("utf-8").partition(MARK)
    head, *files = re.split(r"^-- (.+?) --\n", text, flags=re.MULTILINE)
    for name, content in zip(files[::2], files[1::2], strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    monkeypatch.chdir(tmp_path)
    command = next(line for line in head.split("\n") if line.startswith("$ msmc "))
    done = CliRunner().invoke(main, command.removeprefix("$ msmc ").split())
    told = done.output + (f"exit {done.exit_code}\n" if done.exit_code else "")
    if update_golden:
        case.write_text(f"{text}{MARK}{told}", "utf-8")
        expected = told
    assert told == expected
