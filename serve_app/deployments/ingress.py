"""The HTTP front as a Serve deployment: it holds references, never tensors."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette

from serve_app.api.app import create_app
from serve_app.api.input_images.source import image_reader
from serve_app.api.services import Services
from serve_app.config import AppConfig, LiveIngressConfig
from serve_app.deadline import Deadline
from serve_app.deployments.ingress_metrics import IngressMetrics
from serve_app.deployments.live_config import LiveConfig, overridden
from serve_app.deployments.logs import log_through_serve, name_request, set_log_level
from serve_app.deployments.readiness import Readiness
from serve_app.deployments.remote_limiter import gatekeeper_of
from serve_app.deployments.request_metrics import RequestMetrics
from serve_app.deployments.storage_metrics import StorageMetrics
from serve_app.engine.cost_model import FluxGeometry
from serve_app.errors import OverloadedError
from serve_app.messages import Features, GenerationParams, GenerationResult, WrittenImage
from serve_app.model_facts import ModelFacts, read_transformer_config
from serve_app.pipeline import Pipeline, StageHandles
from serve_app.records.records import Records
from serve_app.scaling.promises import Promise, Promises
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
        safety_checker: DeploymentHandle[Any] | None = None,
        limiter: DeploymentHandle[Any] | None = None,
    ) -> None:
        log_through_serve()
        stages = StageHandles(text_encoder, denoiser, vae, image_writer, safety_checker)
        transformer = read_transformer_config(config.model.directory)
        self._promises = Promises(facts, FluxGeometry.of(transformer))
        requests = RequestMetrics()
        self._pipeline = Pipeline(stages, requests.retried)
        self._metrics = IngressMetrics(config.model)
        self._config = config.api
        self._live_config = LiveConfig("Ingress")
        self._app: Starlette | None = None
        self._is_draining, self._is_idle = False, asyncio.Event()
        self._services = Services(
            config=config.api,
            facts=facts,
            generate=self._generate,
            stream=self._stream,
            is_ready=Readiness(serve.get_replica_context().app_name),
            images=ImageStore.open(config.storage, StorageMetrics().failed),
            image_reader=image_reader(config.api),
            features=Features(
                has_safety_checker=safety_checker is not None,
                has_go_fast=config.model.go_fast != "off",
                lora_names=frozenset(config.model.loras),
            ),
            records=Records.open(config.records),
            gatekeeper=gatekeeper_of(config.limits, limiter),
            observer=requests,
            announce=name_request,
        )

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Serve's autoscaler what has been promised: the only sign of it without replicas."""
        return self._promises.total(time.monotonic()).numbers()

    async def drain(self) -> None:
        """Let in no more requests, and return when none waits for its pictures."""
        self._is_draining = True
        if len(self._promises):
            await self._is_idle.wait()

    async def _generate(self, params: GenerationParams, deadline: Deadline) -> GenerationResult:
        with self._promised(params) as promise:
            return await self._pipeline.generate(params, deadline, promise.keep_one)

    def _stream(self, params: GenerationParams, deadline: Deadline) -> AsyncGenerator[WrittenImage]:
        self._check_open()  # before the answer begins, with a status that would say no
        return self._streamed(params, deadline)

    async def _streamed(
        self, params: GenerationParams, deadline: Deadline
    ) -> AsyncGenerator[WrittenImage]:
        with self._promised(params) as promise:
            async with aclosing(self._pipeline.stream(params, deadline)) as images:
                async for image in images:
                    if not image.is_preview:
                        promise.keep_one()
                    yield image

    def _check_open(self) -> None:
        if self._is_draining:
            raise OverloadedError("The server is stopping.", reason="stopping")

    @contextmanager
    def _promised(self, params: GenerationParams) -> Iterator[Promise]:
        self._check_open()
        try:
            with self._promises.held(params, time.monotonic()) as promise:
                yield promise
        finally:
            if self._is_draining and not len(self._promises):
                self._is_idle.set()

    def __serve_build_asgi_app__(self) -> Starlette:
        self._app = create_app(self._services)
        return self._app

    def reconfigure(self, user_config: dict[str, Any] | None) -> None:
        """Take over a `user_config`: requests that come from now on are held to it.

        Raises:
            ConfigError: It is the first one, and not valid; a later one leaves all as it is.
        """
        live = self._live_config.read(LiveIngressConfig, user_config)
        if live is None:
            return
        set_log_level(live.log_level)
        config = overridden(self._config, live.api)
        self._services = replace(self._services, config=config, image_reader=image_reader(config))
        if self._app is not None:
            self._app.state.services = self._services

    def check_health(self) -> None:
        """Tell Prometheus how it stands; that it answers is all that Serve wants to know."""
        self._metrics.publish(self._services.records.recorder, self._services.gatekeeper)
