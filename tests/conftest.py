"""Goldens: `pytest --update-golden` rewrites them; read the diff as prose. A skip that is not listed here fails."""

from collections.abc import Generator

import pytest

SKIPS: dict[str, str] = {}
"""Node id of each test that may be skipped, with its reason. Empty: nothing is skipped."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected outcomes")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.nodeid not in SKIPS:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped and is not listed in tests/conftest.py: {report.longrepr}"
    return report
