"""Sentences of a spec's prose, for whoever quotes them one by one."""

import re

# not behind a single capital: James L. Kraft is one man
SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"”']))(?<!\b[A-Z]\.)\s+(?=[\"“A-ZÀ-Þ])")


def one_line(text: str) -> str:
    """With every run of white space as one space."""
    return " ".join(text.split())


def sentences(text: str) -> list[str]:
    """The sentences of some prose, each on one line."""
    return [s for s in SENTENCE_END.split(one_line(text)) if s]
