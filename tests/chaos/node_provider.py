"""Nodes on loopback for Ray's own autoscaler, which imports this into the process it runs in."""

import json
import os
from typing import Any

from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._private.ray_constants import (
    LABELS_ENVIRONMENT_VARIABLE,
    RESOURCES_ENVIRONMENT_VARIABLE,
)
from ray.autoscaler._private.fake_multi_node.node_provider import (
    FAKE_HEAD_NODE_ID,
    FAKE_HEAD_NODE_TYPE,
    FakeMultiNodeProvider,
)
from ray.autoscaler.tags import (
    NODE_KIND_WORKER,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)

NODE_TYPE = "gpu"
# The head is 127.0.0.2.
FIRST_HOST = 3
OBJECT_STORE_BYTES = 128 * 1024 * 1024

# Who is who, for an autoscaler that finds its nodes by these.
HEAD_ENVIRONMENT = {
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    "RAY_NODE_TYPE_NAME": FAKE_HEAD_NODE_TYPE,
}
# As KubeRay has it by default: the second version, but in seconds and not in minutes.
AUTOSCALER_ENVIRONMENT = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}


def autoscaling_config(
    gcs_address: str, head_cpus: int, max_nodes: int, idle_s: float
) -> dict[str, Any]:
    """Return a cluster of a head and up to `max_nodes` nodes with one GPU each.

    Args:
        gcs_address: Of the head, `HOST:PORT`.
        head_cpus: That Ray counts on the head.
        max_nodes: Besides the head.
        idle_s: After which a node that nothing runs on leaves.
    """
    lists = ("initialization", "setup", "head_setup", "worker_setup")
    return {
        "cluster_name": "chaos",
        "max_workers": max_nodes,
        "idle_timeout_minutes": idle_s / 60,
        "upscaling_speed": 1.0,
        "provider": {
            "type": "external",
            "module": f"{__name__}.{LoopbackNodeProvider.__name__}",
            "gcs_address": gcs_address,
            "head_node_id": FAKE_HEAD_NODE_ID,
            "launch_multiple": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "available_node_types": {
            FAKE_HEAD_NODE_TYPE: {
                "resources": {"CPU": head_cpus},
                "node_config": {},
                "max_workers": 0,
            },
            NODE_TYPE: {
                "resources": {"CPU": 1, "GPU": 1, "object_store_memory": OBJECT_STORE_BYTES},
                "node_config": {},
                "min_workers": 0,
                "max_workers": max_nodes,
            },
        },
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    } | {f"{name}_commands": [] for name in lists}


class LoopbackNodeProvider(FakeMultiNodeProvider):  # type: ignore[misc]  # Ray's is not typed
    """Ray's provider for tests, with an address of its own for each node."""

    def _create_node_with_resources_and_labels(
        self,
        node_config: dict[str, Any],
        tags: dict[str, str],
        count: int,
        resources: dict[str, float],
        labels: dict[str, str],
    ) -> None:
        with self.lock:
            instance_id = self._next_hex_node_id()
            own = {
                TAG_RAY_NODE_KIND: NODE_KIND_WORKER,
                TAG_RAY_USER_NODE_TYPE: tags[TAG_RAY_USER_NODE_TYPE],
                TAG_RAY_NODE_NAME: instance_id,
                TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE,
            }
            params = RayParams(
                node_ip_address=f"127.0.0.{FIRST_HOST + self._next_node_id - 1}",
                gcs_address=self._gcs_address,
                num_cpus=resources["CPU"],
                num_gpus=resources["GPU"],
                object_store_memory=resources["object_store_memory"],
                min_worker_port=0,
                max_worker_port=0,
                dashboard_agent_listen_port=0,
                include_log_monitor=False,
                labels=labels,
                env_vars={
                    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": instance_id,
                    "RAY_CLOUD_INSTANCE_ID": instance_id,
                    "RAY_NODE_TYPE_NAME": tags[TAG_RAY_USER_NODE_TYPE],
                    RESOURCES_ENVIRONMENT_VARIABLE: json.dumps({}),
                    LABELS_ENVIRONMENT_VARIABLE: json.dumps(labels),
                    "PYTHONPATH": os.environ["PYTHONPATH"],
                },
            )
            node = Node(params, head=False, shutdown_at_exit=False, spawn_reaper=False)
            self._nodes[instance_id] = {"tags": own | tags, "node": node}
