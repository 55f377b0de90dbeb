"""The HTTP surface: routes, middleware and exception handlers, in three lists."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from serve_app.api.errors import answer_http_exception, answer_request_error
from serve_app.api.files import get_media
from serve_app.api.health import healthz, readyz
from serve_app.api.images import create_images, create_variations
from serve_app.api.middleware import AccessLog, AnswerUnexpectedErrors, RequestIds, RequireKey
from serve_app.api.models import get_model, list_models
from serve_app.api.pages import playground, playground_asset, root
from serve_app.api.services import Services
from serve_app.errors import RequestError

MIDDLEWARE = [
    Middleware(RequestIds),
    Middleware(AccessLog),
    Middleware(AnswerUnexpectedErrors),
]


def create_app(services: Services) -> Starlette:
    """Return the ASGI app that offers some services over HTTP."""
    app = Starlette(
        routes=[
            Route("/", root),
            Route("/playground", playground),
            Route("/playground/{name}", playground_asset),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/media/{name}", get_media),
            *_keyed_routes("/v1", services.api_key),
            *_keyed_routes("/openai/v1", services.api_key),
        ],
        middleware=MIDDLEWARE,
        exception_handlers={
            RequestError: answer_request_error,
            HTTPException: answer_http_exception,
        },
    )
    # A redirect would be an answer in nobody's schema.
    app.router.redirect_slashes = False
    app.state.services = services
    return app


def _keyed_routes(prefix: str, api_key: str | None) -> list[Route]:
    """Return what needs a key. It is asked for after the path and the method have matched."""
    key = [Middleware(RequireKey, api_key=api_key)]
    post = ["POST"]
    return [
        Route(f"{prefix}/images/generations", create_images, methods=post, middleware=key),
        Route(f"{prefix}/images/variations", create_variations, methods=post, middleware=key),
        Route(f"{prefix}/models", list_models, middleware=key),
        Route(f"{prefix}/models/{{name:path}}", get_model, middleware=key),
    ]
