"""A chat with models of an experiment: which there are, and the conversation of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from msmc.backend.comparison import read_run
from msmc.backend.report import find_runs
from msmc.backend.side_by_side import Reply, SideBySide, Turns
from msmc.backend.weights import model_folder, require_adapter
from msmc.build import RunPlan
from msmc.diagnostics import did_you_mean, fail
from msmc.digest import seed_of
from msmc.shipped import cache_folder
from msmc.stored import broken
from msmc.target import Model, Target


@dataclass(frozen=True)
class ChatModel:
    """One model of a run."""

    name: str
    """Of its arm or control, as short as tells it from the others."""
    seed: int
    folder: Path
    base: Model
    adapter: Path | None
    """None: the untouched base."""
    system: str | None
    """What it has as system prompt: the spec, for the control `spec_in_context`."""


def find_models(places: tuple[Path, ...]) -> list[ChatModel]:
    """The models of all runs at or below the given places, by name and seed. Raises Failed `not-a-run`, `broken-file`."""
    runs = {folder: read_run(folder) for folder in find_runs(places)}
    models = [_model(name, folder, runs[folder]) for folder, name in _names(runs).items()]
    bases = {(m.base.name, m.base.revision, m.base.package, m.base.file) for m in models}
    if len(bases) > 1:
        told = " and ".join(sorted(" ".join(filter(None, base)) for base in bases))
        raise fail("not-a-run", f"these models are not of one base, but of {told}", "name runs of one target")
    return sorted(models, key=lambda model: (model.name, model.seed))


def _names(runs: dict[Path, dict[str, Any]]) -> dict[Path, str]:
    """`bare` where one ablation has it, else `reasons.bare`, else, of several states of a spec, the folder."""
    named: dict[Path, str] = {}
    for name in (lambda folder: str(runs[folder]["run"]["name"]), lambda folder: folder.parent.name, str):
        groups = defaultdict(list)
        for folder in (folder for folder in runs if folder not in named):
            groups[name(folder)].append(folder)
        for found, folders in groups.items():
            seeds = {runs[folder]["seed"] for folder in folders}
            if len({folder.parent for folder in folders}) == 1 and len(seeds) == len(folders):
                named |= dict.fromkeys(folders, found)
    return named


def _model(name: str, folder: Path, run: dict[str, Any]) -> ChatModel:
    plan = RunPlan.model_validate(run["run"])
    trained = [folder / stage / "adapter" for stage in plan.training if stage in run["stages"]]
    if plan.context and not run.get("system"):
        raise broken(folder / "run.json", "was written before msmc kept a model's system prompt there")
    base = Target.model_validate(run["target"]).model
    return ChatModel(name, run["seed"], folder, base, trained[-1] if trained else None, run.get("system"))


def chosen(models: Sequence[ChatModel], arms: Sequence[str], seed: int | None) -> list[ChatModel]:
    """Those of the named arms in this order, or all, of one seed: for None, each arm's first."""
    there = {model.name: model for model in reversed(models) if seed in (None, model.seed)}
    if not there:
        seeds = ", ".join(map(str, sorted({model.seed for model in models})))
        raise fail("unknown-arm", f"no model has seed {seed}", f"seeds: {seeds}")
    for arm in arms:
        if arm not in there:
            which = "" if seed is None else f" of seed {seed}"
            raise fail("unknown-arm", f"there is no model `{arm}`{which}", did_you_mean(arm, there))
    return [there[arm] for arm in dict.fromkeys(arms)] or list(there.values())[::-1]


class Chat:
    """The same questions to several models, each of which knows its own replies."""

    def __init__(
        self, models: Sequence[ChatModel], temperature: float, max_tokens: int, say: Callable[[str], None]
    ) -> None:
        self.temperature, self.max_tokens, self._say = temperature, max_tokens, say
        self.transcript: list[dict[str, Any]] = []
        """A row for each reply."""
        self._turn, self._conversation = 0, 0
        self.begin(models)

    @cached_property
    def loaded(self) -> SideBySide:
        """The base model, and what adapters were needed so far."""
        return SideBySide(model_folder(self.models[0].base, cache_folder(), self._say))

    def begin(self, models: Sequence[ChatModel]) -> None:
        """A new conversation. Raises Failed `broken-file` for a damaged adapter."""
        for model in models:
            if model.adapter:
                require_adapter(model.adapter)
        self.models = models
        self._conversation, self._turn = self._conversation + 1, 0
        self._histories: list[Turns] = [
            [{"role": "system", "content": model.system}] if model.system else [] for model in models
        ]

    def ask(self, question: str, replies: Sequence[Reply]) -> list[dict[str, Any]]:
        """Fills `replies`, one for each model, word by word, until they are whole or Ctrl-C ends them; returns their rows."""
        self._turn += 1
        asked = {"role": "user", "content": question}
        chats = [([*history, asked], m.adapter) for history, m in zip(self._histories, self.models, strict=True)]
        self.loaded.say(
            replies, chats, self.max_tokens, self.temperature, seed_of("chat", self._conversation, self._turn)
        )
        for model, reply, history in zip(self.models, replies, self._histories, strict=True):
            if reply.text or reply.finish == "stop":
                history += [asked, {"role": "assistant", "content": reply.text or ""}]
            self.transcript.append(
                {
                    "conversation": self._conversation,
                    "turn": self._turn,
                    "model": model.name,
                    "seed": model.seed,
                    "run": str(model.folder),
                    "temperature": self.temperature,
                    "question": question,
                    "reply": reply.text,
                    "finish": reply.finish,
                }
            )
        return self.transcript[-len(replies) :]
