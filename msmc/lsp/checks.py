"""Diagnostics: which open documents are checked when, and where what was found is shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from lsprotocol import types

from msmc.check import Checked, check
from msmc.diagnostics import Diagnostic
from msmc.lsp.places import START, Project, disk_path
from msmc.render import order

SEVERITIES = {"error": types.DiagnosticSeverity.Error, "warning": types.DiagnosticSeverity.Warning}
QUIET = 0.005
"""Seconds without a further change before a check begins: an editor that sends ten at once wants the last one's."""
ByUri = dict[str, list[types.Diagnostic]]
log = logging.getLogger(__name__)


class Checks:
    """Checks open documents one after the other, off the event loop; of many quick changes, the last."""

    def __init__(
        self,
        around: Callable[[str], tuple[Project, str] | None],
        publish: Callable[[types.PublishDiagnosticsParams], None],
    ) -> None:
        self._around, self._publish = around, publish
        self._waiting: dict[str, None] = {}
        self._changes = 0
        self._task: asyncio.Task[None] | None = None
        self._found: dict[str, ByUri] = {}
        """By checked document, since two may find something in the file that both import."""
        self._read: dict[str, set[Path]] = {}
        """By checked document: the files that it depends on."""

    def all(self, uris: list[str]) -> None:
        """Every open document is checked again: a file came, went, or changed on the disk."""
        self._stale(uris)

    def changed(self, uri: str) -> None:
        """A document is checked again, and those that import it."""
        path = disk_path(uri)
        self._stale([uri, *(other for other, read in self._read.items() if path in read and other != uri)])

    def closed(self, uri: str) -> None:
        """What was found from a closed document is shown no more."""
        self._waiting.pop(uri, None)
        self._read.pop(uri, None)
        for shown in self._found.pop(uri, {}):
            self._show(shown, None)

    def _stale(self, uris: list[str]) -> None:
        self._waiting |= dict.fromkeys(uri for uri in uris if uri.endswith(".msm"))
        self._changes += 1
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            seen = -1
            while seen != self._changes:
                seen = self._changes
                await asyncio.sleep(QUIET)
            uri = next(iter(self._waiting))
            del self._waiting[uri]
            if (at := self._around(uri)) is None:
                continue
            project, entry = at
            try:
                checked = await asyncio.to_thread(check, entry, project.sources)
            except Exception as error:  # msmc's own mistake; the next change is checked all the same
                log.exception("check of %s failed", uri)
                told = f"msmc failed here ({type(error).__name__}: {error}): please report it; its log holds more"
                shown = types.Diagnostic(START, told, types.DiagnosticSeverity.Error, "internal-error", source="msmc")
                self._show_all(uri, project.version(entry), {uri: [shown]})
                continue
            self._read[uri] = {project.path(path) for path in (entry, *checked.files.sources)}
            if uri not in self._waiting:  # else it has changed since, and its places with it
                self._show_all(uri, project.version(entry), _by_uri(project, entry, checked))

    def _show_all(self, uri: str, version: int | None, found: ByUri) -> None:
        before = self._found.get(uri, {})
        self._found[uri] = found
        self._show(uri, version)
        for other in (before | found).keys() - {uri}:
            if before.get(other) != found.get(other):
                self._show(other, None)

    def _show(self, uri: str, version: int | None) -> None:
        """All that is known of one file, from whichever document."""
        shown: list[types.Diagnostic] = []
        for found in self._found.values():
            shown += [problem for problem in found.get(uri, []) if problem not in shown]
        self._publish(types.PublishDiagnosticsParams(uri, shown, version))


def _by_uri(project: Project, entry: str, checked: Checked) -> ByUri:
    found: ByUri = {}
    for problem in order(checked.problems):
        place = problem.primary.span if problem.primary else None
        found.setdefault(project.uri(place.file if place else entry), []).append(diagnostic(project, problem))
    return found


def diagnostic(project: Project, problem: Diagnostic) -> types.Diagnostic:
    told = [
        problem.message,
        *(f"{kind}: {text}" for kind, text in (("note", problem.note), ("hint", problem.hint)) if text),
    ]
    return types.Diagnostic(
        project.range(problem.primary.span) if problem.primary else START,
        "\n".join(told),
        SEVERITIES[problem.severity],
        problem.name,
        source="msmc",
        related_information=[
            types.DiagnosticRelatedInformation(project.location(label.span), label.text) for label in problem.related
        ],
    )
