"""The writer `vllm`: a server that msmc starts, asked through the chat API as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from msmc.backend.ledger import Reply, Request
from msmc.backend.meter import Meter
from msmc.backend.writers.openai import openai_writer
from msmc.backend.writers.vllm_server import serving
from msmc.diagnostics import Failed
from msmc.writer import FREE, Served, Vllm


class VllmWriter:
    """Replies of a server of its own, which runs until it is closed."""

    def __init__(self, model: Vllm, folder: Path, meter: Meter, logs: Path, say: Callable[[str], None]) -> None:
        """`folder`: the weights. Raises Failed `vllm-missing` and `vllm-failed`."""
        with ExitStack() as stack:
            url, self._server = stack.enter_context(serving(model, folder, model.title, logs, say))
            self._writer = stack.enter_context(closing(openai_writer(served_at(model, url), meter)))
            self._open = stack.pop_all()

    def close(self) -> None:
        """Ends the server and gives its memory back."""
        self._open.close()

    def send(self, requests: Iterator[Request]) -> Iterator[list[tuple[Request, Reply]]]:
        """As the writer `openai` does it."""
        try:
            yield from self._writer.send(requests)
        except Failed as failed:
            if self._server.leash.ended:
                raise self._server.failed("vLLM's server ended while it was writing") from failed
            raise


def served_at(model: Vllm, url: str) -> Served:
    """The model as its server has it."""
    alike = {key: getattr(model, key) for key in ("temperature", "max_tokens", "concurrency", "timeout", "retries")}
    return Served(kind="openai", model=model.title, base_url=url, price=FREE, **alike).of(model.part, None)
