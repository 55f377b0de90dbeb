"""GET /openapi.json: the API in OpenAPI's words, made of what the API itself is made of."""

import json
from functools import cache
from importlib.metadata import version

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers.schema import (
    Balance,
    CompletedEvent,
    CostEstimate,
    Document,
    ErrorEnvelope,
    ErrorEvent,
    ImagesResponse,
    Model,
    ModelList,
    PartialImageEvent,
    RequestEntry,
    RequestList,
)
from serve_app.api.openapi.body_schemas import edit_form_schema, edit_schema, generation_schema
from serve_app.api.openapi.endpoints import ENDPOINTS, Endpoint
from serve_app.api.openapi.errors import error_responses
from serve_app.api.openapi.parts import HEADERS, reference
from serve_app.api.services import services_of
from serve_app.api.values.kinds import JsonSchema
from serve_app.config import ApiConfig

DOCUMENTS: tuple[type[Document], ...] = (
    Balance,
    CompletedEvent,
    CostEstimate,
    ErrorEnvelope,
    ErrorEvent,
    ImagesResponse,
    Model,
    ModelList,
    PartialImageEvent,
    RequestEntry,
    RequestList,
)

DESCRIPTION = """FLUX.1 Krea [dev] behind the OpenAI images schema, with Lumenfall's parameters and
the names that fal and Replicate have for them.

A field that is null is not given. A field that is not known has no effect, and is listed in
`metadata.ignored_parameters`. Every error has the same body, and `error.param` names the field.
A server that was started without keys asks for none."""

TAGS = {
    "Images": "Pictures from text and from pictures.",
    "Models": "What is served.",
    "History": "What was asked of the server.",
    "Media": "The files.",
    "Health": "For whoever starts and watches the server.",
}
# Lumenfall's base URL; everything under it is the same as under /v1.
OTHER_PREFIX_TAG = "The same under /openai/v1"


async def get_openapi(request: Request) -> Response:
    """Return the document."""
    content = _document_bytes(services_of(request).config)
    return Response(content, media_type="application/json")


def openapi_document(config: ApiConfig) -> JsonSchema:
    """Return the document of a server with the limits of one configuration."""
    paths: dict[str, JsonSchema] = {}
    for endpoint in ENDPOINTS:
        for prefix in endpoint.prefixes:
            path = paths.setdefault(f"{prefix}{endpoint.path}", {})
            path[endpoint.method] = _operation(endpoint, prefix)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "krea-serve",
            "version": version("krea-serve"),
            "description": DESCRIPTION,
        },
        "servers": [{"url": config.public_base_url or "/"}],
        "tags": [{"name": name, "description": what} for name, what in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(config),
            "responses": error_responses(),
            "headers": HEADERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


@cache
def _document_bytes(config: ApiConfig) -> bytes:
    return json.dumps(openapi_document(config), ensure_ascii=False).encode()


def _operation(endpoint: Endpoint, prefix: str) -> JsonSchema:
    is_first = prefix == endpoint.prefixes[0]
    errors = {str(status): reference("responses", str(status)) for status in endpoint.errors}
    operation: JsonSchema = {
        "operationId": endpoint.name if is_first else f"{endpoint.name}UnderOpenai",
        "tags": [endpoint.tag if is_first else OTHER_PREFIX_TAG],
        "summary": endpoint.summary,
        "responses": endpoint.success | errors,
        "security": [{"key": []}] if endpoint.is_keyed else [],
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.parameters:
        operation["parameters"] = list(endpoint.parameters)
    if endpoint.bodies:
        content = {
            media_type: {"schema": reference("schemas", name)}
            for media_type, name in endpoint.bodies.items()
        }
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.is_deprecated:
        operation["deprecated"] = True
    return operation


def _schemas(config: ApiConfig) -> JsonSchema:
    _, answers = models_json_schema(
        [(document, "validation") for document in DOCUMENTS],
        ref_template="#/components/schemas/{model}",
    )
    bodies: JsonSchema = {
        "GenerationBody": generation_schema(config),
        "EditBody": edit_schema(config),
        "EditForm": edit_form_schema(config),
    }
    return {**bodies, **answers["$defs"]}
