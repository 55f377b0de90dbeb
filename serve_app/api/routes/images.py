"""POST /v1/images/…: pictures from text, and from pictures."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers.documents import document_response
from serve_app.api.answers.events import EventResponse
from serve_app.api.answers.images import PROVIDER, cost_estimate, cost_micros, images_response
from serve_app.api.answers.timing import longest, server_timing
from serve_app.api.bodies.form_body import MEDIA_TYPE, read_form_body
from serve_app.api.bodies.json_body import read_json_body
from serve_app.api.bodies.stream import media_type_of
from serve_app.api.input_images.source import load_source
from serve_app.api.middleware.admitted import AdmittedResponse
from serve_app.api.middleware.authentication import caller_of, check_scope
from serve_app.api.middleware.crowding import take_place
from serve_app.api.middleware.every_request import request_id_of
from serve_app.api.middleware.recording import is_dry_run, note_failure, recording_of
from serve_app.api.middleware.repetition import answer_once, check_key
from serve_app.api.observed import observed_of
from serve_app.api.parameters import image_parameters
from serve_app.api.public_url import public_base_url
from serve_app.api.request.fields import Fields
from serve_app.api.request.form_values import json_fields
from serve_app.api.request.images_request import (
    ImagesRequest,
    Operation,
    checked_fields,
    images_request,
)
from serve_app.api.request.rules import check_policy, priority_of
from serve_app.api.services import Services, services_of
from serve_app.deadline import Deadline
from serve_app.errors import NotFoundError
from serve_app.messages import GenerationResult, WrittenImage
from serve_app.model_facts import MODEL_ID
from serve_app.records.keys import Scope

SUCCESS_HEADERS = {"X-Lumenfall-Provider": PROVIDER, "X-Lumenfall-Model": MODEL_ID}


async def create_images(request: Request) -> Response:
    """Generate pictures from text, or from an image in the body."""
    services = services_of(request)
    body = await read_json_body(request, services.config.max_body_bytes)
    return await _answer(request, body, "image_generation")


async def edit_images(request: Request) -> Response:
    """Edit a picture that comes as a form's file, a URL or a data URI."""
    services = services_of(request)
    body = await _read_edit_body(request, services)
    return await _answer(request, body, "image_edit")


async def create_variations(request: Request) -> Response:
    """Refuse: OpenAI retired this route."""
    raise NotFoundError("Image variations are not available. Use /v1/images/edits instead.")


async def _read_edit_body(request: Request, services: Services) -> dict[str, Any]:
    config = services.config
    if media_type_of(request) != MEDIA_TYPE:
        return await read_json_body(request, config.max_body_bytes)
    table = image_parameters(config)
    canonical = {name: parameter.name for parameter in table for name in parameter.names}
    form = await read_form_body(request, config.max_body_bytes, config.max_file_bytes, canonical)
    return json_fields(form, table)


async def _answer(request: Request, body: dict[str, Any], operation: Operation) -> Response:
    config = services_of(request).config
    deadline = Deadline.in_seconds(config.deadline_s)
    fields = checked_fields(body, operation, config)
    if fields.values["image"] is not None:
        check_scope(request, Scope.EDIT)
    check_key(request)
    take_place(request, fields.values["n"], priority_of(fields, caller_of(request)))
    recording_of(request).user = fields.values["safety_identifier"] or fields.values["user"]
    if is_dry_run(request):
        asked = await _read(request, fields, operation)
        estimate = cost_estimate(asked.params, config.price_usd)
        return document_response(estimate, headers=SUCCESS_HEADERS)
    run = partial(_run, request, fields, operation, deadline)
    return await answer_once(request, body, deadline, run)


async def _read(request: Request, fields: Fields, operation: Operation) -> ImagesRequest:
    services = services_of(request)
    image, mask = fields.values["image"], fields.values["mask"]
    if image is not None:
        # Fetching and decoding are work too, which a caller without a limit left shall not cause.
        services.gatekeeper.check(caller_of(request).key_id, fields.values["n"])
    source = await load_source(image, mask, services.image_reader)
    check_policy(fields, services.config)
    return await run_in_threadpool(
        images_request,
        fields,
        source,
        operation,
        request_id_of(request),
        services.config,
        services.facts,
        services.features,
        caller_of(request),
    )


async def _run(
    request: Request, fields: Fields, operation: Operation, deadline: Deadline
) -> Response:
    asked = await _read(request, fields, operation)
    gatekeeper, key_id = services_of(request).gatekeeper, caller_of(request).key_id
    admitting = gatekeeper.admit(key_id, asked.params.num_images)
    return AdmittedResponse(admitting, partial(_make, request, asked, deadline))


async def _make(request: Request, asked: ImagesRequest, deadline: Deadline) -> Response:
    services = services_of(request)
    recording_of(request).admit()
    observed_of(request).params = asked.params
    if asked.is_streamed:
        images = _noted(request, asked, services.stream(asked.params, deadline))
        return EventResponse(asked, images, partial(note_failure, request), SUCCESS_HEADERS)
    result = await services.generate(asked.params, deadline)
    _note_made(request, asked, result.images)
    # Base64 of many large pictures, or a cloud that is asked for credentials to sign URLs with,
    # would hold up every other request on this replica.
    return await run_in_threadpool(_images_answer, request, asked, result)


def _images_answer(request: Request, asked: ImagesRequest, result: GenerationResult) -> Response:
    services = services_of(request)
    config = services.config
    media_url = f"{public_base_url(request, config.public_base_url)}/media"
    url_of = partial(services.images.url, media_url=media_url)
    response = document_response(images_response(asked, result, url_of, config.price_usd))
    response.headers.update(SUCCESS_HEADERS)
    if timing := server_timing(longest(result.images)):
        response.headers["Server-Timing"] = timing
    return response


async def _noted(
    request: Request, asked: ImagesRequest, images: AsyncGenerator[WrittenImage]
) -> AsyncGenerator[WrittenImage]:
    async with aclosing(images):
        async for image in images:
            if not image.is_preview:
                _note_made(request, asked, (image,))
            yield image


def _note_made(request: Request, asked: ImagesRequest, images: tuple[WrittenImage, ...]) -> None:
    services = services_of(request)
    cost = cost_micros(asked.params, services.config.price_usd)
    expires_at_ms = int((time.time() + services.images.object_ttl_s) * 1000)
    recording_of(request).made(images, cost, expires_at_ms)
    observed = observed_of(request)
    observed.num_images, observed.spent = len(images), longest(images)
