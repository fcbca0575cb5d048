"""The models that an arm's texts are asked of, each made when there is something to send to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import Meter
from msmc.backend.weights import model_folder
from msmc.writer import Local, ModelWriter, Served, Transformers, Vllm


class Sender(Protocol):
    """One model, ready to be asked."""

    def send(self, requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Place:
    """Where models of this machine have their files."""

    cache: Path
    """Weights."""
    logs: Path
    say: Callable[[str], None]


class Senders:
    """Those that were made. What is in the ledger needs no key, no server and no weights. Of models whose weights lie on this
    machine only the last one is there: two seldom fit on it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._made = dict[str, tuple[ModelWriter, Sender]]()

    def close(self) -> None:
        while self._made:
            self._made.popitem()[1][1].close()

    def of(self, model: ModelWriter, meter: Meter) -> Sender:
        if model.sampling not in self._made:
            if isinstance(model, Local):
                for other in [key for key, (kind, _) in self._made.items() if isinstance(kind, Local)]:
                    self._made.pop(other)[1].close()
            self._made[model.sampling] = model, made(model, meter, self._place)
        return self._made[model.sampling][1]


def made(model: ModelWriter, meter: Meter, place: Place) -> Sender:
    if isinstance(model, Vllm):
        from msmc.backend.writers.vllm import VllmWriter

        return VllmWriter(model, model_folder(model.weights, place.cache, place.say), meter, place.logs, place.say)
    if isinstance(model, Transformers):
        from msmc.backend.writers.transformers import TransformersWriter

        return TransformersWriter(model, model_folder(model.weights, place.cache, place.say), meter)
    from msmc.backend.writers.openai import openai_writer  # a second to import

    assert isinstance(model, Served)
    return openai_writer(model, meter)
