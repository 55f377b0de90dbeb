"""What the endpoints need from the rest of the program, handed to them at start."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from serve_app.config import ApiConfig
from serve_app.messages import GenerationParams, GenerationResult
from serve_app.model_facts import ModelFacts
from serve_app.storage.store import ImageStore


@dataclass(frozen=True, slots=True)
class Services:
    """The doors out of the API.

    Attributes:
        config: What clients may ask for.
        facts: Of the served model.
        generate: Makes the pictures of one request; raises `RequestError` and applies the deadline.
        is_ready: Whether a request would find every stage loaded.
        images: Where pictures delivered as URLs are kept.
        api_key: What every `/v1` route asks for; None leaves the server open.
    """

    config: ApiConfig
    facts: ModelFacts
    generate: Callable[[GenerationParams], Awaitable[GenerationResult]]
    is_ready: Callable[[], Awaitable[bool]]
    images: ImageStore
    api_key: str | None = None


def services_of(request: Request) -> Services:
    """Return the services of the app that received a request."""
    return cast(Services, request.app.state.services)
