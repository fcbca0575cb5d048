"""The kept grammar tables: one file, made once, and harmless when it is damaged, foreign or cannot be written."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msmc.source import SourceFile
from msmc.syntax import parse as syntax

SOURCE = SourceFile("s.msm", b'spec s "S" { value v { statement "Fine." } rulelikes {} }')
SPEC = Path(__file__).parents[2] / "specs" / "cheese" / "america.msm"


@pytest.fixture
def parse_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Parses with a grammar that is loaded anew from the cache folder `tmp_path`, and gives the mistake that it finds."""
    monkeypatch.setenv("MSMC_CACHE", str(tmp_path))

    def parse() -> str:
        syntax._grammar.cache_clear()
        syntax._last.clear()
        _, problems = syntax.parse(SOURCE)
        return f"{problems[0].message}; {problems[0].hint}"

    yield parse
    syntax._grammar.cache_clear()
    syntax._last.clear()


def test_the_tables_are_made_once(
    parse_anew: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = parse_anew()
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr(syntax, "_keep", lambda *_: pytest.fail("made again"))
    assert parse_anew() == first == "`rulelikes` cannot stand here; did you mean `rule`?"
    assert list(tmp_path.iterdir()) == [kept]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "zeros": lambda whole: b"\0" * 40,
    "half": lambda whole: whole[: len(whole) // 2],
    "flipped": lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_tables_are_made_anew(
    damage: Callable[[bytes], bytes], parse_anew: Callable[[], str], tmp_path: Path
) -> None:
    first = parse_anew()
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert parse_anew() == first
    assert syntax._whole(kept) is not None


def test_a_cache_that_cannot_be_written_is_done_without(
    parse_anew: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = parse_anew()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MSMC_CACHE", str(tmp_path / "file" / "below"))
    assert parse_anew() == first


def test_another_grammar_has_other_tables(
    parse_anew: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse_anew()
    grammar = Path(__file__).parents[2] / "grammar" / "msm.lark"
    (tmp_path / "shipped" / "grammar").mkdir(parents=True)
    (tmp_path / "shipped" / "grammar" / "msm.lark").write_text(grammar.read_text("utf-8") + "\n// changed\n", "utf-8")
    monkeypatch.setattr(syntax, "shipped", lambda: tmp_path / "shipped")
    parse_anew()
    assert len(list(tmp_path.glob("grammar-*"))) == 2


def test_a_check_imports_neither_templates_nor_yaml_nor_a_validator() -> None:
    """What a start costs is mostly what it imports."""
    code = f"import sys; from msmc.cli import main; main(['check', {str(SPEC)!r}], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    loaded = set(done.stdout.split())
    assert {"lark", "pydantic.main", "msmc.check"} <= loaded
    # importlib.metadata comes with the first validator that pydantic builds
    assert not {"jinja2", "yaml", "importlib.metadata", "msmc.compile", "msmc.target", "rich", "torch"} & loaded
