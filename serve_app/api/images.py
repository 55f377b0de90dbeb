"""POST /v1/images/…: pictures from text."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers import PROVIDER, cost_estimate, images_response
from serve_app.api.documents import document_response
from serve_app.api.images_request import ImagesRequest, read_images_request
from serve_app.api.json_body import read_json_body
from serve_app.api.middleware import request_id_of
from serve_app.api.model_names import MODEL_ID
from serve_app.api.public_url import public_base_url
from serve_app.api.services import services_of
from serve_app.errors import NotFoundError
from serve_app.messages import GenerationResult


async def create_images(request: Request) -> Response:
    """Generate pictures, or estimate what they would cost."""
    services = services_of(request)
    body = await read_json_body(request, services.config.max_body_bytes)
    asked = read_images_request(body, request_id_of(request), services.config, services.facts)
    if request.query_params.get("dryRun", "").lower() in ("true", "1"):
        return document_response(cost_estimate(asked.params, services.config.price_usd))
    result = await services.generate(asked.params)
    # Base64 of many large pictures would hold up every other request on this replica.
    return await run_in_threadpool(_answer, request, asked, result)


async def create_variations(request: Request) -> Response:
    """Refuse: OpenAI retired this route."""
    raise NotFoundError("Image variations are not available. Use /v1/images/edits instead.")


def _answer(request: Request, asked: ImagesRequest, result: GenerationResult) -> Response:
    config = services_of(request).config
    media_url = f"{public_base_url(request, config.public_base_url)}/media"
    response = document_response(images_response(asked, result, media_url, config.price_usd))
    response.headers["X-Lumenfall-Provider"] = PROVIDER
    response.headers["X-Lumenfall-Model"] = MODEL_ID
    return response
