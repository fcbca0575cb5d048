"""Fixtures: the drawn study of `tests/study.py`, made once, with its comparison and its page."""

from pathlib import Path
from typing import Any

import pytest

from msmc.backend.comparison import compare
from msmc.backend.page.study import Study
from msmc.backend.report import render_page
from tests.read_page import Page
from tests.study import make_study


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def comparison(folders: list[Path]) -> dict[str, Any]:
    return compare(folders)


@pytest.fixture(scope="session")
def text(comparison: dict[str, Any], folders: list[Path]) -> str:
    return render_page(comparison, folders)


@pytest.fixture(scope="session")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture(scope="session")
def study(comparison: dict[str, Any], folders: list[Path]) -> Study:
    return Study(comparison, folders)
