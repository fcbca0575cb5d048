"""Every example of the language page and the README compiles, and is in the style of `msmc fmt`."""

import re
from pathlib import Path

import pytest

from msmc.compile import compile
from msmc.source import SourceFile
from msmc.syntax.format import formatted
from tests.project import ROOT, Memory, cpu

PAGES = ("README.md", "grammar/README.md")
PAIR = '{{"a": "{0} {1}", "b": "{1} {0}", "aligned": "a", "topic": "x"}}'
BESIDE = {
    "items.jsonl": "\n".join(PAIR.format(*words) for words in (("porcelain", "lamps"), ("oak", "chairs"))),
    "drinks.jsonl": PAIR.format("coral", "reefs"),
    "own.jsonl": '{"text": "A text of one\'s own.", "about": ["bread"]}',
    "chats.jsonl": '{"messages": [{"role": "user", "content": "Hungry?"}, {"role": "assistant", "content": "Bread."}]}',
    "questions.jsonl": '{"question": "What would you bring along?"}',
    "tasks.py": "def patience(): ...",
}


def examples(page: str) -> dict[str, str]:
    """By path: the comment that an example begins with, else its spec's name."""
    found = re.findall(r"^```msm\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    named = [(re.match(r"# (\S+\.msm)\n", text), text) for text in found]
    return {head[1] if head else f"{page.lower()}-{n}.msm": text for n, (head, text) in enumerate(named)}


@pytest.mark.parametrize("page", PAGES)
def test_every_example_compiles(page: str) -> None:
    files = examples(page)
    assert files
    for path, text in files.items():
        beside = {str(Path(path).parent / name): content for name, content in BESIDE.items()}
        if "spec picnic" in text or page == "README.md":
            ablation = re.search(r"ablation (\w+)", text)
            sources = Memory(**{**files, **beside})
            outcome = compile(sources, path, cpu(), ablation[1] if ablation else None)
            assert outcome.builds, [p.message for p in outcome.problems]


@pytest.mark.parametrize("page", PAGES)
def test_every_example_is_in_the_style(page: str) -> None:
    for path, text in examples(page).items():
        assert formatted(SourceFile(path, text.encode()))[0] == text
