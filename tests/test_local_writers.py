"""Writers whose weights lie on this machine, end to end: `transformers` on a whole tiny model, `vllm` where there is none."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from msmc.backend.meter import NO_CAPS, Meter
from msmc.backend.senders import Senders
from msmc.backend.tokens import Tokens
from msmc.cli import main
from msmc.writer import FREE, Transformers
from tests.test_bad_input import FOLDER
from tests.unit.backend.conftest import *  # noqa: F403  # the tiny model

SPEC = (FOLDER / "files" / "tea.msm").read_text("utf-8")
TARGET = (FOLDER / "files" / "tiny.yaml").read_text("utf-8")


@pytest.fixture
def folder(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a model with room for its prompts."""
    monkeypatch.chdir(tmp_path)
    model = shutil.copytree(tiny, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    (tmp_path / "tea.msm").write_text(SPEC, "utf-8")
    (tmp_path / "tiny.yaml").write_text(TARGET, "utf-8")
    return tmp_path


def msmc(command: str, *settings: str) -> Result:
    given = [part for setting in settings for part in ("--set", setting)]
    done = CliRunner().invoke(main, [command, "tea.msm", "-t", "tiny.yaml", *given])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done


def replies(folder: Path) -> dict[str, tuple[str, str, int]]:
    """Raw, how each ended, and its tokens, by row."""
    with sqlite3.connect(folder / "runs" / "ledger.sqlite") as db:
        rows = db.execute(
            "select row, raw, finish, completion_tokens from replies join requests using (key)"
        ).fetchall()
    return {row: (raw, finish, tokens) for row, raw, finish, tokens in rows}


def test_the_model_that_is_trained_writes_its_own_documents(folder: Path) -> None:
    writes = ("writer.kind=transformers", "writer.max_tokens=16", "documents.floor=0", "documents.reserve=0")
    writes = (*writes, "documents.attempts=1")
    planned = msmc("plan", *writes).output
    assert "nothing: the writer `model` runs on this machine" in planned
    done = msmc("run", *writes)
    # of so small a model all is cut off: in quarantine, so that nothing is trained
    assert done.exit_code == 1 and "quarantine" in done.stderr, done.output
    first = replies(folder)
    assert len(first) == 8 and len({raw for raw, _, _ in first.values()}) == 8
    assert all(finish == "length" and tokens == 16 for _, finish, tokens in first.values())
    (folder / "runs" / "ledger.sqlite").rename(folder / "old.sqlite")
    msmc("run", *writes, "writer.batch_size=3")
    assert replies(folder) == first, "whatever batches they were in"


def test_of_models_on_this_machine_one_is_there_at_a_time(folder: Path) -> None:
    senders, meter = (
        Senders(folder / "cache", folder / "vllm", folder / "ledger.sqlite", print),
        Meter(NO_CAPS, FREE, Tokens()),
    )
    one, other = (
        Transformers.model_validate({"kind": "transformers", "model": "model", "temperature": temperature})
        for temperature in (0, 1)
    )
    first = senders.of(one, meter)
    assert senders.of(one, meter) is first
    senders.of(other, meter)
    assert not hasattr(first, "_loaded"), "its memory is given back"
    again = senders.of(one, meter)
    assert again is not first and hasattr(again, "_loaded")
    senders.close()
    senders.close()
    assert not hasattr(again, "_loaded") and senders.of(one, meter) is not again


def test_vllm_that_is_not_there_is_told_before_anything_is_lost(folder: Path) -> None:
    done = msmc("run", "writer.kind=vllm", "writer.python=./no-such-python")
    assert done.exit_code == 1 and "error[vllm-missing]: the interpreter ./no-such-python cannot be run" in done.stderr
    looked = CliRunner().invoke(
        main, ["doctor", "-t", "tiny.yaml", "--set", "writer.kind=vllm", "--set", "writer.python=./no-such-python"]
    )
    assert "FAIL  the interpreter ./no-such-python cannot be run" in looked.output
