"""A Ray as a platform has it: of `ray start`, `serve deploy` and `serve status`.

Its head can be lost as a whole and come again, from what its GCS had written to disk.
"""

import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.chaos.cluster import (
    APP,
    ROOT,
    environment,
    lasting_port,
    ray_folder,
    send,
    title_of,
    until,
)
from tests.chaos.node_provider import OBJECT_STORE_BYTES
from tests.chaos.ray_nodes import HEAD_CPUS, HEAD_IP, WORKER_CPUS, WORKER_GPUS, WORKER_IPS

BIN = Path(sys.executable).parent
STARTED = "This command will now block"  # what `ray start` says at last


class StartedRay:
    """A head and two workers."""

    def __init__(self, folder: Path, temp_dir: Path, schema: dict[str, Any]) -> None:
        """Start nothing yet.

        Args:
            folder: Of the logs, and of the config file.
            temp_dir: Of Ray.
            schema: What is to be deployed.
        """
        self.schema = schema
        self._folder, self._temp_dir = folder, temp_dir
        self._gcs_port, self._dashboard_port = lasting_port(), lasting_port()
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self._environment = environment(temp_dir) | own

    @property
    def url(self) -> str:
        """Where its proxies listen, all of them on one port, as behind a load balancer."""
        return f"http://127.0.0.1:{self.schema['http_options']['port']}"

    def start_head(self) -> None:
        """Start a head that goes on from what the one before has left on disk."""
        # A new pod has no such file.
        (self._temp_dir / "ray_current_cluster").unlink(missing_ok=True)
        self._start_node(
            HEAD_IP,
            "--head",
            f"--port={self._gcs_port}",
            f"--temp-dir={self._temp_dir}",
            f"--dashboard-host={HEAD_IP}",
            f"--dashboard-port={self._dashboard_port}",
            f"--ray-client-server-port={lasting_port()}",
            f"--num-cpus={HEAD_CPUS}",
        )

    def start_worker(self, ip: str) -> None:
        """Start a node that joins the head."""
        address = f"--address={HEAD_IP}:{self._gcs_port}"
        self._start_node(ip, address, f"--num-cpus={WORKER_CPUS}", f"--num-gpus={WORKER_GPUS}")

    def kill_head(self) -> None:
        """Kill every process of the head: GCS, raylet, dashboard, a proxy, Serve's controller."""
        head = self._nodes.pop(HEAD_IP)
        killed = tree(head.pid)
        send(signal.SIGKILL, *killed)
        head.wait()
        psutil.wait_procs(killed)

    def deploy(self, schema: dict[str, Any]) -> None:
        """Submit a Serve config file through the dashboard's REST."""
        self.schema = schema
        file = self._folder / "application.yaml"
        file.write_text(yaml.safe_dump(schema))
        self._serve("deploy", str(file))

    def status(self) -> dict[str, Any]:
        """Return Serve's view of the application; nothing while the head does not answer."""
        status: dict[str, Any] = self._all_status().get("applications", {}).get(APP, {})
        return status

    def has_head(self) -> bool:
        """Whether the head answers."""
        return bool(self._all_status())

    def log(self) -> str:
        """Return what the nodes have written."""
        return "\n".join(file.read_text()[-1000:] for file in self._folder.glob("*.log"))

    def is_healthy(self) -> bool:
        """Whether all runs of which Serve says that it should."""
        status = self.status()
        return status.get("status") == "RUNNING" and all(
            set(each["replica_states"]) == {"RUNNING"}
            and each["replica_states"]["RUNNING"] == len(self.replicas(name))
            for name, each in status["deployments"].items()
        )

    def until_healthy(self) -> float:
        """Return the seconds until every deployment is whole."""
        return until(self.is_healthy, lambda: str(self.status()))

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Return the replicas of a deployment, by their process title."""
        title = f"ServeReplica:{APP}:{deployment}"
        nodes = list(self._nodes.values())
        return [each for node in nodes for each in tree(node.pid) if title in title_of(each)]

    def stop(self) -> None:
        """End every process that was started here, by its id."""
        for node in self._nodes.values():
            started = tree(node.pid)
            node.terminate()
            psutil.wait_procs(started, timeout=10)
            send(signal.SIGKILL, *started)
            node.wait()

    def _start_node(self, ip: str, *options: str) -> None:
        own = [f"--node-ip-address={ip}", f"--object-store-memory={OBJECT_STORE_BYTES}"]
        file = self._folder / f"{ip}.log"
        with file.open("wb") as log:
            self._nodes[ip] = subprocess.Popen(
                [BIN / "ray", "start", "--block", "--disable-usage-stats", *own, *options],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        # Two that start in the same moment on one machine can wait for each other in vain.
        until(lambda: STARTED in file.read_text(), self.log)

    def _all_status(self) -> dict[str, Any]:
        try:
            status: dict[str, Any] = yaml.safe_load(self._serve("status"))
        except subprocess.CalledProcessError:
            return {}
        return status

    def _serve(self, command: str, *arguments: str) -> str:
        address = f"http://{HEAD_IP}:{self._dashboard_port}"
        result = subprocess.run(
            [BIN / "serve", command, "--address", address, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
        )
        return result.stdout


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all that descend from it; none, when it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def started_ray(folder: Path, schema: dict[str, Any]) -> Iterator[StartedRay]:
    """Run the nodes with an application on them for the length of the block."""
    with ray_folder() as temp_dir:
        nodes = StartedRay(folder, temp_dir, schema)
        try:
            nodes.start_head()
            until(nodes.has_head, nodes.log)
            for ip in WORKER_IPS:
                nodes.start_worker(ip)
            nodes.deploy(schema)
            nodes.until_healthy()
            yield nodes
        finally:
            nodes.stop()
