"""Render `cluster/rayservice.yaml` from a Serve config file, so that the two cannot drift apart.

    python -m cluster.render            write it
    python -m cluster.render --check    fail when the committed file is not what would be written

The config says what every deployment needs. From that follow the worker groups: deployments that
need no GPU run in `cpu`, those that share a GPU by fractions in `shared-gpu`, those that want
whole ones in `whole-gpu`. Only Python's proxy is configured here: HAProxy mode opens more ports,
without authentication, and none of our tests run it.
"""

import argparse
import math
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from serve_app.deployments.serve_environment import SERVE_ENVIRONMENT

STOP, STOP_S = "ray stop", 30
START_S = (
    120  # of a replica that takes the place of one, its weights on a disk or in the page cache
)

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "krea-8gpu.yaml"
RAYSERVICE = ROOT / "cluster" / "rayservice.yaml"

Yaml = dict[str, Any]

CPUS_PER_POD = 4
CPU_MEMORY, GPU_MEMORY, HEAD_MEMORY = "8Gi", "64Gi", "4Gi"
# Messages between replicas live in shared memory; the largest, a decoded picture, is 50 MB.
SHM_SIZE, OBJECT_STORE_BYTES = "4Gi", 2 * 1024**3
# One replica of these to a pod, so that no pod's loss takes more than one. It stands here and not
# in the config file: on one machine, which may have all eight GPUs, a second ingress would wait
# forever, and the application never be deployed. Here `pods_needed` provides a pod for each.
APART = ("Ingress",)
MODELS_DIR = "/models"
SERVE_PORT = 8000
RAY_USER = 1000  # of the rayproject images
LONGEST_DRAIN_S = 600  # requests in flight on the old cluster of an upgrade, and the load balancer


def load_config(path: Path = CONFIG) -> Yaml:
    """Return a Serve config file as it stands."""
    config: Yaml = yaml.safe_load(path.read_text())
    return config


def project_version() -> str:
    """Return the version in pyproject.toml."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def pinned_version(package: str) -> str:
    """Return a package's version in constraints.txt.

    Raises:
        KeyError: The package is not pinned.
    """
    pins = dict(
        line.split("==", 1)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    return pins[package]


def deployments(config: Yaml) -> list[Yaml]:
    """Return the deployments of the config's one application."""
    (application,) = config["applications"]
    found: list[Yaml] = application["deployments"]
    return found


def pool(deployment: Yaml) -> str:
    """Return the worker group a deployment's replicas run in."""
    num_gpus = deployment["ray_actor_options"].get("num_gpus", 0)
    if num_gpus == 0:
        return "cpu"
    return "shared-gpu" if num_gpus < 1 else "whole-gpu"


def in_cluster(config: Yaml) -> Yaml:
    """Return the Serve config of the cluster: the file's own, but for three things.

    It listens on every interface, since a pod's loopback is nobody's; each deployment asks for the
    nodes of its pool, so that a fraction of a GPU never starts on a whole one; and what is to be
    `APART` is.
    """
    application = config["applications"][0]
    placed = [placed_in_cluster(deployment) for deployment in deployments(config)]
    return {
        **config,
        "http_options": {**config["http_options"], "host": "0.0.0.0", "port": SERVE_PORT},  # noqa: S104
        "applications": [{**application, "deployments": placed}],
    }


def placed_in_cluster(deployment: Yaml) -> Yaml:
    """Return a deployment that says which nodes it wants, and how many replicas on one."""
    options = {**deployment["ray_actor_options"], "label_selector": {"pool": pool(deployment)}}
    placed = {**deployment, "ray_actor_options": options}
    return placed | {"max_replicas_per_node": 1} if deployment["name"] in APART else placed


def replicas(deployment: Yaml, bound: str) -> int:
    """Return the `min` or `max` number of replicas of a deployment."""
    if "autoscaling_config" in deployment:
        count: int = deployment["autoscaling_config"][f"{bound}_replicas"]
    else:
        count = deployment.get("num_replicas", 1)
    return count


