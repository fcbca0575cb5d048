"""Atheris over the whole of `check` and `fmt`: `python -m tests.fuzz [libFuzzer's options] FOLDER`, with seeds in FOLDER."""

import sys

import atheris

with atheris.instrument_imports(include=["msmc"]):
    from tests.sound import sound


def fuzzed(content: bytes) -> None:
    sound(content)


atheris.Setup(sys.argv, fuzzed)
atheris.Fuzz()
