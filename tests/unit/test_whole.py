"""Whole or not there."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from msmc.whole import whole_file, whole_folder


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name != ".locks")


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    def stopped(part: Path) -> None:
        (part / "half").write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole_folder(tmp_path / "m", stopped, lambda: None)
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_not_read(tmp_path: Path) -> None:
    left = tmp_path / ".m.part"
    left.mkdir()
    (left / "half").write_text("")
    whole_folder(tmp_path / "m", lambda part: (part / "by").write_text("one") and None, lambda: None)
    assert names(tmp_path) == ["m"] and names(tmp_path / "m") == ["by"]


def _make(path: Path, log: Path) -> None:
    def fill(part: Path) -> None:
        time.sleep(0.3)
        (part / "by").write_text(str(os.getpid()))
        with log.open("a") as stream:
            stream.write("filled\n")

    whole_folder(path, fill, lambda: None)


def test_of_processes_that_want_the_same_folder_one_makes_it(tmp_path: Path) -> None:
    """PEERS: two runs in one project wrote over each other."""
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_make, args=(tmp_path / "m", tmp_path / "log")) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "log").read_text() == "filled\n"
    assert all(process.exitcode == 0 for process in processes)


def test_a_file_stays_as_it_was_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    whole_file(path, "old")
    with pytest.raises(UnicodeEncodeError):
        whole_file(path, "half \udc80")
    assert path.read_text() == "old" and names(tmp_path) == ["f.json"]
