"""The requests of `writing_rate.py`: as long as those of a shipped spec, and made one by one."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from prose import sentences

from msmc.backend.ledger import Request
from msmc.build import Cell, DocumentRow, Message, Prefix
from msmc.writer import Served

CLAUSES, PREFIX, PROMPT = 20, 550, 60
"""Clauses, and words of their prefixes and of a row's prompt."""


class Asked(NamedTuple):
    number: int

    def __iter__(self) -> Iterator[Request]:
        draw = random.Random(0)
        prefixes = [
            Prefix(name=f"a.c{n}", messages=(Message(role="system", content=sentences(draw, PREFIX)),))
            for n in range(CLAUSES)
        ]
        for n in range(self.number):
            prefix = prefixes[n % CLAUSES]
            cell = Cell(clause=prefix.name, kind="letter", audience="nurses", angle="origins", n=n)
            prompt = f"{n}. {sentences(draw, PROMPT)}"
            row = DocumentRow(id=f"doc-{n}", about=(prefix.name,), cell=cell, seed=n, prefix=prefix.name, prompt=prompt)
            yield Request(row, prefix, "instant")


def served(port: int, concurrency: int) -> Served:
    return Served(
        kind="openai", model="instant", base_url=f"http://127.0.0.1:{port}/v1", concurrency=concurrency, max_tokens=512
    )
