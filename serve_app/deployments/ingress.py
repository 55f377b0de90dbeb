"""The HTTP front as a Serve deployment: it holds references, never tensors."""

from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette

from serve_app.api.app import create_app
from serve_app.api.services import Services
from serve_app.config import AppConfig, api_key
from serve_app.deployments.readiness import Readiness
from serve_app.model_facts import ModelFacts
from serve_app.pipeline import Pipeline, StageHandles
from serve_app.storage.store import ImageStore


@serve.ingress()
class Ingress:
    """Speaks the OpenAI images schema for the pipeline behind it."""

    def __init__(
        self,
        config: AppConfig,
        facts: ModelFacts,
        text_encoder: DeploymentHandle[Any],
        denoiser: DeploymentHandle[Any],
        vae: DeploymentHandle[Any],
        image_writer: DeploymentHandle[Any],
    ) -> None:
        stages = StageHandles(text_encoder, denoiser, vae, image_writer)
        self._services = Services(
            config=config.api,
            facts=facts,
            generate=Pipeline(stages, config.api.deadline_s).generate,
            is_ready=Readiness(serve.get_replica_context().app_name),
            images=ImageStore.open(config.storage),
            api_key=api_key(),
        )

    def __serve_build_asgi_app__(self) -> Starlette:
        return create_app(self._services)
