"""The models that texts are asked of, each made when there is something to send to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import Meter
from msmc.backend.weights import model_folder
from msmc.writer import Anthropic, Local, ModelWriter, Remote, Served, Transformers, Vllm

if TYPE_CHECKING:
    from msmc.backend.writers.batch_provider import BatchProvider
    from msmc.backend.writers.batches import Waiting


class Sender(Protocol):
    """One model, ready to be asked."""

    def send(self, requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]: ...

    def close(self) -> None: ...


class Senders:
    """Those that were made. What is in the ledger needs no key, no server and no weights. Of models whose weights lie on this
    machine only the last one is there: two seldom fit on it."""

    def __init__(self, cache: Path, logs: Path, ledger: Path, say: Callable[[str], None]) -> None:
        """`cache`: of weights; `logs`: of servers that msmc starts; `ledger`: which knows what is in batches."""
        self._cache, self._logs, self._ledger, self._say = cache, logs, ledger, say
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
        assert isinstance(model, Remote)
        return hosted(model, meter, self._ledger, self._say)


def hosted(model: Remote, meter: Meter, ledger: Path, say: Callable[[str], None]) -> Sender:
    """A model behind a server that msmc does not start. Raises Failed `no-key`."""
    if model.batch:
        from msmc.backend.writers.batches import Batches

        return Batches(provider_of(model), model, ledger, meter, _waiting(model, say))
    if isinstance(model, Anthropic):
        from msmc.backend.writers.anthropic import anthropic_writer

        return anthropic_writer(model, meter)
    from msmc.backend.writers.openai import openai_writer

    assert isinstance(model, Served)
    return openai_writer(model, meter)


def provider_of(model: Remote) -> "BatchProvider":
    if isinstance(model, Anthropic):
        from msmc.backend.writers.message_batches import MessageBatches

        return MessageBatches(model)
    from msmc.backend.writers.file_batches import FileBatches

    assert isinstance(model, Served)
    return FileBatches(model)


def _waiting(model: Remote, say: Callable[[str], None]) -> "Waiting":
    """Says how many batches are left, when that changes."""
    last = 0

    def told(batches: int, done: int, total: int) -> None:
        nonlocal last
        if batches != last:
            last = batches
            what = "a batch" if batches == 1 else f"{batches} batches"
            say(f"waiting for {what} at {model.url}, {done:,} of {total:,} replies; stopped, msmc finds them later")

    return told
