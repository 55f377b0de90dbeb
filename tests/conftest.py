"""What every test can rely on: a mark by folder, and an environment free of personal settings."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serve_app.config import ModelConfig

if TYPE_CHECKING:
    from tests.unit.records.postgresql_server import PostgresqlServer

TESTS = Path(__file__).parent
FOLDERS = ("unit", "integration", "e2e", "chaos")

# Of a test's properties, those that the summary shows.
FIGURES = "figures"

# Sums of floats depend on the number of threads: a replica is told it, and tests add up beside it.
os.environ["OMP_NUM_THREADS"] = str(ModelConfig().num_threads)

PERSONAL_SETTINGS = (
    "HF_TOKEN",
    "RAY_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_NAMESPACE",
    "http_proxy",
    "https_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the mark of the folder that it lies in."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder not in FOLDERS:
            raise pytest.UsageError(f"{item.path} must lie in one of tests/{{{','.join(FOLDERS)}}}")
        item.add_marker(folder)


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """Take a developer's settings out of the environment, of our processes and of Ray's."""
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith("KREA_SERVE_") or name in PERSONAL_SETTINGS:
                environment.delenv(name)
        # A test that would download is a test that fails.
        environment.setenv("HF_HUB_OFFLINE", "1")
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the faults cost."""
    lines = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
        if name == FIGURES
    ]
    if lines:
        terminalreporter.section("what the faults cost")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def postgresql() -> Iterator["PostgresqlServer"]:
    """A server of PostgreSQL, with nothing in it but its template."""
    from tests.unit.records.postgresql_server import programs, running_server

    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed: `apt-get install postgresql`")
    with running_server(folder) as server:
        yield server
