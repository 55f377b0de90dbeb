"""A config file's `args` become the bound Serve application; the only place that calls `.bind`."""

from typing import cast

from ray import serve
from ray.serve import Application, Deployment

from serve_app.config import AppConfig
from serve_app.deployments.denoiser import Denoiser
from serve_app.deployments.image_writer import ImageWriter
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.text_encoder import TextEncoder
from serve_app.deployments.vae import Vae
from serve_app.model_facts import read_model_facts


def build(config: AppConfig) -> Application:
    """Return the application of one configuration.

    Replicas, resources and autoscaling are Serve's options, and stand in the config file under
    `deployments:`.

    Raises:
        WeightsError: The model directory is missing or broken.
    """
    return _bind(
        Ingress,
        config,
        read_model_facts(config.model.directory),
        text_encoder=_bind(TextEncoder, config.model),
        denoiser=_bind(Denoiser, config.model),
        vae=_bind(Vae, config.model),
        image_writer=_bind(ImageWriter, config.storage),
    )


def _bind(kind: type, *args: object, **stages: Application) -> Application:
    # `serve.deployment` is typed as if it were always called with options.
    return cast(Deployment, serve.deployment(kind)).bind(*args, **stages)
