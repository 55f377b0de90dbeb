"""A config file's `args` become the bound Serve application; the only place that calls `.bind`."""

from collections.abc import Callable
from typing import cast

from ray import serve
from ray.serve import Application, Deployment

from serve_app.config import AppConfig, LimitsConfig
from serve_app.deployments.image_writer import ImageWriter
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.limiter import Limiter
from serve_app.deployments.on_start import import_path
from serve_app.limits.meters import limits_of
from serve_app.model_facts import read_model_facts


def build(config: AppConfig) -> Application:
    """Return the application of one configuration; what a Serve config file calls.

    Replicas, resources and autoscaling are Serve's options, and stand in the config file under
    `deployments:`.

    Raises:
        WeightsError: The model directory is missing or broken.
    """
    return compose(config)


def compose(config: AppConfig, **optional: Application) -> Application:
    """Return the application of one configuration, with more deployments than it names.

    Args:
        config: The `args:` of a Serve config file.
        optional: `safety_checker`, a bound deployment with `check(Pixels) -> Verdict`; without one
            pictures are not checked.

    Raises:
        WeightsError: The model directory is missing or broken.
    """
    return _bind(
        Ingress,
        config,
        read_model_facts(config.model.directory),
        text_encoder=_bind_by_name("TextEncoder", config.model),
        denoiser=_bind_by_name("Denoiser", config.model, config.engine),
        vae=_bind_by_name("Vae", config.model),
        image_writer=_bind(ImageWriter, config.storage, config.provenance),
        **optional,
        **_limiter(config.limits),
    )


def _limiter(limits: LimitsConfig) -> dict[str, Application]:
    """Return the Limiter, if there is something to limit.

    Its options are here, for a config file may only name deployments that its application has.
    """
    if not limits_of(limits):
        return {}
    options = {
        "num_replicas": 1,
        "max_ongoing_requests": 100,
        "ray_actor_options": {"num_cpus": 0.1},
    }
    return {"limiter": cast(Deployment, serve.deployment(Limiter)).options(**options).bind(limits)}


def _bind(kind: type, *args: object, **stages: Application) -> Application:
    # `serve.deployment` is typed as if it were always called with options.
    return cast(Deployment, serve.deployment(kind)).bind(*args, **stages)


def _bind_by_name(kind: str, *args: object) -> Application:
    # Serve takes an import path for a class, and its types do not say so.
    named = cast(Callable[[str], Deployment], serve.deployment(name=kind))
    return named(import_path(kind)).bind(*args)
