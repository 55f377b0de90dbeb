"""A cluster for fault tests: started, deployed to, watched, and hit where it hurts."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from serve_app.deployments.serve_environment import SERVE_ENVIRONMENT
from tests.chaos.node_provider import AUTOSCALER_ENVIRONMENT
from tests.integration.conftest import own_places

ROOT = Path(__file__).parents[2]
APPLICATION = Path(__file__).parent / "application.yaml"
APP = "krea-serve"

PATIENCE_S = 200
POLL_S = 0.2

# Below those that Linux gives to who asks for any.
FIXED_PORTS = range(20000, 32000)

# How fast Ray notices a death: on a loaded machine not faster, or it sees deaths that are none.
ENVIRONMENT = SERVE_ENVIRONMENT | {
    "RAY_gcs_storage": "rocksdb",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "120",
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "5",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(ROOT),
}


def lasting_port() -> int:
    """Return a free port that no process gets by chance: Ray's take many while they start."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            port = FIXED_PORTS.start + secrets.randbelow(len(FIXED_PORTS))
            probe.bind(("127.0.0.1", port))
            return port


def application(folder: Path) -> dict[str, Any]:
    """Return the Serve config file of the tests, with a port and places of its own."""
    schema: dict[str, Any] = yaml.safe_load(APPLICATION.read_text(encoding="utf-8"))
    schema["http_options"]["port"] = lasting_port()
    schema["applications"][0]["args"] |= own_places(folder)
    return schema


def changed(schema: dict[str, Any], **args: object) -> dict[str, Any]:
    """Return a Serve config file with other `args`."""
    copy: dict[str, Any] = json.loads(json.dumps(schema))
    copy["applications"][0]["args"] |= args
    return copy


def told(schema: dict[str, Any], deployment: str, user_config: dict[str, Any]) -> dict[str, Any]:
    """Return a Serve config file with another `user_config` of a deployment."""
    copy: dict[str, Any] = json.loads(json.dumps(schema))
    (found,) = [
        each for each in copy["applications"][0]["deployments"] if each["name"] == deployment
    ]
    found["user_config"] = user_config
    return copy


@dataclass
class ChaosCluster:
    """Three nodes and the application on them.

    Attributes:
        folder: Of everything it writes.
        schema: What is deployed.
    """

    folder: Path
    schema: dict[str, Any]
    _process: subprocess.Popen[str] = field(repr=False)

    @property
    def url(self) -> str:
        """Where its proxies listen, all of them on one port, as behind a load balancer."""
        return f"http://127.0.0.1:{self.schema['http_options']['port']}"

    def do(self, command: str, **arguments: object) -> Any:
        """Lead the process of the nodes."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self.answer()
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def answer(self) -> dict[str, Any]:
        """Return the next line of the process of the nodes."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the nodes ended: {self.log()[-2000:]}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def deploy(self, schema: dict[str, Any]) -> None:
        """Submit a Serve config file; returns at once."""
        self.schema = schema
        self.do("deploy", schema=schema)

    def status(self) -> dict[str, Any]:
        """Return Serve's view of the application."""
        status: dict[str, Any] = self.do("status")["applications"].get(APP, {})
        return status

    def is_healthy(self) -> bool:
        """Whether every deployment of a fixed size has its replicas, and no others, alive."""
        status = self.status()
        wanted = {
            each["name"]: each["num_replicas"]
            for each in self.schema["applications"][0]["deployments"]
            if "num_replicas" in each
        }
        found = status.get("deployments", {})
        # Serve's own view may be older than a death.
        return status.get("status") == "RUNNING" and all(
            found[name]["replicas"] == {"RUNNING": number} and len(self.replicas(name)) == number
            for name, number in wanted.items()
        )

    def until_healthy(self) -> float:
        """Return the seconds until every deployment is whole."""
        return until(self.is_healthy, lambda: str(self.status()))

    def processes(self) -> list[psutil.Process]:
        """Return all that runs of it."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def log(self) -> str:
        """Return what the process of the nodes has written."""
        return (self.folder / "nodes.log").read_text(encoding="utf-8", errors="replace")

    def titled(self, title: str) -> list[psutil.Process]:
        """Return the processes that have a text in their title."""
        return [each for each in self.processes() if title in title_of(each)]

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Return the replicas of a deployment, by their process title."""
        return self.titled(f"ServeReplica:{APP}:{deployment}")

    def proxies(self) -> list[psutil.Process]:
        """Return Serve's HTTP proxies."""
        return self.titled("ProxyActor")

    def controller(self) -> psutil.Process:
        """Return Serve's controller."""
        (process,) = self.titled("ServeController")
        return process

    def raylet(self, ip: str) -> psutil.Process:
        """Return what all processes of a node descend from."""
        (process,) = [
            each
            for each in psutil.Process(self._process.pid).children()
            if Path(title_of(each).partition(" ")[0]).name == "raylet"
            and f"--node_ip_address={ip}" in title_of(each)
        ]
        return process

    def of_node(self, ip: str) -> list[psutil.Process]:
        """Return every process of a node, its raylet first."""
        raylet = self.raylet(ip)
        return [raylet, *raylet.children(recursive=True)]

    def stop(self) -> None:
        """End every process that was started here, by its id."""
        started = [psutil.Process(self._process.pid), *self.processes()]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self._process.stdout.close()
        for process in started:
            send(signal.SIGKILL, process)
        self._process.wait()


def title_of(process: psutil.Process) -> str:
    """Return the title of a process; nothing, when it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def send(number: signal.Signals, *processes: psutil.Process) -> None:
    """Send a signal to processes, whether or not they still are."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def until(is_so: Callable[[], bool], explain: Callable[[], str] = str) -> float:
    """Return the seconds until something is so."""
    began_at = time.monotonic()
    while not is_so():
        assert time.monotonic() - began_at < PATIENCE_S, explain()
        time.sleep(POLL_S)
    return time.monotonic() - began_at


@contextmanager
def ray_folder() -> Iterator[Path]:
    """Have a folder for a Ray of the tests, for the length of the block."""
    # Ray's sockets live below it, and a socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="krea-chaos-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a Ray of the tests, which keeps all it writes in its folder."""
    own = {"RAY_TMPDIR": str(folder), "RAY_gcs_storage_path": str(folder / "gcs")}
    return os.environ | ENVIRONMENT | own


@contextmanager
def chaos_cluster(
    folder: Path, schema: dict[str, Any], max_nodes: int = 0
) -> Iterator[ChaosCluster]:
    """Run a cluster with an application on it for the length of the block.

    Args:
        folder: For all that it writes.
        schema: Of the Serve config file.
        max_nodes: That Ray's autoscaler may add to the head; 0: there are two that stay.
    """
    with ray_folder() as temp_dir:
        cluster = ChaosCluster(folder, schema, started_nodes(folder, temp_dir, max_nodes))
        try:
            cluster.answer()
            cluster.deploy(cluster.schema)
            cluster.until_healthy()
            yield cluster
        finally:
            cluster.stop()


def started_nodes(folder: Path, temp_dir: Path, max_nodes: int) -> "subprocess.Popen[str]":
    """Start the process of the nodes; it answers once they are there."""
    # Where `cluster_utils` writes the address of its last cluster.
    (temp_dir / "ray").mkdir()
    with (folder / "nodes.log").open("w") as log:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.chaos.ray_nodes"),
                *(str(temp_dir), str(lasting_port()), str(max_nodes)),
            ],
            cwd=ROOT,
            env=environment(temp_dir) | (AUTOSCALER_ENVIRONMENT if max_nodes else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
