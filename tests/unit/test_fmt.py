"""`msmc fmt`: what it writes, prints and leaves alone."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from msmc.cli import main
from msmc.source import SourceFile
from msmc.syntax import format as style

UGLY = b'spec tea "Tea" {\n    rule green { statement "x" } # c\n\n}\n'
NEAT = b'spec tea "Tea" {\n  rule green { statement "x" }  # c\n}\n'
BROKEN = b"spec tea {\n    rule {}\n}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "ugly.msm").write_bytes(UGLY)
    (tmp_path / "neat.msm").write_bytes(NEAT)
    (tmp_path / "inner" / "ugly.msm").write_bytes(UGLY)
    (tmp_path / "inner" / "notes.txt").write_bytes(UGLY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fmt(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["fmt", *arguments], input=stdin)


def state(folder: Path) -> dict[str, tuple[bytes, float]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


def test_files_and_folders_are_formatted(folder: Path) -> None:
    done = fmt("ugly.msm", "neat.msm", "inner")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "2 files reformatted, 1 left as it is\n", "")
    assert (folder / "ugly.msm").read_bytes() == (folder / "inner" / "ugly.msm").read_bytes() == NEAT
    assert (folder / "inner" / "notes.txt").read_bytes() == UGLY, "a folder's other files are no specs"
    before = state(folder)
    assert fmt(".").stdout == "3 files left as they are\n"
    assert state(folder) == before, "what is in the style is not written again"


def test_a_file_named_twice_is_formatted_once(folder: Path) -> None:
    assert fmt("inner", "inner/ugly.msm").stdout == "1 file reformatted\n"


def test_any_file_that_is_named_and_parses_is_formatted(folder: Path) -> None:
    assert fmt("inner/notes.txt").stdout == "1 file reformatted\n"


def test_check_names_the_files_and_writes_nothing(folder: Path) -> None:
    before = state(folder)
    done = fmt("--check", ".")
    told = "would reformat inner/ugly.msm\nwould reformat ugly.msm\n2 files would be reformatted, 1 left as it is\n"
    assert (done.exit_code, done.stdout) == (1, told)
    assert state(folder) == before
    assert fmt("--check", "neat.msm").exit_code == 0


@pytest.mark.parametrize("source", [UGLY, b"spec a {\r\n  }\r\n", b"\xef\xbb\xbfspec a {}", b"spec a { }  "])
def test_patch_takes_the_diff(folder: Path, source: bytes) -> None:
    (folder / "ugly.msm").write_bytes(source)
    before = state(folder)
    done = fmt("--diff", "ugly.msm")
    assert done.exit_code == 1 and done.stdout.startswith("--- ugly.msm\n+++ ugly.msm\n@@ ")
    assert done.stderr == "1 file would be reformatted\n"
    assert state(folder) == before
    subprocess.run(["patch", "--binary", "-s", "ugly.msm"], input=done.stdout_bytes, check=True)
    assert fmt("--check", "ugly.msm").exit_code == 0


def test_a_diff_of_nothing_is_empty(folder: Path) -> None:
    done = fmt("--diff", "--check", "neat.msm")
    assert (done.exit_code, done.stdout) == (0, "")


def test_standard_input_goes_to_standard_output(folder: Path) -> None:
    before = state(folder)
    for source in (UGLY, NEAT, UGLY.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + UGLY):
        done = fmt("-", stdin=source)
        assert (done.exit_code, done.stdout_bytes, done.stderr) == (0, NEAT, "")
    assert fmt("-", "--check", stdin=NEAT).exit_code == 0
    done = fmt("-", "--check", stdin=UGLY)
    assert (done.exit_code, done.stdout) == (1, "would reformat <stdin>\n")
    assert "+  rule green" in fmt("-", "--diff", stdin=UGLY).stdout
    done = fmt("-", stdin=BROKEN)
    assert (done.exit_code, done.stdout) == (1, "") and "--> <stdin>:2:10" in done.stderr
    assert state(folder) == before


def test_what_does_not_parse_stays_and_the_rest_is_formatted(folder: Path) -> None:
    (folder / "broken.msm").write_bytes(BROKEN)
    (folder / "binary.msm").write_bytes(b"\xff\xfe")
    (folder / "folder.msm").mkdir()
    done = fmt(".", "none.msm")
    assert done.exit_code == 1
    assert done.stdout == "2 files reformatted, 1 left as it is, 4 not formatted\n"
    told = sorted(line.split("]")[0] for line in done.stderr.split("\n") if "error[" in line)
    assert told == ["error[file-missing", "error[not-a-file", "error[not-utf8", "error[unexpected-word"]
    assert (folder / "broken.msm").read_bytes() == BROKEN
    assert (folder / "ugly.msm").read_bytes() == NEAT


@pytest.mark.parametrize("arguments", [(), ("-", "neat.msm"), ("--fix", "neat.msm")])
def test_wrong_usage(folder: Path, arguments: tuple[str, ...]) -> None:
    done = fmt(*arguments)
    assert done.exit_code == 2 and "Usage:" in done.stderr


def test_a_file_keeps_its_mode_and_a_link_stays_one(folder: Path) -> None:
    os.chmod("ugly.msm", 0o640)
    (folder / "link.msm").symlink_to("ugly.msm")
    assert fmt("link.msm").stdout == "1 file reformatted\n"
    assert (folder / "link.msm").is_symlink() and (folder / "ugly.msm").read_bytes() == NEAT
    assert stat.S_IMODE((folder / "ugly.msm").stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_file_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("msmc.whole.os.fsync", full)
    done = fmt("ugly.msm", "neat.msm")
    assert done.exit_code == 1 and "error[unwritable]: `" in done.stderr
    assert done.stdout == "1 file left as it is, 1 not formatted\n"
    assert (folder / "ugly.msm").read_bytes() == UGLY
    assert sorted(p.name for p in folder.iterdir()) == ["inner", "neat.msm", "ugly.msm"]


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("reindented", lambda raw, indent, closing: raw.replace("y", "")),
        ("_normal", lambda comment: comment + "!"),
        ("rendered", lambda lines: "\n".join(line.code for line in lines[:-1])),
        ("rendered", lambda lines: "\n".join(line.code.replace("tea", "te a") for line in lines)),
    ],
)
def test_a_mistake_of_the_formatter_costs_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: object
) -> None:
    source = b'spec tea { # c\nvalue v { statement """\n  x\n  y\n""" } }\n'
    (folder / "ugly.msm").write_bytes(source)
    monkeypatch.setattr(style, name, broken)
    done = fmt("ugly.msm")
    assert done.exit_code == 2 and "error[internal]" in done.stderr and "would change what it says" in done.stderr
    assert (folder / "ugly.msm").read_bytes() == source


def test_empty_and_comments_alone() -> None:
    assert style.formatted(SourceFile("s.msm", b"\n\n#a\n\n\n#b\n\n"))[0] == "# a\n\n# b\n"
    text, problems = style.formatted(SourceFile("s.msm", b" \n"))
    assert text is None and [p.name for p in problems] == ["empty-file"]
