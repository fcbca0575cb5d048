"""`msmc doctor`: versions, devices, weights, servers, and what would fail."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from msmc.diagnostics import Failed
from msmc.project import load_target
from msmc.shipped import cache_folder, shipped
from msmc.writer import Local, Remote, Vllm

if TYPE_CHECKING:
    from msmc.source import Sources
    from msmc.target import Target

NEEDED = (
    "lark",
    "pydantic",
    "jinja2",
    "PyYAML",
    "click",
    "rich",
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "gguf",
    "openai",
    "datasketch",
    "py3langid",
    "lm-eval",
    "inspect-ai",
    "scipy",
    "statsmodels",
    "plotly",
)
FREE_GIB = 3
"""Weights, adapters and logs of the demo take about one."""


def examine(
    target: str, settings: tuple[str, ...], spec: tuple[str, Sources] | None, say: Callable[[str], None]
) -> bool:
    """Prints a line for each thing looked at; True when a run, of a spec where one is named, could start."""
    fine = True

    def line(good: bool, what: str, advice: str = "") -> None:
        nonlocal fine
        fine = fine and good
        say(f"{'ok  ' if good else 'FAIL'}  {what}" + (f"\n      {advice}" if advice and not good else ""))

    line(sys.version_info >= (3, 11), f"Python {platform.python_version()}", "msmc needs Python 3.11 or newer")
    for package in NEEDED:
        try:
            line(True, f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            line(False, f"{package} is not installed", "pip install msmc")
    for folder in ("grammar", "templates", "specs", "targets"):
        line((shipped() / folder).is_dir(), f"msmc's own {folder}/", "install msmc again")
    _machine(line)
    try:
        loaded = load_target(target, Path.cwd(), settings)
        line(True, f"target {target}: {loaded.model.name}, writer {loaded.writer_name}")
        _servers(loaded, line)
        _local(loaded, line)
        if spec is not None:
            _evaluations(*spec, loaded, line)
        from msmc.backend.weights import require_model

        require_model(loaded.model)
        line(True, f"weights {loaded.model.package or loaded.model.name}")
    except Failed as failed:
        for problem in failed.problems:
            line(False, problem.message, problem.hint)
    cache = cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    line(os.access(existing, os.W_OK), f"cache {cache}", "set MSMC_CACHE to a folder that can be written")
    return fine


def _servers(target: Target, line: Callable[..., None]) -> None:
    """Whether the models that a target names answer."""
    named = [writer for writer in target.models if isinstance(writer, Remote)]
    if named:
        from msmc.backend.reached import reached  # a second to import

        for served in named:
            line(*reached(served))


def _local(target: Target, line: Callable[..., None]) -> None:
    """Whether the models that write on this machine are there, and what runs them."""
    from msmc.backend.weights import require_model
    from msmc.backend.writers.vllm_server import environment_of, fault_of

    for model in (model for model in target.models if isinstance(model, Local)):
        try:
            require_model(model.weights)
            line(True, f"weights of the {model.part} `{model.title}`")
            if isinstance(model, Vllm):
                found = environment_of(model)
                fault = fault_of(found)
                told = f"{found.package} {found.version} of the {model.part}, in {found.python}"
                line(
                    not fault,
                    f"{told}: {fault}" if fault else told,
                    "install it again: README, Writers on this machine",
                )
        except Failed as failed:
            for problem in failed.problems:
                line(False, problem.message, problem.hint)


def _evaluations(entry: str, sources: Sources, target: Target, line: Callable[..., None]) -> None:
    """What the evaluations of a spec need besides."""
    from msmc.backend.judged import required
    from msmc.backend.open_evaluations import PUBLISHED
    from msmc.check import check

    checked = check(entry, sources)
    faults = [problem for problem in checked.problems if problem.severity == "error"]
    line(not faults, f"spec {entry}", f"msmc check {entry}")
    for block in (block for spec in checked.specs for block in spec.open_evals):
        if wanted := [scenario for scenario in block.scenarios if scenario in PUBLISHED]:
            there = importlib.util.find_spec("inspect_evals") is not None
            told = f"`{block.name}` has the scenario `{wanted[0]}` of inspect-evals"
            line(
                there, told, "it is not installed: pip install 'msmc[agentic]', or in the spec: scenarios exfiltration"
            )
        try:
            line(True, f"`{block.name}` is graded by {required(target.judge, block.name).model}")
        except Failed as failed:
            line(False, failed.problems[0].message, failed.problems[0].hint)


def _machine(line: Callable[..., None]) -> None:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    line(free > FREE_GIB, f"{free:.0f} GiB free here", f"a run needs about {FREE_GIB} GiB")
    try:
        import torch
    except ImportError:
        return
    cuda = f"{torch.cuda.device_count()} CUDA devices" if torch.cuda.is_available() else "no CUDA device"
    line(True, f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads, {cuda}")
