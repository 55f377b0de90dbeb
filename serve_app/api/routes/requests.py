"""/v1/requests: what was asked of the server, in Lumenfall's words."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers.documents import document_response
from serve_app.api.answers.schema import HistorySummary, RequestEntry, RequestList
from serve_app.api.middleware.authentication import caller_of
from serve_app.api.public_url import public_base_url
from serve_app.api.request.fields import read_fields
from serve_app.api.request.form_values import json_fields
from serve_app.api.request.history_parameters import HISTORY_PARAMETERS
from serve_app.api.services import services_of
from serve_app.api.values import invalid
from serve_app.errors import InvalidRequestError, NotFoundError
from serve_app.records.cursors import Cursor, Direction
from serve_app.records.history import HistoryFilter, Page
from serve_app.records.history_object import history_object, usd
from serve_app.records.rows import RequestRecord

CURSORS: Mapping[str, Direction] = {"starting_after": "older", "ending_before": "newer"}


async def list_requests(request: Request) -> Response:
    """List requests, the newest first."""
    query = json_fields(dict(request.query_params), HISTORY_PARAMETERS)
    values = read_fields(query, HISTORY_PARAMETERS).values
    chosen = _filter(request, values)
    history = services_of(request).records.history
    page = await history.page(chosen, values["limit"], await _cursor(request, values))
    document = RequestList(
        data=tuple(_entry(record) for record in page.requests),
        next_page_url=_page_url(request, page, "starting_after"),
        previous_page_url=_page_url(request, page, "ending_before"),
    )
    if not values["summary"]:
        return document_response(document, keeps_none=True, leaves_out={"summary"})
    summary = await history.summary(chosen)
    total = HistorySummary(count=summary.num_requests, total_cost=usd(summary.cost_micros))
    return document_response(document.model_copy(update={"summary": total}), keeps_none=True)


async def get_request(request: Request) -> Response:
    """Return one request."""
    return document_response(_entry(await _record(request)), keeps_none=True)


async def purge_request(request: Request) -> Response:
    """Delete a request's pictures, and the answer that was kept for a repetition."""
    services = services_of(request)
    record = await _record(request)
    if record.status in ("pending", "processing"):
        shown = invalid.shown(record.id)
        raise InvalidRequestError(f"Request {shown} is still running; purge it when it has ended.")
    retention = services.records.retention
    for name in await retention.images_of(record.id):
        await services.images.delete(name)
    await retention.forget_payloads(record.id)
    return Response(status_code=204)


def _filter(request: Request, values: Mapping[str, Any]) -> HistoryFilter:
    return HistoryFilter(
        organisation=caller_of(request).organisation,
        created_after_ms=values["created_after"],
        created_before_ms=values["created_before"],
        key_id=values["key_id"],
        status=values["status"],
    )


async def _cursor(request: Request, values: Mapping[str, Any]) -> Cursor | None:
    named = [name for name in CURSORS if values[name] is not None]
    if not named:
        return None
    if len(named) > 1:
        raise invalid.conflict(named[0], *named)
    name = named[0]
    history = services_of(request).records.history
    position = await history.position(caller_of(request).organisation, values[name])
    if position is None:
        raise invalid.wrong_value(name, values[name], "There is no such request.")
    return Cursor(position, CURSORS[name])


def _page_url(request: Request, page: Page, cursor: str) -> str | None:
    """Return where the next or the previous page is, if there is one."""
    is_older = CURSORS[cursor] == "older"
    if not page.requests or not (page.has_older if is_older else page.has_newer):
        return None
    neighbour = page.requests[-1 if is_older else 0].id
    base_url = public_base_url(request, services_of(request).config.public_base_url)
    # The prefix of a proxy is in the base and not in the path.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    others = [item for item in request.query_params.multi_items() if item[0] not in CURSORS]
    return f"{base_url}{path}?{urlencode([*others, (cursor, neighbour)])}"


def _entry(record: RequestRecord) -> RequestEntry:
    return RequestEntry.model_validate(history_object(record))


async def _record(request: Request) -> RequestRecord:
    """Return the request that a path names."""
    request_id = request.path_params["request_id"]
    history = services_of(request).records.history
    record = await history.get(caller_of(request).organisation, request_id)
    if record is None:
        raise NotFoundError(f"There is no request {invalid.shown(request_id)}.")
    return record
