"""Words of prose in any script. Apart from `msmc/prose.py`: a check needs no words, and these classes take 4 ms to compile."""

import re

from msmc.prose import WIDE

WORD = re.compile(rf"{WIDE}{{1,2}}|(?:(?!{WIDE})\S)+")
HAS_WIDE = re.compile(WIDE)


def num_words(text: str) -> int:
    """How many words there are; in a script without spaces two letters are one."""
    return len(WORD.findall(text)) if HAS_WIDE.search(text) else len(text.split())
