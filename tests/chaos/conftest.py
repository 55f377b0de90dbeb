"""One cluster per module, random choices that can be made again, and figures in the summary."""

import os
import random
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.cluster import ChaosCluster, application, changed, chaos_cluster
from tests.chaos.load import Load
from tests.chaos.pictures import NUM_STEPS, Pictures, undisturbed
from tests.conftest import FIGURES

SEED = int(os.environ.get("CHAOS_SEED", "0")) or secrets.randbelow(10**6) + 1

Note = Callable[[str], None]


@pytest.fixture(scope="module")
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChaosCluster]:
    """Return a cluster whose application has the `args` that a test module has as `ARGS`."""
    folder = tmp_path_factory.mktemp("chaos")
    args = getattr(request.module, "ARGS", {})
    with chaos_cluster(folder, changed(application(folder), **args)) as running:
        yield running


@pytest.fixture(scope="module")
def pictures(request: pytest.FixtureRequest, started: ChaosCluster) -> Pictures:
    """Return what the clients ask for; a test module may have another `NUM_STEPS`."""
    return undisturbed(started.url, getattr(request.module, "NUM_STEPS", NUM_STEPS))


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
def note(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Note:
    """Return what adds a line to the summary, with what makes the random choices again."""
    return lambda line: record_property(FIGURES, f"{request.node.name}: {line}, CHAOS_SEED={SEED}")
