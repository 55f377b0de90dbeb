"""Replicas that follow the work on a real Serve: from none, up with a burst, and to none again."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from serve_app.pipeline import STAGES
from tests.conftest import FIGURES
from tests.integration.conftest import free_port, own_places

CONFIG = Path(__file__).parents[2] / "configs" / "tiny-autoscaled.yaml"
KREA_SERVE = str(Path(sys.executable).with_name("krea-serve"))
PATIENCE_S = 120  # of a machine that others work on; on a free one seconds are enough
SMALL = {"prompt": "a red circle", "size": "64x64", "num_inference_steps": 1}
LARGE = {"prompt": "a red circle", "size": "1024x1024", "num_inference_steps": 50, "n": 8}


@dataclass(frozen=True)
class ScaledServer:
    """A process of its own, for this one may have a Ray already."""

    url: str
    process: psutil.Process

    def replicas(self, deployment: str) -> int:
        """Return how many replicas run, those that are starting or ending included."""
        name = f"ServeReplica:krea-serve:{deployment}"
        return sum(name in title(each) for each in self.process.children(recursive=True))

    def generate(self, body: dict[str, Any]) -> httpx.Response:
        url = f"{self.url}/v1/images/generations"
        return httpx.post(url, json=body, timeout=240)


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends_at, f"not so within {PATIENCE_S} s: {what}"
        time.sleep(0.1)


def is_ready(url: str) -> bool:
    try:
        answer = httpx.get(f"{url}/readyz")
    except httpx.TransportError:
        return False
    # Also from a proxy that knows no application yet.
    assert answer.headers["content-type"] == "application/json"
    return answer.is_success


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScaledServer]:
    folder = tmp_path_factory.mktemp("scaled")
    document = yaml.safe_load(CONFIG.read_text())
    document["applications"][0]["args"] |= own_places(folder)
    config = folder / "scaled.yaml"
    config.write_text(yaml.safe_dump(document))
    port = free_port()
    command = [KREA_SERVE, "serve", "--config", str(config), "--port", str(port)]
    with subprocess.Popen(command) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: is_ready(url), "the server is ready")
            yield ScaledServer(url, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def test_replicas_come_with_the_work_and_leave_with_it(
    server: ScaledServer, record_property: Callable[[str, object], None]
) -> None:
    assert [server.replicas(stage) for stage in STAGES] == [0, 0, 0, 0]

    # A request that finds no replica of any stage is held until there is one of each.
    assert server.generate(SMALL).is_success
    assert server.replicas("Denoiser") == 1

    burst = threading.Thread(target=lambda: server.generate(LARGE))
    burst.start()
    started_at = time.monotonic()
    wait_until(lambda: server.replicas("Denoiser") == 2, "a burst brings another denoiser")
    # Encoding the prompt, the decision (aim: 1 s) and the start of a process.
    waited_s = time.monotonic() - started_at
    record_property(FIGURES, f"{waited_s:.1f} s from a burst to another denoiser's process")
    assert burst.is_alive(), "while there is still work for it"
    burst.join()

    wait_until(
        lambda: not any(server.replicas(stage) for stage in STAGES), "replicas leave when idle"
    )
    assert is_ready(server.url), "at rest is ready"
