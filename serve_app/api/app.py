"""The HTTP surface: routes, middleware and exception handlers, in three lists."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from serve_app.api.middleware.access import AccessLog
from serve_app.api.middleware.authentication import RequireKey
from serve_app.api.middleware.crowding import LimitCrowd, Room
from serve_app.api.middleware.every_request import AnswerUnexpectedErrors, RequestIds
from serve_app.api.middleware.exceptions import (
    answer_http_exception,
    answer_request_error,
)
from serve_app.api.middleware.recording import RecordRequests
from serve_app.api.middleware.slow_bodies import Bodies, LimitSlowBodies
from serve_app.api.openapi.document import get_openapi
from serve_app.api.routes.balance import get_balance
from serve_app.api.routes.health import healthz, readyz
from serve_app.api.routes.images import create_images, create_variations, edit_images
from serve_app.api.routes.media import get_media
from serve_app.api.routes.models import get_model, list_models
from serve_app.api.routes.pages import DOCS, PLAYGROUND, root
from serve_app.api.routes.requests import get_request, list_requests, purge_request
from serve_app.api.services import Services
from serve_app.api.upkeep import kept_tidy
from serve_app.errors import RequestError
from serve_app.records.keys import Scope
from serve_app.records.records import Records


def create_app(services: Services) -> Starlette:
    """Return the ASGI app that offers some services over HTTP."""
    crowd, slow = Middleware(LimitCrowd, room=Room()), Middleware(LimitSlowBodies, bodies=Bodies())
    app = Starlette(
        routes=[
            Route("/", root),
            Route("/playground", PLAYGROUND.show),
            Route("/playground/{name}", PLAYGROUND.asset),
            Route("/docs", DOCS.show),
            Route("/docs/{name}", DOCS.asset),
            Route("/openapi.json", get_openapi),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/media/{name}", get_media),
            *_image_routes("/v1", services.records, crowd, slow),
            *_image_routes("/openai/v1", services.records, crowd, slow),
            *_history_routes("/v1", services.records),
        ],
        middleware=[
            Middleware(RequestIds, announce=services.announce),
            Middleware(AccessLog, observer=services.observer),
            Middleware(AnswerUnexpectedErrors),
        ],
        exception_handlers={
            RequestError: answer_request_error,
            HTTPException: answer_http_exception,
        },
        lifespan=lambda _: kept_tidy(services.records),
    )
    # A redirect would be an answer in nobody's schema.
    app.router.redirect_slashes = False
    app.state.services = services
    return app


def _image_routes(
    prefix: str, records: Records, crowd: Middleware, slow: Middleware
) -> list[Route]:
    """Return what an OpenAI client asks for."""
    any_key = [_keyed(records)]
    # A request that finds no room leaves no trace in the history: a flood would fill it.
    generations = [
        _keyed(records, Scope.GENERATE),
        crowd,
        _recorded(records, "/images/generations"),
        slow,
    ]
    edits = [_keyed(records, Scope.EDIT), crowd, _recorded(records, "/images/edits"), slow]
    post = ["POST"]
    return [
        Route(f"{prefix}/images/generations", create_images, methods=post, middleware=generations),
        Route(f"{prefix}/images/edits", edit_images, methods=post, middleware=edits),
        Route(f"{prefix}/images/variations", create_variations, methods=post, middleware=any_key),
        Route(f"{prefix}/models", list_models, middleware=any_key),
        Route(f"{prefix}/models/{{name:path}}", get_model, middleware=any_key),
    ]


def _history_routes(prefix: str, records: Records) -> list[Route]:
    """Return what Lumenfall has besides."""
    reads, purges = [_keyed(records, Scope.READ_HISTORY)], [_keyed(records, Scope.PURGE_HISTORY)]
    request = f"{prefix}/requests/{{request_id}}"
    return [
        Route(f"{prefix}/requests", list_requests, middleware=reads),
        Route(request, get_request, middleware=reads),
        Route(f"{request}/payloads", purge_request, methods=["DELETE"], middleware=purges),
        Route(f"{prefix}/balance", get_balance, middleware=[_keyed(records)]),
    ]


def _keyed(records: Records, needed: Scope | None = None) -> Middleware:
    """Ask for a key, after the path and the method have matched."""
    return Middleware(RequireKey, authenticator=records.authenticator, needed=needed)


def _recorded(records: Records, endpoint: str) -> Middleware:
    return Middleware(RecordRequests, recorder=records.recorder, endpoint=endpoint)