def demand(found: list[Yaml], resource: str, bound: str) -> float:
    """Return how much of a resource some deployments take at their `min` or `max` number."""
    total: float = sum(
        replicas(deployment, bound) * deployment["ray_actor_options"].get(resource, 0)
        for deployment in found
    )
    return round(total, 6)


def environment(group: str) -> list[Yaml]:
    """Return the environment of a pool's containers; the key goes where the ingress runs."""
    plain = [{"name": name, "value": value} for name, value in SERVE_ENVIRONMENT.items()]
    if group != "cpu":
        return plain
    secret = {"name": "krea-serve", "key": "api-key"}
    return [*plain, {"name": "KREA_SERVE_API_KEY", "valueFrom": {"secretKeyRef": secret}}]


def volumes(config: Yaml) -> dict[str, tuple[Yaml, Yaml]]:
    """Return each volume's source and mount, by name."""
    media_dir = config["applications"][0]["args"]["storage"]["directory"]
    models_claim = {"claimName": "krea-models", "readOnly": True}
    return {
        "shm": (
            {"emptyDir": {"medium": "Memory", "sizeLimit": SHM_SIZE}},
            {"mountPath": "/dev/shm"},  # noqa: S108 - shared memory, not a temporary file
        ),
        "models": (
            {"persistentVolumeClaim": models_claim},
            {"mountPath": MODELS_DIR, "readOnly": True},
        ),
        "media": (
            {"persistentVolumeClaim": {"claimName": "krea-media"}},
            {"mountPath": media_dir},
        ),
    }


def pod(config: Yaml, name: str, resources: Yaml, ports: dict[str, int]) -> Yaml:
    """Return a pod template.

    The head mounts the models too: Serve calls the application's builder there, and the builder
    reads the model's facts.
    """
    used = ["shm", "models"] + (["media"] if name == "cpu" else [])
    sources = {key: value for key, value in volumes(config).items() if key in used}
    container = {
        "name": f"ray-{name}",
        "image": f"krea-serve:{project_version()}",
        "env": environment(name),
        "envFrom": [{"configMapRef": {"name": "krea-serve-tracing", "optional": True}}],
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
        "resources": {"requests": resources, "limits": resources},
        "volumeMounts": [{"name": key, **mount} for key, (_, mount) in sources.items()],
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", leave(config, name)]}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec: Yaml = {
        "terminationGracePeriodSeconds": grace_s(config),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": RAY_USER,
            "fsGroup": RAY_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": key, **source} for key, (source, _) in sources.items()],
    }
    if "nvidia.com/gpu" in resources:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    return {"metadata": {"labels": {"app.kubernetes.io/name": "krea-serve"}}, "spec": spec}


def leave(config: Yaml, name: str) -> str:
    """Return what a pod runs before it ends.

    Serve moves the replicas of a node that drains: another is started elsewhere before one ends,
    which finishes what it has. The proxy goes last.
    """
    if name == "head":
        return STOP
    drain = (
        "ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION --reason-message 'the pod ends'"
        f" --deadline-remaining-seconds {drain_s(config)}"
    )
    # The brackets keep this very line from being found.
    moved = "while grep -qs '[S]erveReplica\\|[P]roxyActor' /proc/[0-9]*/cmdline; do sleep 1; done"
    return f"{drain} && {moved}; {STOP}"


def drain_s(config: Yaml) -> int:
    """Return how long the slowest replica may take to finish what it has."""
    drains: list[float] = [
        deployment.get("graceful_shutdown_timeout_s", 20) for deployment in deployments(config)
    ]
    return math.ceil(max(drains))


def grace_s(config: Yaml) -> int:
    """Return how long a pod may take to end: its drain, another replica's start, and Ray's stop."""
    return drain_s(config) + START_S + STOP_S


