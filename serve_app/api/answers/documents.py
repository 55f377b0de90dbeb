"""A JSON document as an HTTP response."""

from collections.abc import Mapping

from starlette.responses import Response

from serve_app.api.answers.schema import Document


def document_response(
    document: Document,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    keeps_none: bool = False,
    leaves_out: set[str] | None = None,
) -> Response:
    """Return the response of a document; its keys that are None are left out by default."""
    content = document.model_dump_json(exclude_none=not keeps_none, exclude=leaves_out)
    return Response(content, status_code, headers, media_type="application/json")
