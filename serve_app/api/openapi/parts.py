"""What several endpoints of the OpenAPI document have in common."""

from typing import get_args

from serve_app.api.parameters import Parameter
from serve_app.api.values.kinds import JsonSchema
from serve_app.limits.meters import PER_MINUTE, Meter
from serve_app.messages import OutputFormat
from serve_app.records.idempotency import MAX_KEY_CHARACTERS

LIMIT_HEADERS = (
    *(f"x-ratelimit-{what}-{meter}" for meter in Meter for what in ("limit", "remaining")),
    *(f"x-ratelimit-reset-{meter}" for meter in PER_MINUTE),
)
HEADERS: JsonSchema = {
    name: {"description": description, "schema": {"type": kind}}
    for name, kind, description in (
        ("x-request-id", "string", "The client's own id, or one made by the proxy."),
        ("X-Lumenfall-Request-Id", "string", "The `id` of the answer, and of the history."),
        ("openai-processing-ms", "integer", "Milliseconds until the answer began."),
        ("X-Lumenfall-Provider", "string", "Who made the pictures."),
        ("X-Lumenfall-Model", "string", "With which model."),
        ("Idempotent-Replayed", "string", "`true` if it is the answer to an earlier request."),
        ("Retry-After", "integer", "Seconds after which to try again."),
        ("WWW-Authenticate", "string", "`Bearer`: how to send a key."),
        ("Allow", "string", "The methods of this path."),
        ("x-should-retry", "string", "`false` if trying again would not help."),
        *((name, "string", "How a limit of the key stands.") for name in LIMIT_HEADERS),
    )
}
PICTURES_HEADERS = ("X-Lumenfall-Provider", "X-Lumenfall-Model", "Idempotent-Replayed")
ALWAYS = ("x-request-id", "X-Lumenfall-Request-Id", "openai-processing-ms")

DRY_RUN: JsonSchema = {
    "name": "dryRun",
    "in": "query",
    "description": "`true` or `1`: check the request and estimate its cost, without running it.",
    "schema": {"type": "string"},
    "examples": {"estimate": {"value": "true"}},
}
WITH_SCHEMA: JsonSchema = {
    "name": "schema",
    "in": "query",
    "description": "`true` or `1`: add the JSON Schema of a request.",
    "schema": {"type": "string"},
    "examples": {"schema": {"value": "true"}},
}
IDEMPOTENCY_KEY: JsonSchema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Sent again with the same body within 24 hours, the answer is the same bytes.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
}

_EVENTS = (
    "event: image_generation.completed\n"
    'data: {"type":"image_generation.completed","b64_json":"…","created_at":1763820000,'
    '"size":"1024x1024","quality":"auto","background":"opaque","output_format":"png","usage":{…}}'
    "\n\n"
)


def reference(kind: str, name: str) -> JsonSchema:
    """Return the reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def headers(*names: str) -> JsonSchema:
    """Return the headers of an answer."""
    return {name: reference("headers", name) for name in (*ALWAYS, *names)}


def nothing(description: str) -> JsonSchema:
    """Return the response that has no body."""
    return {"description": description, "headers": headers()}


def document(name: str) -> JsonSchema:
    """Return the response that is a document of `serve_app.api.answers.schema`."""
    return json_response("Success.", reference("schemas", name))


def json_response(description: str, schema: JsonSchema) -> JsonSchema:
    """Return the response of some JSON."""
    return {**nothing(description), "content": {"application/json": {"schema": schema}}}


def picture_file() -> JsonSchema:
    """Return the response that is a picture."""
    return {
        **nothing("The file."),
        "content": {f"image/{name}": {} for name in get_args(OutputFormat)},
    }


def pictures() -> JsonSchema:
    """Return the response of the image routes."""
    answers = [reference("schemas", name) for name in ("ImagesResponse", "CostEstimate")]
    return {
        "description": "The pictures; with `dryRun` what they would cost, with `stream` events.",
        "headers": headers(*PICTURES_HEADERS, *LIMIT_HEADERS),
        "content": {
            "application/json": {"schema": {"oneOf": answers}},
            "text/event-stream": event_stream("PartialImageEvent", "CompletedEvent", "ErrorEvent"),
        },
    }


def event_stream(*names: str) -> JsonSchema:
    """Return the content that is events whose data are documents."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"oneOf": [reference("schemas", name) for name in names]},
    }
    event = {
        "type": "object",
        "description": "Each event; the last one is completed, or an error.",
        "properties": {"event": {"type": "string"}, "data": data},
        "required": ["event", "data"],
    }
    return {"schema": event, "example": _EVENTS}


def path_parameter(name: str, description: str) -> JsonSchema:
    """Return a part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def query_parameter(parameter: Parameter) -> JsonSchema:
    """Return a parameter of the query, as its table has it."""
    schema = parameter.type.schema()
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": schema,
    }
