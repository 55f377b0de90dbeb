"""The systems that are compared, all running at the same time, on the same cores."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from ray import cloudpickle, serve
from ray.serve import Deployment

from benchmarks.dag import monoliths, null_stages
from serve_app.config import AppConfig
from serve_app.deployments.ingress import Ingress
from serve_app.local_cluster import deployed, local_ray, read_config, start_progress
from serve_app.model_facts import read_model_facts

CONFIG = Path(__file__).parents[2] / "configs" / "tiny.yaml"
PATH = "/v1/images/generations"
PATIENCE_S = 300
LITTLE = {"ray_actor_options": {"num_cpus": 0.1}, "max_ongoing_requests": 100}
NULL_STAGES = {
    "text_encoder": null_stages.NullTextEncoder,
    "denoiser": null_stages.NullDenoiser,
    "vae": null_stages.NullVae,
    "image_writer": null_stages.NullImageWriter,
}

Ask = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Systems:
    """How each of them is asked for a picture.

    Attributes:
        ours: krea-serve with the embedded model.
        null: krea-serve with stages that do nothing.
        serve_monolith: FluxPipeline in a Ray Serve deployment.
        uvicorn_monolith: FluxPipeline behind uvicorn.
        bare: FluxPipeline in this process.
    """

    ours: Ask
    null: Ask
    serve_monolith: Ask
    uvicorn_monolith: Ask
    bare: Ask


@contextmanager
def running_systems() -> Iterator[Systems]:
    """Start all of them; they end with the block."""
    # The replicas cannot import the benchmarks.
    cloudpickle.register_pickle_by_value(null_stages)
    cloudpickle.register_pickle_by_value(monoliths)
    with ExitStack() as stack:
        kept = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        schema = read_config(CONFIG, free_port())
        app = schema.applications[0]
        app.args = app.args | own_places(kept / "ours")
        stack.enter_context(local_ray())
        stack.enter_context(deployed(schema))
        for _ in start_progress(app.name):
            pass
        run_null(AppConfig.model_validate(own_places(kept / "null")))
        monolith = one_replica(monoliths.Monolith, num_cpus=0.1).bind()
        serve.run(monolith, name="mono", route_prefix="/mono")
        port = free_port()
        stack.enter_context(uvicorn_process(port))
        client = stack.enter_context(httpx.Client(timeout=PATIENCE_S))
        url = f"http://127.0.0.1:{schema.http_options.port}"
        yield Systems(
            ours=asker(client, url),
            null=asker(client, f"{url}/null"),
            serve_monolith=asker(client, f"{url}/mono"),
            uvicorn_monolith=asker(client, f"http://127.0.0.1:{port}"),
            bare=monoliths.BarePipeline().png,
        )


def run_null(config: AppConfig) -> None:
    """Deploy the real ingress before stages that do nothing."""
    stages = {
        argument: cast(Deployment, serve.deployment(kind, **LITTLE)).bind()
        for argument, kind in NULL_STAGES.items()
    }
    ingress = cast(Deployment, serve.deployment(Ingress, **LITTLE))
    facts = read_model_facts(config.model.directory)
    serve.run(ingress.bind(config, facts, **stages), name="null", route_prefix="/null")


def one_replica(kind: type, num_cpus: float) -> Deployment:
    """Return a deployment of one replica that takes one request at a time."""
    options = {"ray_actor_options": {"num_cpus": num_cpus}, "max_ongoing_requests": 1}
    return cast(Deployment, serve.deployment(kind, **options))


@contextmanager
def uvicorn_process(port: int) -> Iterator[None]:
    """Run the uvicorn monolith in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", monoliths.__name__, str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            until_it_listens(port)
            yield
        finally:
            process.terminate()


def until_it_listens(port: int) -> None:
    """Wait for a server to start."""
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > ends_at:
            raise TimeoutError(f"nothing listens on port {port}")
        time.sleep(0.2)


def asker(client: httpx.Client, url: str) -> Ask:
    """Return what posts one request and waits for its picture."""

    def ask(body: dict[str, Any]) -> None:
        response = client.post(url + PATH, json=body | {"response_format": "b64_json"})
        response.raise_for_status()

    return ask


def own_places(folder: Path) -> dict[str, object]:
    """Return the `args` that keep pictures and records in a folder."""
    folder.mkdir()
    return {
        "storage": {"directory": str(folder / "media")},
        "records": {"url": f"sqlite:///{folder / 'records.db'}"},
    }


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
