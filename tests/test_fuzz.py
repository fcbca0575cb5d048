"""`check` and `fmt` on texts that nobody would write: of the grammar, damaged specs, what reaches new code, and ever longer ones.

`make fuzz` gives each of the three fuzzers ten minutes; here they have half a minute (`MSMC_FUZZ_SECONDS`).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lark
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark

from tests.nasty import NASTY
from tests.project import ROOT
from tests.sound import sound

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("MSMC_FUZZ_SECONDS", "30"))
SLACK = 3
"""How much more than four times as long a text of four times the size may take; where work grows with the square, it is four."""
MANY = settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
WORDS = st.sampled_from(("a", "b", "v", "rule", "values", "assistant", "general", "x1", "letter", "drop")).map(
    lambda word: word + " "
)
PROSE = st.lists(
    st.sampled_from(("word", "{a}", "{assistant}", "\\{", "{", "}", "#", "\\q", "é", "\0", " ", "rule x {")), max_size=4
)
TERMINALS = {
    "NAME": WORDS,
    "INT": st.sampled_from(("0", "1", "3", "9" * 50, "9" * 5000)).map(lambda number: number + " "),
    "STRING": PROSE.map(lambda parts: '"' + " ".join(parts) + '"'),
    "BLOCK": PROSE.map(lambda parts: '"""\n  ' + "\n  ".join(parts) + '\n"""'),
    "COMMENT": st.sampled_from(("# c\n", "# msmc: allow x -- y\n", '#"\n', "#{\n")),
}
SPECS = sorted(path.read_bytes() for path in (ROOT / "specs").rglob("*.msm"))
DAMAGE = st.sampled_from(
    (
        *b'{}"#,\\\n\0\r\t.;',
        b'"""',
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"rule",
        b"{a}",
        b"spec s {",
        b"\\q",
    )
).map(lambda sign: bytes([sign]) if isinstance(sign, int) else sign)


def again_and_again(law: Callable[[], None]) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        law()


def test_texts_of_the_grammar() -> None:
    grammar = lark.Lark((ROOT / "grammar/msm.lark").read_text("utf-8"), parser="lalr", maybe_placeholders=True)
    words = {t.name: st.just(f"{t.pattern.value} ") for t in grammar.terminals if t.pattern.type == "str"}

    @MANY
    @given(from_lark(grammar, start="start", explicit=words | TERMINALS))
    def law(text: str) -> None:
        sound(text.encode())

    again_and_again(law)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real spec with bytes put in, taken out, and put elsewhere."""
    content = draw(st.sampled_from(SPECS))
    for _ in range(draw(st.integers(1, 6))):
        begin, end = sorted(draw(st.integers(0, len(content))) for _ in range(2))
        kept = draw(st.sampled_from((begin, min(begin + 20, end), end)))
        content = content[:begin] + draw(DAMAGE | st.just(content[begin:end])) + content[kept:]
    return content[:200_000]


def test_damaged_specs() -> None:
    @MANY
    @given(damaged())
    def law(content: bytes) -> None:
        sound(content)

    again_and_again(law)


def test_what_reaches_new_code(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    for number, content in enumerate([*SPECS, *(make(3).encode() for make, _ in NASTY.values())]):
        (tmp_path / "seeds" / str(number)).write_bytes(content)
    # one seed: a commit is red or green; another one to look further: `python -m tests.fuzz -seed=N`
    options = [
        "-seed=1",
        f"-max_total_time={int(SECONDS)}",
        "-max_len=4000",
        "-timeout=20",
        "-rss_limit_mb=2000",
        "-verbosity=0",
    ]
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        *options,
        "-artifact_prefix=" + f"{tmp_path}/",
        str(tmp_path / "seeds"),
    ]
    # behind a shell: a process begins with the largest size of the one that starts it, and this one may have trained models
    behind = ["bash", "-c", '"$@"; exit $?', "bash", *command]
    done = subprocess.run(behind, cwd=ROOT, capture_output=True, text=True)
    found = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert done.returncode == 0, f"{found}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def seconds(content: bytes) -> float:
    """The least of two: another program may be in the way of one."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        sound(content)
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.parametrize("name", NASTY)
def test_four_times_the_text_takes_no_square_of_the_time(name: str) -> None:
    make, size = NASTY[name]
    for _ in range(3):  # what shares a core's caches may slow one measurement down; a square is there in all
        small = seconds(make(size).encode())
        large = seconds(make(4 * size).encode())
        if large <= SLACK * 4 * max(small, 0.02):
            return
    raise AssertionError(f"{size} characters take {small:.2f} s, four times as many {large:.2f} s")


HUGE = {
    "prose": NASTY["prose"][0](200_000),
    "clauses": NASTY["rules"][0](100_000),
    "one line": NASTY["a long line"][0](1_000_000),
    "one block": NASTY["a long block"][0](800_000),
    "one word": "a" * 10_000_000,
    "quotes": '"' * 10_000_001,
    "braces": 'spec s "S" ' + "{" * 10_000_000,
}
LIMIT = 120


@pytest.mark.parametrize("name", HUGE)
def test_ten_megabytes(name: str) -> None:
    started = time.process_time()
    sound(HUGE[name].encode())
    assert time.process_time() - started < LIMIT, "it hangs, or nearly"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"spec s {\xff}", ["not-utf8"]),
        (b"spec s {\xed\xa0\x80}", ["not-utf8"]),  # half of a surrogate pair
        (b"\0", ["unexpected-word"]),
        (b'\xef\xbb\xbfspec s "S" {\r\n  assistant "A" by "B"\r}\r\n', []),
    ],
)
def test_bytes(content: bytes, found: list[str]) -> None:
    assert sound(content) == found
