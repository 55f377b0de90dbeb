"""One line in the log for every request, and word to whoever counts."""

import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.middleware.every_request import HttpMiddleware
from serve_app.api.observed import UNKNOWN_ROUTE, Observed, Observer, observing
from serve_app.messages import GenerationParams

access_logger = logging.getLogger("serve_app.access")

MAX_LOGGED_ID_CHARACTERS = 128
MAX_LOGGED_PATH_CHARACTERS = 256


class AccessLog(HttpMiddleware):
    """Writes one line per request, without its body, its query or its key."""

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        """Log the requests of an app, and tell an observer of them."""
        super().__init__(app)
        self._observer = observer

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, and note how it went."""
        started_at = time.perf_counter()
        observed = scope["state"]["observed"] = Observed(scope["method"])

        async def send_and_see(message: Message) -> None:
            if message["type"] == "http.response.start":
                observed.status = message["status"]
                headers = MutableHeaders(scope=message)
                elapsed_s = time.perf_counter() - started_at
                headers["openai-processing-ms"] = str(round(elapsed_s * 1000))
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                observed.is_complete = True

        self._observer.begun()
        try:
            with observing(observed):
                await self.app(scope, receive, send_and_see)
        finally:
            observed.seconds = time.perf_counter() - started_at
            observed.route = _route(scope)
            self._observer.ended(observed)
            _log(scope, observed)


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return route.path if isinstance(route, Route) else UNKNOWN_ROUTE


def _log(scope: Scope, observed: Observed) -> None:
    # Quoted: a path or an id with a line break must not write lines of its own.
    client_id = quote(Headers(scope=scope).get("x-request-id", "-"))[:MAX_LOGGED_ID_CHARACTERS]
    # A picture's name is all that it takes to download it: known paths are logged as declared.
    path = observed.route
    if path == UNKNOWN_ROUTE:
        path = quote(scope["path"], errors="replace")[:MAX_LOGGED_PATH_CHARACTERS]
    access_logger.info(
        "%s %s %s %d ms %s x-request-id=%s",
        observed.method,
        path,
        "cancelled" if observed.status is None else observed.status,
        round(observed.seconds * 1000),
        scope["state"]["request_id"],
        client_id,
        # A field of its own in JSON. The second is Serve's word for what `enable_access_log` is of.
        extra={"access": _facts(scope, observed, client_id), "serve_access_log": True},
    )


def _facts(scope: Scope, observed: Observed, client_id: str) -> Mapping[str, Any]:
    """Return what a machine reads of a request; what does not apply is left out."""
    caller = scope["state"].get("caller")
    facts: dict[str, Any] = {
        "method": observed.method,
        "route": observed.route,
        "status": observed.status,
        "outcome": observed.outcome,
        "error_code": observed.error_code or None,
        "milliseconds": round(observed.seconds * 1000),
        "id": scope["state"]["request_id"],
        "x_request_id": client_id,
        "key_id": None if caller is None else caller.key_id,
    }
    if observed.params is not None:
        facts |= _facts_of_pictures(observed.params, observed)
    return {name: value for name, value in facts.items() if value is not None}


def _facts_of_pictures(params: GenerationParams, observed: Observed) -> dict[str, Any]:
    spent = observed.spent
    return {
        "size": str(params.output),
        "output_format": params.output_format,
        "priority": params.priority.name.lower(),
        "num_inference_steps": params.num_inference_steps,
        "seed": params.seed,
        "num_images_asked": params.num_images,
        "num_images": observed.num_images,
        "num_retries": observed.num_retries,
        "stage_milliseconds": None if spent is None else spent.milliseconds,
    }
