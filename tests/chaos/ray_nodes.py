"""A Ray of several nodes on loopback, in a process of its own that is led by lines of JSON.

Of its own, because the tests' process may be the driver of another Ray. One command per line of the
input, one answer per line of the output; the end of the input ends the cluster.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve._private.api import serve_start
from ray.serve._private.common import ReplicaState
from ray.serve.schema import ServeDeploySchema

from tests.chaos.node_provider import HEAD_ENVIRONMENT, OBJECT_STORE_BYTES, autoscaling_config

HEAD_IP = "127.0.0.2"
WORKER_IPS = ("127.0.0.3", "127.0.0.4")
SPARE_IP = "127.0.0.5"
DRAIN_S = 120
# Serve's controller and a proxy need none; everything else runs on the workers.
HEAD_CPUS, WORKER_CPUS, WORKER_GPUS = 0, 4, 1
# Where nodes with GPUs come and go, everything that needs none runs on the head.
LASTING_HEAD_CPUS, IDLE_S = 4, 6


class RayNodes:
    """The nodes, and what can be done to them; each public method is a command."""

    def __init__(self, temp_dir: Path, gcs_port: int, max_nodes: int) -> None:
        """Start the nodes.

        Args:
            temp_dir: Of Ray.
            gcs_port: Of the head.
            max_nodes: That Ray's autoscaler may add to the head; 0: two workers that stay.
        """
        head = {
            "node_ip_address": HEAD_IP,
            "num_cpus": HEAD_CPUS,
            "gcs_server_port": gcs_port,
            "temp_dir": str(temp_dir),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
        if max_nodes:
            head |= autoscaled(temp_dir, gcs_port, max_nodes)
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        for ip in () if max_nodes else WORKER_IPS:
            self.add_node(ip, wait=False)
        self._cluster.wait_for_nodes()
        ray.init(
            address=self._cluster.address,
            namespace="serve",
            log_to_driver=False,
            _node_ip_address=HEAD_IP,
        )

    def add_node(self, ip: str, wait: bool = True) -> None:
        """Start a worker node."""
        self._cluster.add_node(
            wait=wait,
            node_ip_address=ip,
            num_cpus=WORKER_CPUS,
            num_gpus=WORKER_GPUS,
            object_store_memory=OBJECT_STORE_BYTES,
        )

    def gpu_nodes(self) -> list[str]:
        """Return the addresses of the nodes that have a GPU and are alive."""
        return [
            node["NodeManagerAddress"]
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get("GPU")
        ]

    def forget_node(self, ip: str) -> None:
        """End what is left of a node whose raylet is dead."""
        (node,) = [each for each in self._cluster.worker_nodes if each.node_ip_address == ip]
        self._cluster.remove_node(node, allow_graceful=False)

    def drain_node(self, ip: str) -> None:
        """Tell Ray that a node is about to end, as `cluster/` does before a pod ends."""
        (node,) = [each for each in self._cluster.worker_nodes if each.node_ip_address == ip]
        command = [
            *(str(Path(sys.executable).with_name("ray")), "drain-node"),
            *("--address", self._cluster.address, "--node-id", node.node_id),
            *("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "the pod ends"),
            *("--deadline-remaining-seconds", str(DRAIN_S)),
        ]
        subprocess.run(command, check=True)

    def kill_gcs(self) -> None:
        """Kill the head's store of the cluster's state."""
        self._cluster.head_node.kill_gcs_server()

    def start_gcs(self) -> None:
        """Start it again, from what it had written to disk."""
        self._cluster.head_node.start_gcs_server()

    def deploy(self, schema: dict[str, Any]) -> None:
        """Submit a Serve config file; returns at once."""
        checked = ServeDeploySchema.model_validate(schema)
        client = serve_start(
            http_options=checked.http_options.model_dump(),
            proxy_location=checked.proxy_location,
            global_logging_config=checked.logging_config,
        )
        client.deploy_apps(checked)

    def status(self) -> dict[str, Any]:
        """Return Serve's own view of the application and its proxies."""
        status = serve.status()
        return {
            "proxies": {node: str(state.value) for node, state in status.proxies.items()},
            "applications": {
                name: {
                    "status": app.status.value,
                    "message": app.message,
                    "deployments": {
                        deployment: {
                            "status": each.status.value,
                            "message": each.message,
                            "replicas": {
                                ReplicaState(s).value: n for s, n in each.replica_states.items()
                            },
                        }
                        for deployment, each in app.deployments.items()
                    },
                }
                for name, app in status.applications.items()
            },
        }

    def shut_down(self) -> None:
        """End everything that was started here."""
        ray.shutdown()
        self._cluster.shutdown()


def autoscaled(temp_dir: Path, gcs_port: int, max_nodes: int) -> dict[str, Any]:
    """Return what makes a head one to which Ray's autoscaler adds nodes."""
    config = temp_dir / "autoscaling.json"
    address = f"{HEAD_IP}:{gcs_port}"
    document = autoscaling_config(address, LASTING_HEAD_CPUS, max_nodes, IDLE_S)
    config.write_text(json.dumps(document), encoding="utf-8")
    return {
        "num_cpus": LASTING_HEAD_CPUS,
        "autoscaling_config": str(config),
        "env_vars": HEAD_ENVIRONMENT,
    }


@contextmanager
def own_output() -> Iterator[TextIO]:
    """Keep the output for answers: what Ray prints goes where the errors go."""
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        yield answers


def answer(nodes: RayNodes, line: str) -> dict[str, Any]:
    """Do what a line says."""
    command = json.loads(line)
    method: Callable[..., Any] = getattr(nodes, command.pop("do"))
    try:
        return {"result": method(**command)}
    except Exception as error:  # noqa: BLE001 - the tests are told, whatever it is
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Run `python -m tests.chaos.ray_nodes TEMP_DIR GCS_PORT MAX_NODES`."""
    temp_dir, gcs_port, max_nodes = sys.argv[1:]
    with own_output() as answers:
        nodes = RayNodes(Path(temp_dir), int(gcs_port), int(max_nodes))
        try:
            answers.write("{}\n")
            for line in sys.stdin:
                answers.write(json.dumps(answer(nodes, line)) + "\n")
        finally:
            nodes.shut_down()


if __name__ == "__main__":
    main()
