"""One real application for all integration tests: own Ray, own port, the embedded model."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from ray import serve
from ray.serve import Deployment
from ray.serve.handle import DeploymentHandle

from serve_app.config import AppConfig, start_with
from serve_app.deployments.ingress import Ingress
from serve_app.errors import StartError
from serve_app.local_cluster import (
    deployed,
    local_ray,
    metrics_url,
    read_config,
    start_progress,
)
from serve_app.model_facts import read_model_facts
from serve_app.tracing import check_exporter
from tests.integration.collector import Collector, collecting

STAGES = {
    "text_encoder": "TextEncoder",
    "denoiser": "Denoiser",
    "vae": "Vae",
    "image_writer": "ImageWriter",
}
METRICS_PERIOD_S = 1.0  # between two times that a replica's metrics are shown; Ray's own is 10 s
CONFIG = Path(__file__).parents[2] / "configs" / "tiny.yaml"


@dataclass(frozen=True)
class Server:
    """A running krea-serve, the folder of its logs, and who collects its spans, if anybody."""

    url: str
    logs: Path
    metrics_url: str
    collector: Collector | None


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_places(folder: Path) -> dict[str, object]:
    """Return the `args` that keep pictures and records in a folder of the test's own."""
    return {
        "storage": {"directory": str(folder / "media")},
        "records": {"url": f"sqlite:///{folder / 'records.db'}"},
    }


def stage_handles(without: str | None = None) -> dict[str, DeploymentHandle[Any]]:
    """Return the running application's stages but one, as arguments for another ingress."""
    return {
        argument: serve.get_deployment_handle(name, app_name="krea-serve")
        for argument, name in STAGES.items()
        if argument != without
    }


LITTLE: dict[str, Any] = {"ray_actor_options": {"num_cpus": 0.1}, "max_ongoing_requests": 64}


@contextmanager
def beside(
    server: Server, name: str, config: AppConfig, **stages: object
) -> Iterator[httpx.Client]:
    """Run another ingress for the length of the block, with a client of its own.

    Args:
        server: The running application, whose stages it has.
        name: Of its application.
        config: Its own.
        stages: Bound deployments, to take the place of the application's or to be added.
    """
    of_ingress = stage_handles() | stages
    logged = {"logging_config": {"encoding": "JSON"}}
    ingress = cast(Deployment, serve.deployment(Ingress, **LITTLE, **logged)).bind(
        config, read_model_facts(config.model.directory), **of_ingress
    )
    serve.run(ingress, name=name, route_prefix=f"/{name}")
    with httpx.Client(base_url=f"{server.url}/{name}", timeout=240) as client:
        yield client
    serve.delete(name)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    schema = read_config(CONFIG, free_port())
    app = schema.applications[0]
    app.args = app.args | own_places(tmp_path_factory.mktemp("kept"))
    url = f"http://127.0.0.1:{schema.http_options.port}"
    start_with({"RAY_metrics_report_interval_ms": f"{1000 * METRICS_PERIOD_S:.0f}"})
    with traced() as collector, local_ray() as logs, deployed(schema):
        for _ in start_progress(app.name):
            pass
        yield Server(url, logs, metrics_url(), collector)


@contextmanager
def traced() -> Iterator[Collector | None]:
    """Have the servers that are started in the block traced, where the exporter is installed."""
    try:
        check_exporter()
    except StartError:
        yield None
        return
    before = dict(os.environ)
    with collecting() as collector:
        os.environ |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "200",  # ms
        }
        yield collector
    os.environ.clear()
    os.environ |= before


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=120) as http:
        yield http
