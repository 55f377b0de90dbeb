"""`krea-serve serve` as a user runs it: a process, its output, Ctrl-C."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from serve_app.config import EMBEDDED_MODEL_DIR

ROOT = Path(__file__).parents[2]
KREA_SERVE = Path(sys.executable).with_name("krea-serve")
START_S, PICTURE_S = 180, 60
KEY = {"Authorization": "Bearer secret"}
SHORT = {"prompt": "a red circle", "size": "64x64", "num_inference_steps": 1}
LONG = {
    "prompt": "a red circle",
    "size": "1024x1024",
    "num_inference_steps": 50,
    "stream": True,
    "partial_images": 3,
}


class Command:
    """A running `krea-serve serve` and what it has printed so far."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [KREA_SERVE, "serve", *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            for line in stderr:
                self.lines.append(line.rstrip())
                if "curl" in line:
                    self._ready.set()

    def end(self) -> None:
        """Leave nothing behind, whatever the test came to."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()

    def wait_until_ready(self) -> None:
        assert self._ready.wait(START_S), self.lines

    def find(self, pattern: str) -> str:
        return next(match[0] for line in self.lines if (match := re.search(pattern, line)))


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def command(port: int) -> Iterator[Command]:
    started = Command("--port", str(port), KREA_SERVE_API_KEY="secret")
    yield started
    started.end()


def test_from_start_to_ctrl_c(command: Command, port: int) -> None:
    command.wait_until_ready()
    url = f"http://127.0.0.1:{port}"
    assert command.find(r"http://\S+/playground") == f"{url}/playground"
    assert httpx.get(f"{url}/playground").status_code == 200
    assert httpx.get(command.find(r"http://\S+/metrics")).status_code == 200
    assert httpx.get(f"{url}/v1/models").status_code == 401

    curl = command.find(r"curl .*")
    answer = subprocess.run(
        curl,
        shell=True,
        check=True,
        capture_output=True,
        env=os.environ | {"KREA_SERVE_API_KEY": "secret"},
    )
    picture = httpx.get(json.loads(answer.stdout)["data"][0]["url"])
    assert picture.headers["content-type"] == "image/png"

    images = f"{url}/v1/images/generations"
    with httpx.stream("POST", images, json=LONG, headers=KEY, timeout=PICTURE_S) as stream:
        events = (line for line in stream.iter_lines() if line.startswith("event:"))
        assert next(events) == "event: image_generation.partial_image"
        assert_stops(command, images, events)


def assert_stops(command: Command, images: str, events: Iterator[str]) -> None:
    """Interrupt in the middle of a picture: it comes, no other is begun, nothing stays behind."""
    left_behind = psutil.Process(command.process.pid).children(recursive=True)
    assert any("raylet" in process.name() for process in left_behind)
    command.process.send_signal(signal.SIGINT)
    assert_refuses(images)
    assert list(events)[-1] == "event: image_generation.completed"
    assert command.process.wait(60) == 0
    _, alive = psutil.wait_procs(left_behind, timeout=20)
    assert not alive
    assert not any("Traceback" in line for line in command.lines)
    assert "krea-serve: stopped" in command.lines


def ask(images: str) -> httpx.Response:
    return httpx.post(images, json=SHORT, headers=KEY, timeout=PICTURE_S)


def assert_refuses(images: str) -> None:
    """Ask until the answer is no: the signal takes its way through Serve."""
    while (answer := ask(images)).status_code == 200:
        pass
    # By the ingress or, on a machine so slow that the picture was done first, by the proxy.
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("args: {model: {path: /no/such/model}}", "/no/such/model does not exist"),
        ("args: {modle: {}}", "modle"),
    ],
)
def test_a_wrong_config_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    assert_one_line(serve_config(tmp_path, text), said)


def serve_config(folder: Path, text: str) -> Path:
    config = folder / "config.yaml"
    config.write_text(f"applications: [{{name: a, import_path: serve_app.builder:build, {text}}}]")
    return config


def assert_one_line(config: Path, said: str) -> None:
    ended = subprocess.run(
        [KREA_SERVE, "serve", "--config", config], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_broken_weight_file_is_one_line(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(EMBEDDED_MODEL_DIR, model)
    weights = model / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert_one_line(serve_config(tmp_path, f"args: {{model: {{path: {model}}}}}"), str(weights))