def pods_needed(config: Yaml, group: str, bound: str) -> int:
    """Return how many pods of one GPU, or of `CPUS_PER_POD`, a pool's replicas need.

    Wherever the others are, there is room for each of those that are `APART` in a pod of its own.
    """
    of_group = [deployment for deployment in deployments(config) if pool(deployment) == group]
    apart = [deployment for deployment in of_group if deployment["name"] in APART]
    others = [deployment for deployment in of_group if deployment["name"] not in APART]
    cpus = demand(of_group, "num_cpus", bound) / CPUS_PER_POD
    if group == "cpu":
        # As many as the others can fill to the last CPU, and one for each.
        filled = int(demand(others, "num_cpus", bound) // CPUS_PER_POD)
        separate = filled + max((replicas(each, bound) for each in apart), default=0)
        # Two at least: one ingress must outlive the loss of a node.
        return max(2, math.ceil(cpus), separate)
    return max(math.ceil(cpus), math.ceil(demand(of_group, "num_gpus", bound)))


def worker_group(config: Yaml, group: str) -> Yaml:
    """Return one worker group, scaled between the pool's least and greatest demand."""
    resources: Yaml = {"cpu": str(CPUS_PER_POD), "memory": CPU_MEMORY}
    if group != "cpu":
        resources = {"cpu": str(CPUS_PER_POD), "memory": GPU_MEMORY, "nvidia.com/gpu": "1"}
    least = pods_needed(config, group, "min")
    return {
        "groupName": group,
        "replicas": least,
        "minReplicas": least,
        "maxReplicas": max(least, pods_needed(config, group, "max")),
        "labels": {"pool": group},
        "rayStartParams": {"object-store-memory": str(OBJECT_STORE_BYTES)},
        "template": pod(config, group, resources, {"serve": SERVE_PORT}),
    }


def head_group(config: Yaml) -> Yaml:
    """Return the head: it runs the control plane and no replica."""
    resources = {"cpu": "2", "memory": HEAD_MEMORY}
    ports = {"gcs": 6379, "dashboard": 8265, "serve": SERVE_PORT}
    return {
        "rayStartParams": {
            "num-cpus": "0",
            "dashboard-host": "0.0.0.0",  # noqa: S104 - behind token auth
            "object-store-memory": str(OBJECT_STORE_BYTES // 4),
        },
        "template": pod(config, "head", resources, ports),
    }


def rayservice(config: Yaml) -> Yaml:
    """Return the RayService of one Serve config."""
    pools = sorted({pool(deployment) for deployment in deployments(config)})
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "krea-serve"},
        "spec": {
            "excludeHeadPodFromServeSvc": True,
            "rayClusterDeletionDelaySeconds": LONGEST_DRAIN_S,
            "upgradeStrategy": {"type": "NewCluster"},
            "serveConfigV2": yaml.safe_dump(in_cluster(config), sort_keys=False),
            "rayClusterConfig": {
                "rayVersion": pinned_version("ray"),
                "enableInTreeAutoscaling": True,
                "autoscalerOptions": {"version": "v2", "idleTimeoutSeconds": LONGEST_DRAIN_S},
                "authOptions": {"mode": "token"},
                "headGroupSpec": head_group(config),
                "workerGroupSpecs": [worker_group(config, group) for group in pools],
            },
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes long texts as blocks, and equal values in full rather than as references."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def render(path: Path = CONFIG) -> str:
    """Return the text of `cluster/rayservice.yaml`."""
    header = (
        f"# Rendered from {path.relative_to(ROOT)} by cluster/render.py: change those, then run\n"
        "# `make render`. Needs the claims krea-models and krea-media (ReadWriteMany), and a\n"
        "# Secret krea-serve with the key api-key. Never applied to a cluster by us.\n"
    )
    return header + yaml.dump(rayservice(load_config(path)), Dumper=_Dumper, sort_keys=False)


def main(arguments: list[str] | None = None) -> int:
    """Write the manifest or check it; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    text = render()
    if not parser.parse_args(arguments).check:
        RAYSERVICE.write_text(text)
        return 0
    if not RAYSERVICE.exists() or RAYSERVICE.read_text() != text:
        sys.stderr.write("cluster/rayservice.yaml is not what would be rendered: make render\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
