"""One application on a Ray of its own on this machine: what `krea-serve serve` runs.

It deploys through a Serve config file, as a cluster does, because some options (an
application-level autoscaling policy) are read from nowhere else. It never joins a Ray that
already runs, listens where the config says, and takes its Ray down with it.
"""

import logging
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
import yaml
from pydantic import ValidationError
from ray import serve
from ray._private import auto_init_hook
from ray.exceptions import RayError
from ray.serve._private.api import serve_start
from ray.serve._private.common import ReplicaState
from ray.serve.exceptions import RayServeException
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    ServeApplicationSchema,
    ServeDeploySchema,
)

from serve_app.config import (
    AppConfig,
    ScalingConfig,
    first_line,
    otlp_endpoint,
    start_with,
    trace_with,
)
from serve_app.deployments.serve_environment import SERVE_ENVIRONMENT
from serve_app.errors import ConfigError, StartError
from serve_app.model_facts import read_model_facts
from serve_app.tracing import EXPORTER, check_exporter
from serve_app.weight_files import check_weight_files

POLICY = "serve_app.scaling.serve_policy:ApplicationPolicy"
INGRESS = "Ingress"
LOOPBACK = "127.0.0.1"
ReplicaCounts = dict[str, tuple[int, int]]

POLL_S = 0.2
OBJECT_STORE_BYTES = 256 * 1024 * 1024


def read_config(path: Path, port: int | None) -> ServeDeploySchema:
    """Return a checked Serve config file, with its HTTP port replaced if `port` is given.

    Raises:
        StartError: In one line: the file, its `args` or the model they name cannot be served.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        schema = ServeDeploySchema.model_validate(document)
        configs = [AppConfig.model_validate(app.args) for app in schema.applications]
        for app in schema.applications:
            check_scaling(app)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_line(error)}") from error
    for config in configs:
        read_model_facts(config.model.directory)
        check_weight_files(config.model.directory)
    if port is not None:
        schema.http_options.port = port
    return schema


def check_scaling(app: ServeApplicationSchema) -> None:
    """Raise a ValidationError where our autoscaling policy would not take its settings.

    It must not raise in Serve's controller, so it could only do without them there.
    """
    policy = app.autoscaling_policy or {}
    if policy.get("policy_function") == POLICY:
        ScalingConfig.model_validate(policy.get("policy_kwargs", {}))


@contextmanager
def local_ray() -> Iterator[Path]:
    """Run a Ray of our own on loopback for the length of the block; yields its log folder.

    Raises:
        StartError: It does not start, on a machine that is too busy or too small.
    """
    # Ray's sockets live below it, and a socket's path may have 107 bytes: so not in TMPDIR.
    temp_dir = Path(tempfile.mkdtemp(prefix="krea-serve-", dir="/tmp"))
    try:
        start_ray(temp_dir)
        yield temp_dir / "session_latest" / "logs"
    finally:
        ray.shutdown()
        shutil.rmtree(temp_dir, ignore_errors=True)


def start_ray(temp_dir: Path) -> None:
    """Start a Ray of our own.

    Raises:
        StartError: Ray gave up; it has no class for that.
    """
    # Serve's threads may outlive our Ray: their next call would start another, or join somebody's.
    auto_init_hook.enable_auto_connect = False
    start_with(SERVE_ENVIRONMENT)
    if otlp_endpoint() is not None:
        check_exporter()
        trace_with(EXPORTER)
    try:
        ray.init(
            address="local",
            namespace="serve",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address=LOOPBACK,
            _temp_dir=str(temp_dir),
        )
    except Exception as error:
        raise StartError(f"Ray did not start: {last_line([str(error)])}") from error


def metrics_url() -> str:
    """Return where this Ray shows its metrics to Prometheus."""
    return f"http://{LOOPBACK}:{ray.nodes()[0]['MetricsExportPort']}/metrics"


def check_port(host: str, port: int) -> None:
    """Raise a StartError when something else already listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from error


@contextmanager
def deployed(schema: ServeDeploySchema) -> Iterator[None]:
    """Submit a config file to this Ray; on the way out, finish what its clients wait for."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    client = serve_start(
        http_options=schema.http_options.model_dump(),
        proxy_location=schema.proxy_location,
        global_logging_config=schema.logging_config,
    )
    try:
        client.deploy_apps(schema)
        yield
    finally:
        for app in schema.applications:
            drain(app.name)
        # Not `serve.shutdown`: it ends the controller under its own call, and Ray complains.
        # What is not drained when its minute is over ends with our Ray.
        with suppress(TimeoutError):
            client.delete_apps([app.name for app in schema.applications])


def drain(app_name: str) -> None:
    """Let an application's ingresses in no more requests, and wait until they have none.

    Serve ends all deployments of an application at once: those that were idle would be missing
    when a picture comes to them.
    """
    overview = serve.status().applications.get(app_name)
    if overview is not None and overview.status == ApplicationStatus.RUNNING:
        ingress = serve.get_deployment_handle(INGRESS, app_name)
        # A replica that dies meanwhile has none either.
        with suppress(RayError, RayServeException):
            ingress.broadcast("drain").results()
        ingress.shutdown()  # or it goes on telling Serve's autoscaler what it queues


def start_progress(app_name: str) -> Iterator[ReplicaCounts]:
    """Yield `deployment -> (running replicas, all replicas)` until the application runs.

    Raises:
        StartError: It cannot be deployed; the message is one line.
    """
    while True:
        overview = serve.status().applications.get(app_name)
        if overview is not None:
            yield replica_counts(overview)
            if overview.status == ApplicationStatus.RUNNING:
                return
            raise_if_failed(overview)
        time.sleep(POLL_S)


def replica_counts(overview: ApplicationStatusOverview) -> ReplicaCounts:
    """Return `deployment -> (running replicas, all replicas)`."""
    return {
        name: (states.get(ReplicaState.RUNNING, 0), sum(states.values()))
        for name, deployment in overview.deployments.items()
        for states in [deployment.replica_states]
    }


def raise_if_failed(overview: ApplicationStatusOverview) -> None:
    """Raise a StartError with the last line of what failed."""
    if overview.status == ApplicationStatus.DEPLOY_FAILED:
        causes = [overview.message, *(d.message for d in overview.deployments.values())]
        raise StartError(f"the application cannot be deployed: {last_line(causes)}")


def last_line(messages: list[str]) -> str:
    """Return the last line that is not empty: of a traceback, the error itself."""
    lines = [line.strip() for message in messages for line in message.splitlines()]
    return next((line for line in reversed(lines) if line), "no reason was given")
