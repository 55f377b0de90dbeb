"""One cluster per module, random choices that can be made again, and figures in the summary."""

import os
import random
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.cluster import ChaosCluster, chaos_cluster
from tests.chaos.load import Load
from tests.chaos.pictures import Pictures, undisturbed

SEED = int(os.environ.get("CHAOS_SEED", "0")) or secrets.randbelow(10**6) + 1
FIGURES = pytest.StashKey[list[str]]()

Note = Callable[[str], None]


@pytest.fixture(scope="module")
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChaosCluster]:
    """Return a cluster whose application has the `args` that a test module has as `ARGS`."""
    args = getattr(request.module, "ARGS", {})
    with chaos_cluster(tmp_path_factory.mktemp("chaos"), args) as running:
        yield running


@pytest.fixture(scope="module")
def pictures(started: ChaosCluster) -> Pictures:
    return undisturbed(started.url)


@pytest.fixture
def cluster(started: ChaosCluster, pictures: Pictures) -> ChaosCluster:
    """Return the module's cluster, healed of what the test before did to it."""
    started.until_healthy()
    return started


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Return the random choices of a test; `CHAOS_SEED=…` makes them again."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def load(cluster: ChaosCluster, pictures: Pictures, chance: random.Random) -> Callable[..., Load]:
    """Return what makes clients of the cluster."""
    return lambda **options: Load(cluster.url, pictures, chance.randrange(10**6), **options)


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Return what adds a line to the summary."""
    lines = request.config.stash.setdefault(FIGURES, [])
    return lambda line: lines.append(f"{request.node.name}: {line}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what the faults cost."""
    lines = config.stash.get(FIGURES, [])
    if lines:
        terminalreporter.section("what the faults cost")
        terminalreporter.write_line(f"CHAOS_SEED={SEED}")
        for line in lines:
            terminalreporter.write_line(line)
