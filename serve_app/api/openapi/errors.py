"""Failures in OpenAPI's words: one response for each status of the tree in `serve_app.errors`."""

from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus

from serve_app.api.openapi.parts import LIMIT_HEADERS, headers, reference
from serve_app.api.values.kinds import JsonSchema
from serve_app.errors import RequestError

# What tells a client what to do next, where it depends on the status.
HEADERS_OF = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After", *LIMIT_HEADERS),
    500: ("x-should-retry",),
    503: ("Retry-After",),
    504: ("x-should-retry",),
}


def error_classes() -> dict[int, tuple[type[RequestError], ...]]:
    """Return every failure that is answered to clients, by status."""
    by_status = defaultdict(list)
    for error in _family(RequestError):
        by_status[error.status_code].append(error)
    return {status: tuple(by_status[status]) for status in sorted(by_status)}


def error_responses() -> dict[str, JsonSchema]:
    """Return the responses that endpoints refer to by their status."""
    return {str(status): _response(status, errors) for status, errors in error_classes().items()}


def _response(status: int, errors: tuple[type[RequestError], ...]) -> JsonSchema:
    codes = list(dict.fromkeys(error.code for error in errors))
    types = list(dict.fromkeys(error.type for error in errors))
    narrowed = {"properties": {"code": {"enum": codes}, "type": {"enum": types}}}
    schema = {
        "allOf": [
            reference("schemas", "ErrorEnvelope"),
            {"type": "object", "properties": {"error": {"type": "object", **narrowed}}},
        ]
    }
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}",
        "headers": headers(*HEADERS_OF.get(status, ())),
        "content": {"application/json": {"schema": schema}},
    }


def _family(error: type[RequestError]) -> Iterator[type[RequestError]]:
    yield error
    for subclass in error.__subclasses__():
        yield from _family(subclass)
