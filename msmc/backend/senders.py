"""The models that texts are asked of, each made when there is something to send to it."""

from collections.abc import Callable, Iterator
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


class Senders:
    """Those that were made. What is in the ledger needs no key, no server and no weights. Of models whose weights lie on this
    machine only the last one is there: two seldom fit on it."""

    def __init__(self, cache: Path, logs: Path, say: Callable[[str], None]) -> None:
        """`cache`: of weights; `logs`: of servers that msmc starts."""
        self._cache, self._logs, self._say = cache, logs, say
        self._made = dict[str, tuple[ModelWriter, Sender]]()

    def close(self) -> None:
        """Gives back what they hold. Whichever is asked again is made again."""
        while self._made:
            self._made.popitem()[1][1].close()

    def of(self, model: ModelWriter, meter: Meter) -> Sender:
        if model.sampling not in self._made:
            if isinstance(model, Local):
                for other in [key for key, (kind, _) in self._made.items() if isinstance(kind, Local)]:
                    self._made.pop(other)[1].close()
            self._made[model.sampling] = model, self._new(model, meter)
        return self._made[model.sampling][1]

    def _new(self, model: ModelWriter, meter: Meter) -> Sender:
        """Their libraries take a second and more to import."""
        if isinstance(model, Vllm):
            from msmc.backend.writers.vllm import VllmWriter

            folder = model_folder(model.weights, self._cache, self._say)
            return VllmWriter(model, folder, meter, self._logs, self._say)
        if isinstance(model, Transformers):
            from msmc.backend.writers.transformers import TransformersWriter

            return TransformersWriter(model, model_folder(model.weights, self._cache, self._say), meter)
        from msmc.backend.writers.openai import openai_writer

        assert isinstance(model, Served)
        return openai_writer(model, meter)
